--[[
Raises an item's stock in a shard to its share of the new total. Never lowers it.
KEYS
  meta       hash of the shard
  item       hash of the item's counters
ARGV
  epoch      number   must be the shard's
  stock      number   the share
RETURNS
  number     units added; -8: not warm; -9: wrong epoch
]]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local stock = redis.call('HGET', KEYS[2], 'stock')
if not epoch or not stock then return -8 end
if epoch ~= ARGV[1] then return -9 end
local more = ARGV[2] - stock
if more <= 0 then return 0 end
redis.call('HSET', KEYS[2], 'stock', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'free', more)
redis.call('HINCRBY', KEYS[2], 'changes', 1)
return more
