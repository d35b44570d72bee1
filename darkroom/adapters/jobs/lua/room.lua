-- Shared by accept.lua and admission.lua, and put in front of both: how much is unfinished, and how fast it ends.

local EVERYBODY = false

-- The id of the job that was first: the one bound to the idempotency key, or the job's own.
local function first_id(job)
  local bound = job.binding and redis.call('GET', job.binding)
  if bound and redis.call('EXISTS', job_key(bound)) == 1 then
    return bound
  end
  return job.id
end

-- How many jobs of the owner ended in the last minute, and within how many milliseconds: since the first of them, to the
-- step, so that whoever has just begun is not taken for slow.
local function drain_of(owner)
  local ended, since = 0, now
  local latest_step = math.floor(now / DRAIN_STEP)
  for step = latest_step, latest_step - DRAIN_STEPS + 1, -1 do
    local counts = owner and { redis.call('HGET', drained(step), owner) } or redis.call('HVALS', drained(step))
    for _, number in ipairs(counts) do
      if number then
        ended, since = ended + number, step * DRAIN_STEP
      end
    end
  end
  return ended, now - since
end

-- What the answer of a refusal is made of: unfinished jobs, ended jobs, the time in which they ended, and the age of the
-- oldest unfinished job. Without an owner, those of everybody.
local function load_of(owner)
  local queued, processing, oldest_age = unpack(unfinished_jobs())
  local number = owner and redis.call('SCARD', unfinished_of(owner)) or queued + processing
  local ended, within = drain_of(owner)
  return { number, ended, within, oldest_age }
end
