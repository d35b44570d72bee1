#!lua flags=allow-oom,no-cluster
-- Hand out what was given up and is not yet with the dead letters.
local limit = tonumber(ARGV[2])
local found = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', OWED_GIVEN_UP, '-inf', now, 'LIMIT', 0, limit)) do
  local endpoint, webhook_id = name:match('^(%S+) (%S+)$')
  local state = owed_state(endpoint, webhook_id)
  local job_id, number = owed_parts(webhook_id)
  redis.call('ZADD', OWED_GIVEN_UP, now + rules.keep_within, name)
  found[#found + 1] = { endpoint, webhook_id, state.tries, state.since, state.code,
    redis.call('HGET', owed_of(job_id), number) }
end
return found
