--[[
Makes the staged state the shard's state: the epoch is written last.
KEYS
  meta       hash of the shard
  holds      hash: purchase id to hold
ARGV
  token      string   of the attempt that began
  epoch      number
  holds      number   how many were staged
  opensAt    number   Unix ms
  closesAt   number   Unix ms
  state      string   open, paused or closed
  holdForMs  number
  members    number   1: members only
RETURNS
  number     1: active; 2: it already was; -8: staged holds are missing; -9: another attempt took over
]]
local meta = redis.call('HMGET', KEYS[1], 'token', 'epoch')
if meta[1] ~= ARGV[1] then return -9 end
if meta[2] == ARGV[2] then return 2 end
if redis.call('HLEN', KEYS[2]) ~= ARGV[3] + 1 then return -8 end
redis.call('HDEL', KEYS[1], 'staged')
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'opensAt', ARGV[4], 'closesAt', ARGV[5], 'state', ARGV[6],
  'holdForMs', ARGV[7], 'membersOnly', ARGV[8])
return 1
