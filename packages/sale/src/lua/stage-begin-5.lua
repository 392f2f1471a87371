--[[
Begins to replace a shard's state. The shard is not warm from here until stage-activate. `token` names this attempt: a
later one takes over, and the steps of the earlier one are refused. What the relay has not yet sent is kept.
KEYS
  meta       hash of the shard
  holds      hash: purchase id to hold
  due        sorted set: purchase id by expiry
  transfers  hash of transfers
  outbox     stream for the relay
ARGV
  epoch      number   the new epoch
  again      number   1: a shard that is active in this very epoch is replaced too
  token      string
RETURNS
  number     0: begun; else the epoch that is active and stays
]]
local epoch = tonumber(ARGV[1])
local active = tonumber(redis.call('HGET', KEYS[1], 'epoch') or -1)
local staged = tonumber(redis.call('HGET', KEYS[1], 'staged') or -1)
if active > epoch or (active == epoch and ARGV[2] ~= '1') then return active end
if staged > epoch then return staged end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('HSET', KEYS[1], 'staged', ARGV[1], 'token', ARGV[3])
-- A member without a name keeps each key in being while it is empty, so that a missing key means a loss.
redis.call('HSET', KEYS[2], '', '')
redis.call('ZADD', KEYS[3], '+inf', '')
redis.call('HSET', KEYS[4], '', '')
if redis.call('EXISTS', KEYS[5]) == 0 then redis.call('XGROUP', 'CREATE', KEYS[5], 'relay', '0', 'MKSTREAM') end
return 0
