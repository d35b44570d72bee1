#!lua flags=no-writes,no-cluster
-- Everything that was counted, and what the indexes tell of this moment.

-- Of so many overdue jobs it is looked at whether the broker had them: enough to tell that the outbox is stuck.
local MOST_LOOKED_AT = 1000

local function outbox()
  local waiting = 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, MOST_LOOKED_AT)) do
    local job = redis.call('HMGET', job_key(id), 'status', 'confirmed', 'emissions')
    if job[1] == 'queued' and (tonumber(job[2]) or 0) < tonumber(job[3]) then
      waiting = waiting + 1
    end
  end
  return waiting
end

return { redis.call('HGETALL', STATISTICS), unfinished_jobs(), outbox(), redis.call('ZCARD', GIVEN_UP) }
