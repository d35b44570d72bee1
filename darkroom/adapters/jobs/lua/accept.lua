#!lua flags=no-cluster
-- Write the job, its first emission and its deadline, and bind the idempotency key; or find the job that is there.
-- Refused when memory is full (no allow-oom, unlike the scripts that bring jobs to their end).
local id, job_type, owner, parameters = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local storage_key, request_id, fingerprint, idempotency_key = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local deadline, caller, cost_class = tonumber(ARGV[10]), ARGV[11], ARGV[12]
local trace = ARGV[13]

-- The caller has given up waiting and said that nothing was accepted.
if now > deadline then
  return { 'late' }
end

local binding = 'darkroom:idempotency:' .. owner .. ':' .. idempotency_key
if idempotency_key ~= '' then
  local bound = redis.call('GET', binding)
  if bound and redis.call('EXISTS', job_key(bound)) == 1 then
    id = bound
  end
end

local key = job_key(id)
local there = redis.call('HMGET', key, 'owner', 'fingerprint', 'caller')
if there[1] then
  if there[1] ~= owner or there[2] ~= fingerprint then
    return { 'mismatch' }
  end
  if there[3] and there[3] ~= caller then
    -- Now the job is promised to somebody else too: its first caller may not take it back any more.
    redis.call('HDEL', key, 'caller')
  end
  return { 'existing', id, redis.call('HGETALL', key) }
end

redis.call('HSET', key, 'type', job_type, 'status', 'queued', 'owner', owner, 'parameters', parameters,
  'storage_key', storage_key, 'request_id', request_id, 'fingerprint', fingerprint, 'attempts', 0, 'emissions', 1,
  'fence', 0, 'created', now, 'caller', caller)
if cost_class ~= 'standard' then
  redis.call('HSET', key, 'cost', cost_class)
end
if trace ~= '' then
  redis.call('HSET', key, 'trace', trace)
end
count(1, JOBS_ACCEPTED, job_type, cost_class)
redis.call('ZADD', DEADLINES, now + rules.unemitted_due_after, id)
redis.call('ZADD', unfinished('queued'), now, id)
if idempotency_key ~= '' then
  redis.call('SET', binding, id, 'PX', rules.idempotency_kept)
end

-- The owner's index outlives its jobs a little; a bounded number of those that are gone leave with each new one.
local index = 'darkroom:owner:' .. owner
redis.call('ZADD', index, now, id)
local gone = redis.call('ZRANGEBYSCORE', index, '-inf', now - rules.indexed, 'LIMIT', 0, 100)
if #gone > 0 then
  redis.call('ZREM', index, unpack(gone))
end
redis.call('PEXPIRE', index, rules.indexed)

redis.call('PUBLISH', CHANGES, id .. ' queued')
return { 'created', id, redis.call('HGETALL', key) }
