#!lua flags=allow-oom,no-cluster
-- Count the attempt, set the lease and the fence. Each claim has a new `token`: the same claim sent twice, because its
-- answer was lost, gets the same lease. A copy may arrive after its caller has withdrawn the claim or its lease has
-- ended. Nobody waits for it any more, so it must not begin another attempt.
local job, worker, token, error = read(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
if not job then
  erase_what_came_late(ARGV[2])
  return { is_erased(ARGV[2]) and 'erased' or 'unknown' }
end
if is_final(job) then
  return { 'final', fields(job) }
end
if is_held(job) and job.claim == token then
  return { 'lease', fields(job) }
end
if job.claim == token or is_unheard(job, token) or is_withdrawn(job, token) then
  return { 'late' }
end
if is_held(job) then
  return { 'held', fields(job), job.lease - now, now - (job.claimed or now) }
end
record_lost_attempt(job)
if job.attempts >= rules.max_attempts then
  give_up(job, error, now)
  return { 'spent', fields_at_end(job) }
end

-- The error is always that of the latest attempt, and this claim begins a new one. The claim also proves that the
-- broker had the emission.
enter_window(job)
redis.call('HDEL', job.key, 'error', 'caller')
redis.call('HINCRBY', job.key, 'attempts', 1)
redis.call('HINCRBY', job.key, 'fence', 1)
redis.call('HSET', job.key, 'worker', worker, 'claim', token, 'lease', now + rules.lease, 'confirmed', job.emissions,
  'claimed', now, 'timeout', rules.job_timeout)
if redis.call('HSETNX', job.key, 'started', now) == 1 then
  observe(now - job.created, JOB_STAGE_DURATION, job.type, 'queued')
end
set_status(job, 'processing')
set_due_in(job, rules.lease)
return { 'lease', fields(job) }
