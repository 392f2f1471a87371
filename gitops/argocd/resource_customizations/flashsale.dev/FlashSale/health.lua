-- The health of a FlashSale. The first line below that applies decides:
--   the operator has not looked at this generation yet       Progressing
--   an edit was refused; units do not add up; the proof of a
--   closed sale does not hold; aborted; stock was lost while
--   buyers may have some; not open although it is time        Degraded
--   paused, at a time when that keeps buyers out              Suspended
--   Scheduled, Armed, Open, closed with a proof that holds    Healthy
--   Warming, Draining, closed and being compared              Progressing
-- Scheduled is Healthy, since it may last for weeks: nothing is being done, and an application that waits for it would
-- never be synced. Only what ends within the lead time, or within the time that buyers have to pay, is Progressing.
-- No string functions here: they are not there for scripts in argocd-cm.
local os = require("os")

local function health(status, message)
  return { status = status, message = message }
end

-- The condition of a type; one that is not there yet is Unknown.
local function condition(type)
  for _, found in ipairs(obj.status.conditions or {}) do
    if found.type == type then
      return found
    end
  end
  return { status = "Unknown", message = "" }
end

local function is_late()
  local accepted = obj.status.accepted
  return obj.status.phase == "Warming" and accepted ~= nil and os.time() * 1000 >= accepted.opensAt
end

local function trouble()
  local status = obj.status
  local accepted, conserved, reconciled = condition("Accepted"), condition("Conserved"), condition("Reconciled")
  if accepted.status == "False" then
    if status.accepted == nil then
      return "The sale was refused: " .. accepted.message
    end
    return "An edit was refused, and the sale runs as it was accepted before: " .. accepted.message
  end
  if reconciled.status == "False" then
    return "The proof does not hold: " .. reconciled.message
  end
  if conserved.status == "False" then
    return "Units do not add up: " .. conserved.message
  end
  if status.phase == "Aborted" then
    return "The sale was aborted: " .. (status.message or "")
  end
  if (status.phase == "Open" or status.phase == "Draining") and conserved.status == "Unknown" then
    return "Buyers are turned away until the operator has rebuilt the stock: " .. conserved.message
  end
  if is_late() then
    return "It is time, and the sale is not open: " .. (status.message or "")
  end
  return nil
end

-- By phase: whether a pause means anything, and the health where nothing else decides.
local phases = {
  Scheduled = { pausable = true, health = "Healthy" },
  Warming = { pausable = true, health = "Progressing" },
  Armed = { pausable = true, health = "Healthy" },
  Open = { pausable = true, health = "Healthy" },
  Draining = { pausable = false, health = "Progressing" },
  Closed = { pausable = false, health = "Progressing" },
}

local status = obj.status
if status == nil or status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) then
  return health("Progressing", "Waiting for the operator to look at the sale as it is now")
end

local reason = trouble()
if reason ~= nil then
  return health("Degraded", reason)
end

local phase = phases[status.phase]
if phase == nil then
  return health("Unknown", "This script knows no phase " .. (status.phase or "") .. ": install the one of your operator")
end

if phase.pausable and condition("Paused").status == "True" then
  return health("Suspended", status.phase .. " and paused: nobody can buy until spec.paused is false")
end

if status.phase == "Closed" then
  local reconciled = condition("Reconciled")
  return health(reconciled.status == "True" and "Healthy" or phase.health, "Closed: " .. reconciled.message)
end

return health(phase.health, status.phase .. ": " .. (status.message or ""))
