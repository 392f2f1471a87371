--[[
Forgets relays that have been silent for long and have nothing in their hands: every process is a relay under a name
of its own, and its name would stay for ever. One step, so that none takes an entry in between and loses it.
KEYS
  outbox     stream for the relay
ARGV
  idleMs     number   silent for more than so long
RETURNS
  number     relays forgotten
]]
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local forgotten = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], 'relay')) do
  local relay = {}
  for i = 1, #fields, 2 do relay[fields[i]] = fields[i + 1] end
  if relay.pending == 0 and relay.idle > tonumber(ARGV[1]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'relay', relay.name)
    forgotten = forgotten + 1
  end
end
return forgotten
