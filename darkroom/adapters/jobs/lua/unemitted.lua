#!lua flags=allow-oom,no-cluster
-- Hand out at most `limit` of the overdue jobs whose current emission the broker is not known to have. The same event
-- is sent again. Everything else that is overdue is left to recovery.
local limit = tonumber(ARGV[2])
local EXAMINED = 1000
local found = {}
for _, id in ipairs(redis.call('ZRANGE', DEADLINES, '-inf', now, 'BYSCORE', 'LIMIT', 0, EXAMINED)) do
  local job = #found < limit and read(id)
  if job and job.status == 'queued' and is_readable(job) and job.confirmed < job.emissions and not is_spent(job)
    and emit(job) == 'emit' then
    found[#found + 1] = { id, fields(job) }
  end
end
return found
