--[[
Reads one item of a shard in one instant. Writes nothing.
KEYS
  meta       hash of the shard
  item       hash of the item's counters
  holds      hash: purchase id to hold
  due        sorted set: purchase id by expiry
  outbox     stream for the relay
  bits       bitmap of buyers
  counts     hash of buyers' units
  transfers  hash of transfers
ARGV
RETURNS
  (number | string)[]   epoch (-8: not warm), stock, free, held, sold, changes, outbox entries; then the transfers hash, field by field
]]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local item = redis.call('HMGET', KEYS[2], 'stock', 'free', 'held', 'sold', 'changes')
if not epoch or not item[1] or redis.call('EXISTS', unpack(KEYS)) < 8 then return { -8 } end
local reply = { tonumber(epoch) }
for i = 1, 5 do reply[i + 1] = tonumber(item[i]) end
reply[7] = redis.call('XLEN', KEYS[5])
for _, value in ipairs(redis.call('HGETALL', KEYS[8])) do reply[#reply + 1] = value end
return reply
