--[[
Stages one item: its counters without any hold, and nobody's place taken.
KEYS
  meta       hash of the shard
  item       hash of the item's counters
  bits       bitmap of buyers
  counts     hash of buyers' units
ARGV
  token      string   of the attempt that began
  stock      number   this shard's share of the stock
  free       number   units here before the staged holds are taken off
  perBuyer   number
  price      number   minor units for one
  currency   string
RETURNS
  number     1: staged; -9: another attempt took over
]]
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return -9 end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'stock', ARGV[2], 'free', ARGV[3], 'held', 0, 'sold', 0, 'changes', 0,
  'perBuyer', ARGV[4], 'price', ARGV[5], 'currency', ARGV[6])
redis.call('SETBIT', KEYS[3], 0, 1)
redis.call('HSET', KEYS[4], '', '')
return 1
