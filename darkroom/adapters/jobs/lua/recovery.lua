-- What recover.lua and recover_overdue.lua have in common. It is put in front of both.

-- Emit the job: the present emission once more while nothing says that the broker had it (the same event id then, and
-- no emission is used up by a broker that is down), else a new one.
local function emit(job)
  count(1, JOBS_EMITTED_AGAIN, job.type)
  redis.call('HDEL', job.key, 'lease', 'caller')
  if job.confirmed >= job.emissions then
    job.emissions = redis.call('HINCRBY', job.key, 'emissions', 1)
  end
  set_status(job, 'queued')
  set_due_in(job, rules.unemitted_due_after)
end

local function is_spent(job)
  return job.attempts >= rules.max_attempts
    or (job.confirmed >= job.emissions and job.emissions - job.redriven >= rules.max_emissions)
end

-- A job that was given up and not yet kept with the dead letters is handed out once more.
local function hand_out_again(job)
  redis.call('ZADD', GIVEN_UP, now + rules.keep_within, job.id)
end
