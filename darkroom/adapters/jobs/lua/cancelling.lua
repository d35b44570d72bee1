-- Shared by cancel.lua and erase.lua, and put in front of both.

-- End a job that is not final, whoever has it. The fence grows, so that its worker's completion is refused. It is no
-- dead letter: nobody gave it up.
local function cancel(job, error)
  if is_held(job) then
    record_end(job, now, code_of(error))
  else
    record_lost_attempt(job)
  end
  redis.call('HSET', job.key, 'error', error)
  redis.call('HINCRBY', job.key, 'fence', 1)
  finish(job, 'failed', code_of(error))
end
