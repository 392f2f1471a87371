-- Nobody can buy until the sale is resumed. Its window goes on, and what is in payment is settled.
obj.spec.paused = true
return obj
