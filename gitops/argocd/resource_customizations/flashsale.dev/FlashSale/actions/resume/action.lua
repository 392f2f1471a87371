-- Buyers can buy again, within the window of the sale.
obj.spec.paused = false
return obj
