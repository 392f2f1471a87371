-- Where a buyer's units are counted: a bit (bit 0 marks that the key is there) where one unit is the limit and the
-- buyer has a number that keeps the bitmap below 2 MiB, else (nil) the hash of counts by buyer id.
local function buyer_bit(per_buyer, number)
  if per_buyer ~= 1 or number == '' then return nil end
  local n = tonumber(number)
  if n >= 16777216 then return nil end
  return n + 1
end
