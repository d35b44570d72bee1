-- Webhooks that are owed (owed.py says what may follow what). Shared by all scripts, and put in front of each, since
-- several end a job, and the end and what is owed for it are one step.
--
--   darkroom:webhooks:owed                 what is owed, as "<endpoint> <webhook id>", by when the job ended
--   darkroom:webhooks:due:<endpoint>       webhook ids by when the next try is due
--   darkroom:webhooks:sending:<endpoint>   the leases of tries that are under way, by when they run out
--   darkroom:webhooks:endpoints            set: endpoints to which something may be due
--   darkroom:webhooks:given-up             as in owed, by when it is handed out to be kept
--   darkroom:webhooks:of:<job>             hash: "<number>" is what is told of the job's end, "<number> <endpoint>" is
--                                          the state, "<failed tries>|<owed since>|<error>"
local OWED = 'darkroom:webhooks:owed'
local OWED_ENDPOINTS = 'darkroom:webhooks:endpoints'
local OWED_GIVEN_UP = 'darkroom:webhooks:given-up'

local function owed_due(endpoint)
  return 'darkroom:webhooks:due:' .. endpoint
end

local function owed_of(job_id)
  return 'darkroom:webhooks:of:' .. job_id
end

local function owed_parts(webhook_id)
  return webhook_id:sub(1, 36), webhook_id:sub(38)
end

local function owed_name(endpoint, webhook_id)
  return endpoint .. ' ' .. webhook_id
end

local function write_owed(endpoint, webhook_id, text)
  local job_id, number = owed_parts(webhook_id)
  local key = owed_of(job_id)
  if redis.call('HSETNX', key, number .. ' ' .. endpoint, '0|' .. now .. '|') == 0 then
    return false
  end
  redis.call('HSETNX', key, number, text)
  redis.call('ZADD', OWED, now, owed_name(endpoint, webhook_id))
  redis.call('ZADD', owed_due(endpoint), now, webhook_id)
  redis.call('SADD', OWED_ENDPOINTS, endpoint)
  return true
end

-- The job has just ended. What is told is its record as it is now, which later changes and the record's end leave alone.
local function owe(job)
  local subscribed = redis.call('HGET', job.key, 'w')
  if not subscribed then
    return
  end
  local kind = job.status == 'completed' and 'c' or 'f'
  local webhook_id = job.id .. '-' .. (redis.call('HGET', job.key, 'fence') or '1')
  local text
  for endpoint, wanted in subscribed:gmatch('([%w_]+):?(%a*)') do
    if wanted == '' or wanted == kind then
      text = text or cjson.encode(redis.call('HGETALL', job.key))
      write_owed(endpoint, webhook_id, text)
    end
  end
end

local function owed_state(endpoint, webhook_id)
  local job_id, number = owed_parts(webhook_id)
  local state = redis.call('HGET', owed_of(job_id), number .. ' ' .. endpoint)
  if not state then
    return nil
  end
  local tries, since, code = state:match('^(%d+)|(%d+)|(.*)$')
  return { tries = tonumber(tries), since = since, code = code }
end

-- Forget it; with the last of an end's, what is told of that end too.
local function forget_owed(endpoint, webhook_id)
  local job_id, number = owed_parts(webhook_id)
  local key = owed_of(job_id)
  redis.call('HDEL', key, number .. ' ' .. endpoint)
  redis.call('ZREM', OWED, owed_name(endpoint, webhook_id))
  redis.call('ZREM', owed_due(endpoint), webhook_id)
  redis.call('ZREM', OWED_GIVEN_UP, owed_name(endpoint, webhook_id))
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if field:sub(1, #number + 1) == number .. ' ' then
      return
    end
  end
  redis.call('HDEL', key, number)
end

-- Forget all that is owed for an erased job.
local function drop_owed(job_id)
  local dropped = 0
  for _, field in ipairs(redis.call('HKEYS', owed_of(job_id))) do
    local number, endpoint = field:match('^(%d+) (.+)$')
    if number then
      forget_owed(endpoint, job_id .. '-' .. number)
      dropped = dropped + 1
    end
  end
  return dropped
end
