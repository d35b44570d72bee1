#!lua flags=allow-oom,no-cluster
-- Take jobs out of this store: each in one step, after which no script finds it here. What is taken stays in
-- darkroom:moving:<id> until `move_delivered`, so that whoever comes next can deliver it when the taker dies.
--
-- `left` says which jobs stay: those under a live lease ("held"), and those also whose acceptance its caller may still
-- retract ("promised"), or none (""). Their idempotency keys stay too, until the other store has them.
local left = ARGV[2]
local FIRST_ID = 3

local function owed_webhooks(id)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', owed_of(id))) do
    local number, endpoint = field:match('^(%d+) (.+)$')
    if number then
      local webhook_id = id .. '-' .. number
      local state = owed_state(endpoint, webhook_id)
      found[#found + 1] = {
        endpoint, webhook_id, state.tries, state.since, state.code,
        redis.call('ZSCORE', owed_due(endpoint), webhook_id),
        redis.call('ZSCORE', OWED_GIVEN_UP, owed_name(endpoint, webhook_id)),
        redis.call('HGET', owed_of(id), number),
      }
    end
  end
  return found
end

-- What is known of the job outside of its record.
local function beside(job)
  local found = { ['>due'] = redis.call('ZSCORE', DEADLINES, job.id), ['>given_up'] = redis.call('ZSCORE', GIVEN_UP, job.id) }
  if job.waits then
    found['waits'] = '1' -- which leaving the line removes from the record
  end
  if redis.call('SISMEMBER', window(lane_of(job)), job.id) == 1 then
    found['>window'] = '1'
  end
  local binding = binding_in(job)
  if binding and redis.call('GET', binding) == job.id then
    local prefix = 'darkroom:idempotency:' .. job.owner .. ':'
    found['>key'] = binding:sub(#prefix + 1)
    found['>key_until'] = now + math.max(redis.call('PTTL', binding), 0)
  end
  return found
end

local function leave_indexes(job)
  leave_lane(job)
  leave_pictures(job)
  redis.call('ZREM', DEADLINES, job.id)
  redis.call('ZREM', GIVEN_UP, job.id)
  redis.call('ZREM', unfinished(job.status), job.id)
  redis.call('SREM', unfinished_of(job.owner), job.id)
  leave_owner(job)
end

local function put(key, fields)
  for name, value in pairs(fields) do
    if value then
      redis.call('HSET', key, name, value)
    end
  end
end

local function take(id, job)
  local owed, keeper = owed_webhooks(id), redis.call('HGET', KEEPERS_OWED, id)
  if job then
    local fields = beside(job)
    leave_indexes(job)
    redis.call('RENAME', job.key, moving(id))
    redis.call('PERSIST', moving(id))
    -- From now on somebody else knows of the job, so that its first caller may not retract it.
    redis.call('HDEL', moving(id), 'caller')
    put(moving(id), fields)
  end
  put(moving(id), { ['>owed'] = #owed > 0 and cjson.encode(owed), ['>keeper'] = keeper })
  drop_owed(id)
  redis.call('HDEL', KEEPERS_OWED, id)
  redis.call('SADD', MOVING, id)
end

local function answer(id)
  if redis.call('EXISTS', moving(id)) == 1 then
    return { 'taken', id, redis.call('HGETALL', moving(id)) }
  end
  local job = read(id)
  if not job and redis.call('EXISTS', owed_of(id)) == 0 and redis.call('HEXISTS', KEEPERS_OWED, id) == 0 then
    return { 'none', id }
  end
  if job and left ~= '' and is_held(job) then
    return { 'held', id, fields(job), job.lease - now, now - (job.claimed or now) }
  end
  if job and left == 'promised' and redis.call('HEXISTS', job.key, 'caller') == 1 then
    return { 'promised', id }
  end
  take(id, job)
  return { 'taken', id, redis.call('HGETALL', moving(id)) }
end

local answers = {}
for at = FIRST_ID, #ARGV do
  answers[#answers + 1] = answer(ARGV[at])
end
return answers
