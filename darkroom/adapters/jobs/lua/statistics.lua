#!lua flags=no-writes,no-cluster
-- All counts, and the current numbers from the indexes; those of the lanes that are named.
local FIRST_LANE = 2

-- Check at most this many queued jobs, newest first, for an emission that the broker has not confirmed. That is enough
-- to show that the outbox is stuck. Jobs are selected by age, not by deadline: each sweep moves the deadlines, which
-- would hide jobs that it cannot help.
local MAX_EXAMINED = 1000

local function outbox()
  local waiting, due = 0, now - rules.unemitted_due_after
  local old = redis.call('ZRANGE', unfinished('queued'), due, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, MAX_EXAMINED)
  for _, id in ipairs(old) do
    local job = redis.call('HMGET', job_key(id), 'confirmed', 'emissions', 'waits')
    if not job[3] and (tonumber(job[1]) or 0) < tonumber(job[2]) then
      waiting = waiting + 1
    end
  end
  return waiting
end

local function owed()
  local oldest = redis.call('ZRANGE', OWED, 0, 0, 'WITHSCORES')[2]
  return { redis.call('ZCARD', OWED), oldest and now - tonumber(oldest) or 0 }
end

-- The longest wait of a lane: of each owner's first job, for at most this many owners.
local MAX_OWNERS = 1000

local function oldest_wait(lane)
  local oldest = now
  for _, owner in ipairs(redis.call('ZRANGE', turns(lane), 0, MAX_OWNERS - 1)) do
    local first = redis.call('ZRANGE', line(lane, owner), 0, 0, 'WITHSCORES')
    oldest = math.min(oldest, tonumber(first[2]) or now)
  end
  return now - oldest
end

local function lanes()
  local loads = {}
  for at = FIRST_LANE, #ARGV do
    local lane = ARGV[at]
    local waiting = tonumber(redis.call('HGET', LANES, lane)) or 0
    loads[#loads + 1] = { waiting, redis.call('SCARD', window(lane)), oldest_wait(lane) }
  end
  return loads
end

return { redis.call('HGETALL', STATISTICS), unfinished_jobs(), outbox(), redis.call('ZCARD', GIVEN_UP), lanes(),
  owed() }
