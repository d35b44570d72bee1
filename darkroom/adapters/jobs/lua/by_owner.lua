-- Who has how many unfinished jobs, and whose jobs ended lately: what admission asks. Put in front of every script, before
-- common.lua, whose set_status keeps it up to date in the same step as the job.
--
-- Sets of ids rather than numbers: a change that is made twice changes nothing, and an entry whose record has vanished can
-- be found and removed (room.lua). A number that is wrong once would be wrong for ever.

local DRAIN_STEP = 10000 -- milliseconds
local DRAIN_STEPS = 6 -- the last minute

-- The owners by the time at which they posted last, so that a search over all of them need not look for their keys.
local OWNERS = 'darkroom:owners'

-- `kept`: for how many milliseconds an owner who posts nothing is remembered; 0: for ever.
local function remember_owner(owner, moment, kept)
  redis.call('ZADD', OWNERS, 'GT', moment, owner)
  if kept > 0 then
    redis.call('ZREMRANGEBYSCORE', OWNERS, '-inf', moment - kept)
  end
end

-- Takes a job off its owner's list, and the owner off theirs with the last one.
local function leave_owner(job)
  local list = 'darkroom:owner:' .. job.owner
  redis.call('ZREM', list, job.id)
  if redis.call('EXISTS', list) == 0 then
    redis.call('ZREM', OWNERS, job.owner)
  end
end

local function unfinished_of(owner)
  return 'darkroom:unfinished-of:' .. owner
end

local function drained(step)
  return 'darkroom:drained:' .. step -- the jobs that ended in ten seconds, by owner
end

local function enter_backlog(job)
  redis.call('SADD', unfinished_of(job.owner), job.id)
end

local function leave_backlog(job, now)
  redis.call('SREM', unfinished_of(job.owner), job.id)
  local key = drained(math.floor(now / DRAIN_STEP))
  if redis.call('HINCRBY', key, job.owner, 1) == 1 then
    redis.call('PEXPIRE', key, (DRAIN_STEPS + 1) * DRAIN_STEP)
  end
end
