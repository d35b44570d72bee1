#!lua flags=allow-oom,no-cluster
-- Lease what is due longest to the endpoint. What is leased is due again when the lease runs out, so a sender that dies
-- loses nothing. A call that is repeated because its answer was lost takes another one.
local endpoint, token, lease, at_once = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local sending, due = 'darkroom:webhooks:sending:' .. endpoint, owed_due(endpoint)

redis.call('ZREMRANGEBYSCORE', sending, '-inf', now)
if redis.call('ZCARD', sending) >= at_once then
  return {}
end
local webhook_id = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 1)[1]
if not webhook_id then
  return {}
end
local state = owed_state(endpoint, webhook_id)
local job_id, number = owed_parts(webhook_id)
redis.call('ZADD', due, now + lease, webhook_id)
redis.call('ZADD', sending, now + lease, token)
redis.call('PEXPIRE', sending, lease)
return { webhook_id, state.tries, state.since, state.code, redis.call('HGET', owed_of(job_id), number) }
