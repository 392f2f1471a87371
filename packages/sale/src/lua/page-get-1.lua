--[[
Reads a page, and how long it is still kept.
KEYS
  page       hash of the page
ARGV
RETURNS
  (string | number)[]     version, loadMs, body, ms left; empty where there is none
]]
local page = redis.call('HMGET', KEYS[1], 'version', 'loadMs', 'body')
if not page[3] then return {} end
page[4] = redis.call('PTTL', KEYS[1])
return page
