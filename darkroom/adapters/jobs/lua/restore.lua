#!lua flags=no-cluster
-- Write the records of jobs that storage shows and this store has lost. A job that has a record is left as it is, so a
-- second call changes nothing, and new jobs may come meanwhile. One with a result has completed and expires when it would
-- have expired. One with several results has completed if it has them all, and keeps those that it has. Any other waits in its lane, whether or not there is room: the caller need not know the broker's window,
-- and the sweep hands it out in its turn. Refused when memory is full (no allow-oom): the keeper is still in storage.
local FIRST_JOB, VALUES_PER_JOB = 2, 19
local FENCES_SKIPPED = 1000

-- Workers of the job's earlier life may still be at it. A fence grows by one with each attempt, which takes longer than a
-- millisecond; so one that is as high as the job is old, in milliseconds, is higher than any that they have.
local function fence_above_all(created)
  return math.max(now - created, 0) + FENCES_SKIPPED
end

local function bind(job)
  local left = job.created + rules.idempotency_kept - now
  if job.binding and left > 0 then
    redis.call('SET', job.binding, job.id, 'NX', 'PX', left)
  end
end

local function index_by_owner(job)
  local index = 'darkroom:owner:' .. job.owner
  redis.call('ZADD', index, job.created, job.id)
  remember_owner(job.owner, now, rules.indexed)
  if rules.final_kept == 0 then
    redis.call('PERSIST', index)
  else
    redis.call('PEXPIRE', index, rules.indexed)
  end
end

local function write(job)
  redis.call('HSET', job.key, 'type', job.type, 'status', job.status, 'owner', job.owner, 'parameters', job.parameters,
    'storage_key', job.storage_key, 'request_id', job.request_id, 'fingerprint', job.fingerprint, 'attempts', 0,
    'emissions', 1, 'fence', fence_above_all(job.created), 'created', job.created, 'restored', now)
  if job.cost ~= 'standard' then
    redis.call('HSET', job.key, 'cost', job.cost)
  end
  if job.trace ~= '' then
    redis.call('HSET', job.key, 'trace', job.trace)
  end
  if job.webhooks ~= '' then
    redis.call('HSET', job.key, 'w', job.webhooks)
  end
  if job.presets ~= '' then
    redis.call('HSET', job.key, 'presets', job.presets)
  end
  if job.turn ~= 1 then
    redis.call('HSET', job.key, 'turn', job.turn)
  end
  for name, made in pairs(job.made) do
    redis.call('HSET', job.key, '=' .. name, made)
  end
  bind(job)
  if job.binding then
    remember_binding(job.key, job.idempotency_key)
  end
  use_pictures(job)
  index_by_owner(job)
  count(1, JOBS_ACCEPTED, job.type, job.cost)
end

-- How long it took is not known, so only its end is counted.
local function complete(job)
  redis.call('HSET', job.key, 'attempts', 1, 'finished', job.finished)
  if job.result ~= '' then
    redis.call('HSET', job.key, 'result', job.result)
  end
  let_uses_expire(job)
  thin(job)
  if rules.final_kept > 0 then
    redis.call('PEXPIREAT', job.key, job.finished + rules.final_kept)
  end
  count(1, JOBS_ENDED, job.type, job.cost, 'completed', '')
end

local function queue(job)
  redis.call('ZADD', unfinished('queued'), job.created, job.id)
  enter_backlog(job)
  stand_in_line(job)
end

local function restore_kept(job)
  if redis.call('EXISTS', job.key) == 1 then
    return 'exists'
  end
  if is_erased(job.id) or is_erased(job.storage_key) then
    return 'exists'
  end
  local is_completed = job.is_complete
  if is_completed and rules.final_kept > 0 and job.finished + rules.final_kept <= now then
    return 'expired'
  end
  job.status = is_completed and 'completed' or 'queued'
  write(job)
  if is_completed then
    complete(job)
  else
    queue(job)
  end
  redis.call('PUBLISH', CHANGES, job.id .. ' ' .. job.status)
  return job.status
end

local outcomes = {}
for at = FIRST_JOB, #ARGV, VALUES_PER_JOB do
  outcomes[#outcomes + 1] = restore_kept({
    id = ARGV[at],
    key = job_key(ARGV[at]),
    type = ARGV[at + 1],
    owner = ARGV[at + 2],
    parameters = ARGV[at + 3],
    storage_key = ARGV[at + 4],
    request_id = ARGV[at + 5],
    fingerprint = ARGV[at + 6],
    binding = binding_of(ARGV[at + 2], ARGV[at + 7]),
    idempotency_key = ARGV[at + 7],
    cost = ARGV[at + 8],
    trace = ARGV[at + 9],
    turn = tonumber(ARGV[at + 10]),
    -- The next one is the original's size, which was counted when the job was accepted.
    webhooks = ARGV[at + 12],
    presets = ARGV[at + 13],
    created = tonumber(ARGV[at + 14]),
    result = ARGV[at + 15],
    finished = tonumber(ARGV[at + 16]) or now,
    made = cjson.decode(ARGV[at + 17]),
    is_complete = ARGV[at + 18] == '1',
  })
end
return outcomes
