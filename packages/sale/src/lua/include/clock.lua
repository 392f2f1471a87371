-- Unix time in ms by this server's clock, the only clock that decides about a sale.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
