#!lua flags=allow-oom,no-cluster
-- Extend the lease. One that ran out is resumed as long as nobody else has claimed the job.
local job, fence = read(ARGV[2]), tonumber(ARGV[3])
if not job then
  erase_what_came_late(ARGV[2])
end
if not job or not is_holder(job, fence) then
  return { 'stale' }
end
if remove_end(job) then
  -- Recovery took the worker for dead, but it is alive.
  redis.call('HSET', job.key, 'history', job.history)
  redis.call('HDEL', job.key, 'error')
end
redis.call('HSET', job.key, 'lease', now + rules.lease)
set_status(job, 'processing')
set_due_in(job, rules.lease)
return { 'done' }
