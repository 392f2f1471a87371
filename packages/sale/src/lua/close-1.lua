--[[
Stops reservations in a shard for good. A shard that is not warm takes none already.
KEYS
  meta       hash of the shard
ARGV
  epoch      number   must not be lower than the shard's
RETURNS
  number     1: closed; -9: the shard is in a later epoch
]]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return 1 end
if tonumber(ARGV[1]) < tonumber(epoch) then return -9 end
redis.call('HSET', KEYS[1], 'state', 'closed')
return 1
