-- A hold is one string: status, expiresAt, epoch, sku, quantity, buyer number, correlation id, buyer id,
-- separated by line feeds. The status is an index into PURCHASE_STATUSES. See hold-codec.ts.
local HOLD = '^(%d)\n(%d+)\n%d+\n([^\n]*)\n(%d+)\n(%d*)\n[^\n]*\n(.*)$'
local function parse_hold(hold)
  local status, expires_at, sku, quantity, number, buyer = string.match(hold, HOLD)
  return {
    status = status, expires_at = tonumber(expires_at), sku = sku,
    quantity = tonumber(quantity), number = number, buyer = buyer,
  }
end
