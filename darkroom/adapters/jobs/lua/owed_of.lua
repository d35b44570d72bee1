#!lua flags=no-writes,no-cluster
-- What is owed for a job: endpoint, webhook id, failed tries, since when, the last error, and when it is due, if it is.
local job_id, found = ARGV[2], {}
for _, field in ipairs(redis.call('HKEYS', owed_of(job_id))) do
  local number, endpoint = field:match('^(%d+) (.+)$')
  if number then
    local webhook_id = job_id .. '-' .. number
    local state = owed_state(endpoint, webhook_id)
    found[#found + 1] = { endpoint, webhook_id, state.tries, state.since, state.code,
      redis.call('ZSCORE', owed_due(endpoint), webhook_id) or '' }
  end
end
return found
