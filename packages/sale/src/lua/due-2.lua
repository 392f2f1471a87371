--[[
Holds whose time has passed, oldest first. Writes nothing.
KEYS
  due        sorted set: purchase id by expiry
  holds      hash: purchase id to hold
ARGV
  limit      number
RETURNS
  string[]   id and sku of each
]]
-- @include clock
local ids = redis.call('ZRANGE', KEYS[1], 0, string.format('%.0f', now_ms()), 'BYSCORE', 'LIMIT', 0, ARGV[1])
if #ids == 0 then return {} end
local reply = {}
for i, text in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
  if text then
    reply[#reply + 1] = ids[i]
    reply[#reply + 1] = string.match(text, '^%d\n%d+\n%d+\n([^\n]*)\n')
  end
end
return reply
