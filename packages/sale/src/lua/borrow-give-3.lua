--[[
Puts the units of a transfer into the borrowing shard, once only: transfers between two shards are numbered, and the
last number that arrived is kept, so that a late repetition finds it done however long ago that was.
KEYS
  meta       hash of the borrowing shard
  item       hash of the item's counters there
  transfers  hash of transfers there
ARGV
  epoch      number   must be the shard's
  sku        string
  from       number   the lending shard
  transfer   number
  units      number
RETURNS
  number     1: given; 2: it was given before; -8: not warm; -9: wrong epoch
]]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch or redis.call('EXISTS', KEYS[2], KEYS[3]) < 2 then return -8 end
if epoch ~= ARGV[1] then return -9 end
local field = 'in:' .. ARGV[3] .. ':' .. ARGV[2]
if tonumber(ARGV[4]) <= tonumber(redis.call('HGET', KEYS[3], field) or 0) then return 2 end
redis.call('HSET', KEYS[3], field, ARGV[4])
redis.call('HINCRBY', KEYS[2], 'free', ARGV[5])
redis.call('HINCRBY', KEYS[2], 'changes', 1)
return 1
