--[[
Marks holds of one item as paid: held becomes sold. A hold that is past its time but not yet released still settles.
KEYS
  meta       hash of the shard
  item       hash of the item's counters
  holds      hash: purchase id to hold
  due        sorted set: purchase id by expiry
ARGV
  sku        string
  each       purchase: id string, epoch number
RETURNS
  number[]   0; then for each purchase a RESOLVE code and the status it has now (-1: none)
]]
-- @include hold
-- @include answer
local FIRST, WIDTH = 2, 2
local n = (#ARGV - FIRST + 1) / WIDTH
local shard_epoch = redis.call('HGET', KEYS[1], 'epoch')
local item = redis.call('HMGET', KEYS[2], 'held', 'sold')
if not shard_epoch or not item[1] or redis.call('EXISTS', KEYS[3], KEYS[4]) < 2 then return same_for_all(0, n, -8, 2) end

local epoch, held, sold = tonumber(shard_epoch), tonumber(item[1]), tonumber(item[2])
local ids = {}
for i = 1, n do ids[i] = ARGV[FIRST + (i - 1) * WIDTH] end
local known = redis.call('HMGET', KEYS[3], unpack(ids))

local reply, changed, paid, holds = { 0 }, {}, {}, {}
for i = 1, n do
  local id = ids[i]
  local text = changed[id] or known[i]
  local hold = text and parse_hold(text)
  local code, status = -2, -1
  if tonumber(ARGV[FIRST + (i - 1) * WIDTH + 1]) > epoch then code = -9
  elseif hold and hold.sku == ARGV[1] then
    status = tonumber(hold.status)
    code = hold.status == '0' and 1 or hold.status == '1' and 2 or -1
  end
  if code == 1 then
    status = 1
    held = held - hold.quantity
    sold = sold + hold.quantity
    changed[id] = '1' .. string.sub(text, 2)
    paid[#paid + 1] = id
    holds[#holds + 1] = id
    holds[#holds + 1] = changed[id]
  end
  reply[#reply + 1] = code
  reply[#reply + 1] = status
end
if #paid > 0 then
  redis.call('HSET', KEYS[3], unpack(holds))
  redis.call('ZREM', KEYS[4], unpack(paid))
  redis.call('HSET', KEYS[2], 'held', held, 'sold', sold)
end
return reply
