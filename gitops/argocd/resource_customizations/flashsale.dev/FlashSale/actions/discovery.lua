-- What can be done to a FlashSale by a button. A pause keeps buyers out from the opening on; once the sale is over
-- there is nobody to keep out.
local over = { Draining = true, Closed = true, Aborted = true }
local phase = obj.status ~= nil and obj.status.phase or "Scheduled"
local applies = not over[phase] and obj.metadata.deletionTimestamp == nil
local paused = obj.spec.paused == true

local actions = {}

actions["pause"] = {
  ["disabled"] = paused or not applies,
  ["displayName"] = "Pause",
  ["iconClass"] = "fa fa-fw fa-pause-circle",
}

actions["resume"] = {
  ["disabled"] = not (paused and applies),
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play-circle",
}

return actions
