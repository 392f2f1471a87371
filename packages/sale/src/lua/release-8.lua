--[[
Ends holds of one item without a sale: units go back, the buyer's place is free again, once only.
reserved to refused, or to expired once its time has passed (this also tells the relay); paid to refunded;
reserved to refunded (a rebuild made it a hold again while its money was on its way back);
expired to refunded (the units came back at the expiry).
KEYS
  meta       hash of the shard
  item       hash of the item's counters
  holds      hash: purchase id to hold
  due        sorted set: purchase id by expiry
  outbox     stream for the relay
  bits       bitmap of buyers
  counts     hash of buyers' units
  transfers  hash of transfers; only checked for presence
ARGV
  sku        string
  each       purchase: id string, status number, epoch number
RETURNS
  number[]   units that came back; then for each purchase a RESOLVE code and the status it has now (-1: none)
]]
-- @include clock
-- @include hold
-- @include place
-- @include answer
local FIRST, WIDTH = 2, 3
local n = (#ARGV - FIRST + 1) / WIDTH
local shard_epoch = redis.call('HGET', KEYS[1], 'epoch')
local item = redis.call('HMGET', KEYS[2], 'free', 'held', 'sold', 'perBuyer', 'price', 'currency')
local present = redis.call('EXISTS', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8])
if not shard_epoch or not item[1] or present < 6 then return same_for_all(0, n, -8, 2) end

local now, epoch, per_buyer = now_ms(), tonumber(shard_epoch), tonumber(item[4])
local units = { free = tonumber(item[1]), held = tonumber(item[2]), sold = tonumber(item[3]) }
local ids = {}
for i = 1, n do ids[i] = ARGV[FIRST + (i - 1) * WIDTH] end
local known = redis.call('HMGET', KEYS[3], unpack(ids))

-- The RESOLVE code of a move, and the counter that the units leave.
local function move(from, to, expires_at)
  if from == to then return 2 end
  if from == '0' and (to == '2' or to == '4') then return 1, 'held' end
  if from == '0' and to == '3' then
    if now < expires_at then return -3 end
    return 1, 'held'
  end
  if from == '1' and to == '4' then return 1, 'sold' end
  if from == '3' and to == '4' then return 1 end
  return -1
end

local function free_place(hold)
  local bit = buyer_bit(per_buyer, hold.number)
  if bit then
    redis.call('SETBIT', KEYS[6], bit, 0)
  elseif redis.call('HINCRBY', KEYS[7], hold.buyer, -hold.quantity) <= 0 then
    redis.call('HDEL', KEYS[7], hold.buyer)
  end
end

local back, reply, changed, ended, expired = 0, { 0 }, {}, {}, {}
for i = 1, n do
  local at = FIRST + (i - 1) * WIDTH
  local id, to = ids[i], ARGV[at + 1]
  local text = changed[id] or known[i]
  local hold = text and parse_hold(text)
  local code, from = -2, nil
  if tonumber(ARGV[at + 2]) > epoch then code = -9
  elseif hold and hold.sku == ARGV[1] then code, from = move(hold.status, to, hold.expires_at) end
  local status = (hold and code ~= -2 and code ~= -9) and tonumber(hold.status) or -1
  if code == 1 then
    status = tonumber(to)
    changed[id] = to .. string.sub(text, 2)
    if from then
      units[from] = units[from] - hold.quantity
      units.free = units.free + hold.quantity
      back = back + hold.quantity
      ended[#ended + 1] = id
      free_place(hold)
    end
    if to == '3' then
      expired[#expired + 1] = id
      expired[#expired + 1] = changed[id]
    end
  end
  reply[#reply + 1] = code
  reply[#reply + 1] = status
end

local holds = {}
for id, text in pairs(changed) do
  holds[#holds + 1] = id
  holds[#holds + 1] = text
end
if #holds > 0 then redis.call('HSET', KEYS[3], unpack(holds)) end
if #ended > 0 then
  redis.call('ZREM', KEYS[4], unpack(ended))
  redis.call('HSET', KEYS[2], 'free', units.free, 'held', units.held, 'sold', units.sold)
  redis.call('HINCRBY', KEYS[2], 'changes', 1)
end
if #expired > 0 then
  redis.call('XADD', KEYS[5], '*', 'expired', string.format('%.0f', now) .. ' ' .. item[5] .. ' ' .. item[6], unpack(expired))
end
reply[1] = back
return reply
