#!lua flags=allow-oom,no-cluster
-- Take back a job whose caller was told that nothing was accepted, because the answer got lost. Only its own caller may,
-- and only as long as nobody else knows of the job: it was not emitted, not claimed, and not promised to another POST.
-- Before the deadline the accept itself may still lie in a socket's buffer: then it is too early to tell.
local job, caller, deadline = read(ARGV[2]), ARGV[3], tonumber(ARGV[4])
if now <= deadline then
  return { 'early', deadline - now + 1 }
end
if not job or redis.call('HGET', job.key, 'caller') ~= caller then
  return { 'done', 0 }
end
local owner = redis.call('HGET', job.key, 'owner')
count(1, JOBS_RETRACTED, job.type, job.cost)
redis.call('DEL', job.key)
redis.call('ZREM', DEADLINES, job.id)
redis.call('ZREM', unfinished('queued'), job.id)
redis.call('ZREM', 'darkroom:owner:' .. owner, job.id)
return { 'done', 1 }
