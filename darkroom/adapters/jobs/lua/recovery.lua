-- Shared by recover.lua and recover_overdue.lua, and put in front of both.

-- Emit the job again. As long as nothing confirms that the broker got the current emission, that one is repeated with
-- the same event id, so that a broker that is down uses up no emission. Otherwise it is a new emission. A job that has
-- left the window, while something was down, may have to wait for a place in it. Returns the caller's next step.
local function emit(job)
  count(1, JOBS_EMITTED_AGAIN, job.type)
  redis.call('HDEL', job.key, 'lease', 'caller')
  if job.confirmed >= job.emissions then
    job.emissions = redis.call('HINCRBY', job.key, 'emissions', 1)
  end
  set_status(job, 'queued')
  if not enter_lane(job) then
    return 'wait'
  end
  set_due_in(job, rules.unemitted_due_after)
  return 'emit'
end

-- Whether the record has all that recovery works with, in a state that this version knows.
local function is_readable(job)
  local known = job.status == 'queued' or job.status == 'processing' or is_final(job)
  return known and job.fence and job.attempts and job.emissions and job.created and job.type
    and (job.status ~= 'processing' or job.timeout)
end

local function is_spent(job)
  return job.attempts >= rules.max_attempts
    or (job.confirmed >= job.emissions and job.emissions - job.redriven >= rules.max_emissions)
end

-- Hand out once more a job that was given up and is not yet with the dead letters.
local function hand_out_again(job)
  redis.call('ZADD', GIVEN_UP, now + rules.keep_within, job.id)
end
