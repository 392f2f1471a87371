--[[
Acknowledges and deletes outbox entries in one step, so that the stream's length is what the relay has yet to send.
KEYS
  outbox     stream for the relay
ARGV
  each       entry: id string
RETURNS
  number     entries deleted
]]
redis.call('XACK', KEYS[1], 'relay', unpack(ARGV))
return redis.call('XDEL', KEYS[1], unpack(ARGV))
