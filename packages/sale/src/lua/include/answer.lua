-- The same code for each of n purchases, behind the head of the reply.
local function same_for_all(head, n, code, width)
  local reply = { head }
  for i = 1, n do
    reply[#reply + 1] = code
    if width == 2 then reply[#reply + 1] = -1 end
  end
  return reply
end
