--[[
Keeps a page, unless a newer version of it is there.
KEYS
  page       hash of the page
ARGV
  version    number   the catalog's version that it shows
  loadMs     number   how long it took to make
  body       string   what callers get
  ttlMs      number   how long it is kept
RETURNS
  number     1: kept; 0: a newer one was there and stays
]]
local there = redis.call('HGET', KEYS[1], 'version')
if there and tonumber(there) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'loadMs', ARGV[2], 'body', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
