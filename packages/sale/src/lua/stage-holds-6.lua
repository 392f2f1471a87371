--[[
Stages holds of one item, each once only: a repeated chunk changes nothing.
KEYS
  meta       hash of the shard
  item       hash of the item's counters
  holds      hash: purchase id to hold
  due        sorted set: purchase id by expiry
  bits       bitmap of buyers
  counts     hash of buyers' units
ARGV
  token      string   of the attempt that began
  each       hold: id string, text string
RETURNS
  number     1: staged; -9: another attempt took over
]]
-- @include hold
-- @include place
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return -9 end
local per_buyer = tonumber(redis.call('HGET', KEYS[2], 'perBuyer'))
for i = 2, #ARGV, 2 do
  local id, text = ARGV[i], ARGV[i + 1]
  local hold = parse_hold(text)
  local added = redis.call('HSETNX', KEYS[3], id, text) == 1
  if added and (hold.status == '0' or hold.status == '1') then
    redis.call('HINCRBY', KEYS[2], 'free', -hold.quantity)
    redis.call('HINCRBY', KEYS[2], hold.status == '0' and 'held' or 'sold', hold.quantity)
    local bit = buyer_bit(per_buyer, hold.number)
    if bit then redis.call('SETBIT', KEYS[5], bit, 1)
    else redis.call('HINCRBY', KEYS[6], hold.buyer, hold.quantity) end
    if hold.status == '0' then redis.call('ZADD', KEYS[4], hold.expires_at, id) end
  end
end
return 1
