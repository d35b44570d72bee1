#!lua flags=no-writes,no-cluster
-- Everything that was counted, and what the indexes tell of this moment.

-- Of so many queued jobs, the newest first, it is looked at whether the broker had them: enough to tell that the outbox
-- is stuck. By their age, not by their deadlines: each sweep puts those off, and would hide what it cannot help.
local MOST_LOOKED_AT = 1000

local function outbox()
  local waiting, due = 0, now - rules.unemitted_due_after
  local old = redis.call('ZRANGE', unfinished('queued'), due, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, MOST_LOOKED_AT)
  for _, id in ipairs(old) do
    local job = redis.call('HMGET', job_key(id), 'confirmed', 'emissions')
    if (tonumber(job[1]) or 0) < tonumber(job[2]) then
      waiting = waiting + 1
    end
  end
  return waiting
end

return { redis.call('HGETALL', STATISTICS), unfinished_jobs(), outbox(), redis.call('ZCARD', GIVEN_UP) }
