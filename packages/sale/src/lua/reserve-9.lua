--[[
Reserves a batch of purchases of one item in one shard: stock, buyers' places, holds and the outbox in one step.
Idempotent by purchase id. Nothing is written for a purchase that is refused.
A body is the part of a hold that the caller knows (hold-codec.ts): quantity, buyer number, correlation id, buyer id.
KEYS
  meta       hash of the shard
  item       hash of the item's counters
  holds      hash: purchase id to hold
  due        sorted set: purchase id by expiry
  outbox     stream for the relay
  bits       bitmap of buyers
  counts     hash of buyers' units
  transfers  hash of transfers; only checked for presence
  eligible   bitmap of members
ARGV
  epoch      number   the caller's epoch; must be the shard's
  sku        string
  each       purchase: id string, body string
RETURNS
  (number | string)[]   expiresAt of new holds in Unix ms; then for each purchase a RESERVE code, or the hold where it was here before
]]
-- @include clock
-- @include place
-- @include answer
local FIRST, WIDTH = 3, 2
local BODY = '^(%d+)\n(%d*)\n[^\n]*\n(.*)$'
local n = (#ARGV - FIRST + 1) / WIDTH
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'opensAt', 'closesAt', 'state', 'holdForMs', 'membersOnly')
local item = redis.call('HMGET', KEYS[2], 'free', 'held', 'perBuyer', 'price', 'currency')
local members = meta[6] == '1'
local present = redis.call('EXISTS', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], members and KEYS[9] or KEYS[1])
if not meta[1] or not item[1] or present < 7 then return same_for_all(0, n, -8) end
if meta[1] ~= ARGV[1] then return same_for_all(0, n, -9) end

local now = now_ms()
local expires_at = string.format('%.0f', now + meta[5])
local free, held, per_buyer = tonumber(item[1]), tonumber(item[2]), tonumber(item[3])
local gate = nil
if meta[4] == 'closed' or now >= tonumber(meta[3]) then gate = -4
elseif now < tonumber(meta[2]) then gate = -3
elseif meta[4] == 'paused' then gate = -5 end

local ids, bodies, units, numbers, buyers = {}, {}, {}, {}, {}
for i = 1, n do
  local at = FIRST + (i - 1) * WIDTH
  ids[i], bodies[i] = ARGV[at], ARGV[at + 1]
  units[i], numbers[i], buyers[i] = string.match(bodies[i], BODY)
end
local known = redis.call('HMGET', KEYS[3], unpack(ids))

-- What each buyer has, read in one go: `place` is a bit's offset (number) or a buyer id (string).
local place, taken = {}, {}
if not gate then
  local gets, offsets, counted = {}, {}, {}
  for i = 1, n do
    local bit = buyer_bit(per_buyer, numbers[i])
    if bit then
      place[i] = bit
      offsets[#offsets + 1] = bit
      gets[#gets + 1] = 'GET'
      gets[#gets + 1] = 'u1'
      gets[#gets + 1] = bit
    else
      place[i] = buyers[i]
      counted[#counted + 1] = buyers[i]
    end
  end
  if #offsets > 0 then
    local bits = redis.call('BITFIELD', KEYS[6], unpack(gets))
    for j = 1, #offsets do taken[offsets[j]] = bits[j] end
  end
  if #counted > 0 then
    local counts = redis.call('HMGET', KEYS[7], unpack(counted))
    for j = 1, #counted do taken[counted[j]] = tonumber(counts[j] or 0) end
  end
end

local function eligible(number)
  return number ~= '' and redis.call('GETBIT', KEYS[9], number + 1) == 1
end

local head = '0\n' .. expires_at .. '\n' .. ARGV[1] .. '\n' .. ARGV[2] .. '\n'
local reply, made, holds, due, granted = { tonumber(expires_at) }, {}, {}, {}, {}
for i = 1, n do
  local id, quantity, where = ids[i], tonumber(units[i]), place[i]
  local old = made[id] or known[i]
  local code
  if old then
    local sku, had = string.match(old, '^%d\n%d+\n%d+\n([^\n]*)\n(%d+)\n')
    code = (sku == ARGV[2] and had == units[i]) and old or -6
  elseif gate then code = gate
  elseif members and not eligible(numbers[i]) then code = -7
  elseif taken[where] + quantity > per_buyer then code = -2
  elseif quantity > free then code = -1
  else
    code = 1
    free = free - quantity
    held = held + quantity
    taken[where] = taken[where] + quantity
    granted[where] = true
    local hold = head .. bodies[i]
    made[id] = hold
    holds[#holds + 1] = id
    holds[#holds + 1] = hold
    due[#due + 1] = expires_at
    due[#due + 1] = id
  end
  reply[i + 1] = code
end
if #holds == 0 then return reply end

local sets, counts = {}, {}
for where in pairs(granted) do
  if type(where) == 'number' then
    sets[#sets + 1] = 'SET'
    sets[#sets + 1] = 'u1'
    sets[#sets + 1] = where
    sets[#sets + 1] = 1
  else
    counts[#counts + 1] = where
    counts[#counts + 1] = taken[where]
  end
end
redis.call('HSET', KEYS[2], 'free', free, 'held', held)
redis.call('HSET', KEYS[3], unpack(holds))
redis.call('ZADD', KEYS[4], unpack(due))
if #sets > 0 then redis.call('BITFIELD', KEYS[6], unpack(sets)) end
if #counts > 0 then redis.call('HSET', KEYS[7], unpack(counts)) end
redis.call('XADD', KEYS[5], '*', 'reserved', string.format('%.0f', now) .. ' ' .. item[4] .. ' ' .. item[5], unpack(holds))
return reply
