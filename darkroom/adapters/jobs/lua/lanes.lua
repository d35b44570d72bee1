-- Lanes, shared by all scripts. A lane has the jobs of one type and cost class, so one Trigger delivers them. At most
-- `rules.window` of them are with the broker; the others wait in line and have no deadline. Room goes to the waiting
-- owners in fair turns, by start-time fair queueing (Goyal, Vin and Cheng, 1996): each turn starts where the owner's
-- last one ended, but not before the lane's clock, which is the start of the turn that was last given. A turn is as
-- long as its job is dear, divided by the owner's weight, so whoever comes new is served next, whatever waits already.

local LANES = 'darkroom:lanes' -- how many wait, by lane; only lanes in which any does
local CLOCKS = 'darkroom:lane-clocks'

local function lane_of(job)
  return job.type .. '|' .. job.cost
end

local function window(lane)
  return 'darkroom:window:' .. lane -- the jobs that are with the broker
end

local function turns(lane)
  return 'darkroom:turns:' .. lane -- the owners that wait, by the start of their next turn
end

local function ended_turns(lane)
  return 'darkroom:ended-turns:' .. lane -- owners by the end of their last turn, where that is ahead of the clock
end

local function line(lane, owner)
  return 'darkroom:line:' .. lane .. ':' .. owner -- the owner's jobs that wait, by the time of their acceptance
end

local function has_room(lane)
  return rules.window == 0 or redis.call('SCARD', window(lane)) < rules.window
end

local function is_any_waiting(lane)
  return redis.call('HEXISTS', LANES, lane) == 1
end

local function clock_of(lane)
  return tonumber(redis.call('HGET', CLOCKS, lane)) or 0
end

-- When nobody waits any more, nobody has an advantage to lose.
local function count_waiting(lane, by)
  if redis.call('HINCRBY', LANES, lane, by) <= 0 then
    redis.call('HDEL', LANES, lane)
    redis.call('HDEL', CLOCKS, lane)
    redis.call('ZREMRANGEBYSCORE', ended_turns(lane), '-inf', '+inf')
  end
end

local function remove_from_line(lane, owner, id)
  if redis.call('ZREM', line(lane, owner), id) == 0 then
    return
  end
  if redis.call('EXISTS', line(lane, owner)) == 0 then
    redis.call('ZREM', turns(lane), owner)
  end
  count_waiting(lane, -1)
end

local function leave_line(job)
  if job.waits then
    remove_from_line(lane_of(job), job.owner, job.id)
    redis.call('HDEL', job.key, 'waits')
    job.waits = false
  end
end

local function leave_lane(job)
  leave_line(job)
  redis.call('SREM', window(lane_of(job)), job.id)
end

local function enter_window(job)
  leave_line(job)
  if rules.window > 0 then
    redis.call('SADD', window(lane_of(job)), job.id)
  end
end

local function stand_in_line(job)
  local lane = lane_of(job)
  redis.call('SREM', window(lane), job.id)
  redis.call('ZREM', DEADLINES, job.id)
  redis.call('HSET', job.key, 'waits', 1)
  job.waits = true
  if redis.call('ZADD', line(lane, job.owner), job.created, job.id) == 0 then
    return
  end
  count_waiting(lane, 1)
  if redis.call('ZCARD', line(lane, job.owner)) == 1 then
    local last = tonumber(redis.call('ZSCORE', ended_turns(lane), job.owner)) or 0
    redis.call('ZADD', turns(lane), math.max(clock_of(lane), last), job.owner)
  end
end

-- Let a job into the window, or let it wait behind those that came before. Returns whether it is in the window.
local function enter_lane(job)
  local lane = lane_of(job)
  local is_in = redis.call('SISMEMBER', window(lane), job.id) == 1
  if is_in or (has_room(lane) and not is_any_waiting(lane)) then
    enter_window(job)
    return true
  end
  stand_in_line(job)
  return false
end

-- Whether it is time to call next_in_line.lua: when a quarter of the window is free, or room for all that wait. One call
-- then hands out several jobs. Nobody is idle meanwhile: the window is twice what is processed at once.
local function is_room_wanted(lane)
  local waiting = tonumber(redis.call('HGET', LANES, lane)) or 0
  if waiting == 0 or rules.window == 0 then
    return waiting > 0
  end
  local free = rules.window - redis.call('SCARD', window(lane))
  return free >= math.min(waiting, math.max(1, math.floor(rules.window / 4)))
end
