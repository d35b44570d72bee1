#!lua flags=allow-oom,no-cluster
-- Retract jobs whose caller reported that nothing was accepted, because the answer was lost. Only that caller may do
-- so, and only as long as nobody else knows of the job: it was not emitted, not claimed, and not promised to another
-- POST. Before the deadline, the accept itself may still be in a socket's buffer, so it is too early to decide.
local caller, deadline = ARGV[2], tonumber(ARGV[3])
local FIRST_ID = 4

local function retract(job)
  count(1, JOBS_RETRACTED, job.type, job.cost)
  leave_lane(job)
  leave_pictures(job)
  redis.call('DEL', job.key)
  redis.call('ZREM', DEADLINES, job.id)
  redis.call('ZREM', unfinished('queued'), job.id)
  redis.call('SREM', unfinished_of(job.owner), job.id)
  leave_owner(job)
end

if now <= deadline then
  return { 'early' }
end
for at = FIRST_ID, #ARGV do
  local job = read(ARGV[at])
  if job and redis.call('HGET', job.key, 'caller') == caller then
    retract(job)
  end
end
return { 'done' }
