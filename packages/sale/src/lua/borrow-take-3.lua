--[[
Takes free units out of a shard for another one, and notes them as on their way. One transfer at a time is open between
two shards for an item; where one is open already, that one is returned and must be completed first.
Takes half of what is free, so that one borrowing serves many purchases, and at least `least` where there is as much.
KEYS
  meta       hash of the lending shard
  item       hash of the item's counters there
  transfers  hash of transfers there
ARGV
  epoch      number   must be the shard's
  sku        string
  to         number   the borrowing shard
  least      number   units
RETURNS
  number[]   code (1: open, 0: nothing free, -8: not warm, -9: wrong epoch), transfer number, units
]]
local epoch = redis.call('HGET', KEYS[1], 'epoch')
local free = redis.call('HGET', KEYS[2], 'free')
if not epoch or not free or redis.call('EXISTS', KEYS[3]) == 0 then return { -8, 0, 0 } end
if epoch ~= ARGV[1] then return { -9, 0, 0 } end
local pair = ARGV[3] .. ':' .. ARGV[2]
local open = redis.call('HGET', KEYS[3], 'out:' .. pair)
if open then
  local number, units = string.match(open, '^(%d+):(%d+)$')
  return { 1, tonumber(number), tonumber(units) }
end
local units = math.min(tonumber(free), math.max(tonumber(ARGV[4]), math.ceil(free / 2)))
if units <= 0 then return { 0, 0, 0 } end
redis.call('HINCRBY', KEYS[2], 'free', -units)
local number = redis.call('HINCRBY', KEYS[3], 'seq:' .. pair, 1)
redis.call('HSET', KEYS[3], 'out:' .. pair, number .. ':' .. units)
return { 1, number, units }
