#!lua flags=no-writes,no-cluster
-- All counts, and the current numbers from the indexes.

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

return { redis.call('HGETALL', STATISTICS), unfinished_jobs(), outbox(), redis.call('ZCARD', GIVEN_UP),
  redis.call('HGETALL', LANES), owed() }
