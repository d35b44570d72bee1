#!lua flags=allow-oom,no-cluster
-- Take back jobs whose caller was told that nothing was accepted, because the answer got lost. Only their own caller may,
-- and only as long as nobody else knows of the job: it was not emitted, not claimed, and not promised to another POST.
-- Before the deadline the accept itself may still lie in a socket's buffer: then it is too early to tell.
local caller, deadline = ARGV[2], tonumber(ARGV[3])
local FIRST_ID = 4

local function take_back(job)
  local owner = redis.call('HGET', job.key, 'owner')
  count(1, JOBS_RETRACTED, job.type, job.cost)
  redis.call('DEL', job.key)
  redis.call('ZREM', DEADLINES, job.id)
  redis.call('ZREM', unfinished('queued'), job.id)
  redis.call('ZREM', 'darkroom:owner:' .. owner, job.id)
end

if now <= deadline then
  return { 'early' }
end
for at = FIRST_ID, #ARGV do
  local job = read(ARGV[at])
  if job and redis.call('HGET', job.key, 'caller') == caller then
    take_back(job)
  end
end
return { 'done' }
