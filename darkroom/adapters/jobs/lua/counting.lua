-- What happens to jobs is counted in the step in which it happens, so that nothing that dies can lose or double a count.
-- It is put in front of every script, behind the catalog of metrics (statistics_fields.py, which tells how fields are
-- named). Counts only grow: Prometheus takes one that shrinks for a restart and counts all of it again.

local STATISTICS = 'darkroom:statistics'

local function count(by, ...)
  redis.call('HINCRBY', STATISTICS, table.concat({ ... }, '|'), by)
end

local function observe(milliseconds, metric, ...)
  milliseconds = math.max(milliseconds, 0) -- a clock that was set back
  local within = 'inf'
  for _, bound in ipairs(bounds_of(metric)) do
    if milliseconds <= bound then
      within = bound
      break
    end
  end
  local series = table.concat({ metric, ... }, '|')
  count(1, series, within)
  count(milliseconds, series, 'sum')
end
