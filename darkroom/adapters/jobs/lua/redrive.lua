#!lua flags=no-cluster
-- Queue a failed job again at a person's request, with new parameters if given. The fence grows, so that no earlier
-- worker can act for it. A second call answers that there is nothing to do. Refused when memory is full (no allow-oom):
-- a redrive adds work, and the dead letter is still there.
local job, parameters = read(ARGV[2]), ARGV[3]
if not job then
  return { 'nothing', {} }
end
if job.status ~= 'failed' or is_cancelled(job) then
  return { 'nothing', fields(job) }
end

count(1, JOBS_REDRIVEN, job.type)
redis.call('ZREM', GIVEN_UP, job.id)
redis.call('PERSIST', job.key)
restore(job)
redis.call('HDEL', job.key, 'error', 'finished', 'worker', 'released', 'timings')
if parameters ~= '' then
  redis.call('HSET', job.key, 'parameters', parameters)
end
use_pictures(job)
redis.call('HSET', job.key, 'attempts', 0, 'redriven', job.emissions)
redis.call('HINCRBY', job.key, 'redrives', 1)
redis.call('HINCRBY', job.key, 'fence', 1)
redis.call('HINCRBY', job.key, 'emissions', 1)
set_status(job, 'queued')
if not enter_lane(job) then
  return { 'wait', fields(job) }
end
set_due_in(job, rules.unemitted_due_after)
return { 'emit', fields(job) }
