--[[
Forgets a transfer in the lending shard, after it was given.
KEYS
  meta       hash of the lending shard
  transfers  hash of transfers there
ARGV
  epoch      number   must be the shard's
  sku        string
  to         number   the borrowing shard
  transfer   number
RETURNS
  number     1: forgotten; 2: it was before; -8: not warm; -9: wrong epoch
]]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return -8 end
if epoch ~= ARGV[1] then return -9 end
local field = 'out:' .. ARGV[3] .. ':' .. ARGV[2]
local open = redis.call('HGET', KEYS[2], field)
if not open or string.match(open, '^%d+') ~= ARGV[4] then return 2 end
redis.call('HDEL', KEYS[2], field)
return 1
