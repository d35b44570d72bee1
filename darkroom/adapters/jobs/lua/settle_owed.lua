#!lua flags=allow-oom,no-cluster
-- Record how a try ended. A repeated call finds one more failed try than it knows of, or nothing, and does nothing.
local endpoint, webhook_id, token, tries = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local outcome, code, delay = ARGV[6], ARGV[7], tonumber(ARGV[8])

redis.call('ZREM', 'darkroom:webhooks:sending:' .. endpoint, token)
local state = owed_state(endpoint, webhook_id)
if not state or state.tries ~= tries then
  return { 'done' }
end
if outcome == 'told' then
  count(1, WEBHOOKS_SENT)
  forget_owed(endpoint, webhook_id)
  return { 'done' }
end
count(1, WEBHOOKS_FAILED, code)
if outcome == 'revoked' then
  forget_owed(endpoint, webhook_id)
  return { 'done' }
end
local job_id, number = owed_parts(webhook_id)
redis.call('HSET', owed_of(job_id), number .. ' ' .. endpoint, (tries + 1) .. '|' .. state.since .. '|' .. code)
if outcome == 'later' then
  redis.call('ZADD', owed_due(endpoint), now + delay, webhook_id)
else
  count(1, WEBHOOKS_GIVEN_UP)
  redis.call('ZREM', owed_due(endpoint), webhook_id)
  redis.call('ZREM', OWED, owed_name(endpoint, webhook_id))
  redis.call('ZADD', OWED_GIVEN_UP, now, owed_name(endpoint, webhook_id))
end
return { 'done' }
