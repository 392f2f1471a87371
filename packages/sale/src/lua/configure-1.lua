--[[
Sets the window, the pause and the time of a hold of a warm shard. A closed shard stays closed.
KEYS
  meta       hash of the shard
ARGV
  epoch      number   must be the shard's
  opensAt    number   Unix ms
  closesAt   number   Unix ms
  state      string   open or paused
  holdForMs  number
  members    number   1: members only
RETURNS
  number     1: done; -8: not warm; -9: wrong epoch
]]
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if not meta[1] then return -8 end
if meta[1] ~= ARGV[1] then return -9 end
local state = meta[2] == 'closed' and 'closed' or ARGV[4]
redis.call('HSET', KEYS[1], 'opensAt', ARGV[2], 'closesAt', ARGV[3], 'state', state, 'holdForMs', ARGV[5], 'membersOnly', ARGV[6])
return 1
