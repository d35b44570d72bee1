-- Shared by all scripts that may end a job, and put in front of each.

-- For a redriven job, count only that it ended again. Its duration includes the time as a dead letter, which says
-- nothing about how fast jobs are processed.
local function count_end(job, status, code)
  count(1, JOBS_ENDED, job.type, job.cost, status, code)
  if job.redriven > 0 then
    return
  end
  local lasted = now - job.created
  observe(lasted, JOB_DURATION, job.type, job.cost, status)
  if job.cost == 'standard' then
    local good = lasted <= OBJECTIVE_WITHIN and (status == 'completed' or is_blameless(code))
    count(1, OBJECTIVE_JOBS, tostring(good))
  end
end

local function finish(job, status, code)
  count_end(job, status, code)
  redis.call('HDEL', job.key, 'lease', 'claim', 'claimed', 'timeout', 'confirmed', 'caller', 'withdrawn', 'unheard')
  redis.call('HSET', job.key, 'finished', now)
  set_status(job, status)
  redis.call('ZREM', DEADLINES, job.id)
  leave_lane(job)
  let_uses_expire(job)
  thin(job)
  owe(job)
  if rules.final_kept > 0 then
    redis.call('PEXPIRE', job.key, rules.final_kept)
  end
end

-- Fail a job that nobody holds. The fence grows, so that a worker that comes back is refused. If the job is not with
-- the dead letters by the time `kept_by`, another sweep hands it out again.
local function give_up(job, error, kept_by)
  redis.call('ZADD', GIVEN_UP, kept_by, job.id)
  redis.call('HINCRBY', job.key, 'fence', 1)
  redis.call('HSETNX', job.key, 'error', error)
  finish(job, 'failed', code_of(redis.call('HGET', job.key, 'error')))
end

-- The fields of a job that its holder has just ended, and whether others wait for the room that it made.
local function fields_at_end(job)
  local found = fields(job)
  if is_room_wanted(lane_of(job)) then
    found[#found + 1] = 'room'
    found[#found + 1] = '1'
  end
  return found
end

-- Whether its owner cancelled the job. That is for good: it is not redriven.
local function is_cancelled(job)
  local error = job.status == 'failed' and redis.call('HGET', job.key, 'error')
  return error and code_of(error) == 'job.cancelled'
end
