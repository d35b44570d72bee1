-- Events in a job's life are counted in the same atomic step in which they happen, so that no crash can lose or double
-- a count. This part is put in front of every script, after the catalog of metrics (statistics_fields.py, which defines
-- the names of the fields). Counts only grow: Prometheus takes a count that shrinks for a restart and adds all of it
-- again.

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
