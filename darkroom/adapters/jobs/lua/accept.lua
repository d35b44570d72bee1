#!lua flags=no-cluster
-- Write the jobs, their first emissions and their deadlines, and bind the idempotency keys; or find the jobs that
-- already exist. A job for which its lane has no room waits there, without a deadline. All or none: if another request
-- has used one of the keys or ids before, or if there is no room for all that are new, all are refused and none is
-- written. Refused when memory is full (no allow-oom, unlike the scripts that end jobs).
local deadline, caller = tonumber(ARGV[2]), ARGV[3]
local FIRST_JOB, VALUES_PER_JOB = 4, 14

-- The caller has given up waiting and reported that nothing was accepted.
if now > deadline then
  return { 'late' }
end

-- Another store accepts jobs in this one's place (adapters/jobs/moving). Two could accept one request twice.
if redis.call('EXISTS', 'darkroom:moved') == 1 then
  return { 'moved' }
end

local jobs = {}
for at = FIRST_JOB, #ARGV, VALUES_PER_JOB do
  jobs[#jobs + 1] = {
    id = ARGV[at],
    type = ARGV[at + 1],
    owner = ARGV[at + 2],
    parameters = ARGV[at + 3],
    storage_key = ARGV[at + 4],
    request_id = ARGV[at + 5],
    fingerprint = ARGV[at + 6],
    binding = binding_of(ARGV[at + 2], ARGV[at + 7]),
    cost = ARGV[at + 8],
    trace = ARGV[at + 9],
    turn = tonumber(ARGV[at + 10]),
    idempotency_key = ARGV[at + 7],
    original_bytes = tonumber(ARGV[at + 11]),
    webhooks = ARGV[at + 12],
    presets = ARGV[at + 13],
  }
end

-- A job that has ended keeps only the beginning of its fingerprint (thinning.lua).
local function is_same(fingerprint, other)
  return other:sub(1, #fingerprint) == fingerprint
end

-- The places of jobs whose key or id another request has used, which may be an earlier one in the same batch; and the
-- jobs that are new, by id.
local function mismatches()
  local found, written, bound = {}, {}, {}
  for place, job in ipairs(jobs) do
    local id = job.binding and bound[job.binding] or first_id(job)
    local there = redis.call('HMGET', job_key(id), 'owner', 'fingerprint', 'g')
    local owner, fingerprint = there[1], there[2] or there[3]
    if not owner and written[id] then
      owner, fingerprint = written[id].owner, written[id].fingerprint
    end
    if not owner and is_erased(id) then
      found[#found + 1] = place
    elseif not owner then
      written[id] = job
      if job.binding then
        bound[job.binding] = id
      end
    elseif owner ~= job.owner or not is_same(fingerprint, job.fingerprint) then
      found[#found + 1] = place
    end
  end
  return found, written
end

-- Remove some entries whose records have vanished. Each refusal looks at a few, so none counts for long.
local EXAMINED = 20

local function forget_vanished(owner)
  for _, id in ipairs(redis.call('SRANDMEMBER', unfinished_of(owner), EXAMINED)) do
    local job = read(id)
    if not job or is_final(job) then
      redis.call('SREM', unfinished_of(owner), id)
    end
  end
  for _, status in ipairs({ 'queued', 'processing' }) do
    for _, id in ipairs(redis.call('ZRANDMEMBER', unfinished(status), EXAMINED)) do
      if redis.call('EXISTS', job_key(id)) == 0 then
        redis.call('ZREM', unfinished(status), id)
      end
    end
  end
end

-- The refusal of the owner's new jobs, of all `total` in this call, if there is no room: of which limit, and what it is
-- counted by. A limit of 0 is none.
local function refusal_for(owner, number, total)
  local mine = rules.quota > 0 and redis.call('SCARD', unfinished_of(owner)) + number
  if mine and mine > rules.quota then
    return { 'quota', number, load_of(owner) }
  end
  local all = rules.max_backlog > 0
    and redis.call('ZCARD', unfinished('queued')) + redis.call('ZCARD', unfinished('processing')) + total
  if all and all > rules.max_backlog then
    return { 'full', total, load_of(EVERYBODY) }
  end
end

local function refusal(new)
  local total, by_owner = 0, {}
  for _, job in pairs(new) do
    total = total + 1
    by_owner[job.owner] = (by_owner[job.owner] or 0) + 1
  end
  for owner in pairs(by_owner) do
    local found = refusal_for(owner, by_owner[owner], total)
    if found then
      forget_vanished(owner)
      return found
    end
  end
end

-- Each new job removes a bounded number of entries of jobs that have expired: so many that the index is as long as the
-- jobs are many. An unfinished one is older than others that have expired, but has its place.
local function index_by_owner(job)
  local index = 'darkroom:owner:' .. job.owner
  redis.call('ZADD', index, now, job.id)
  remember_owner(job.owner, now, rules.indexed)
  if rules.final_kept == 0 then
    redis.call('PERSIST', index)
    return
  end
  local gone = redis.call('ZRANGEBYSCORE', index, '-inf', now - rules.indexed, 'LIMIT', 0, 100)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now - rules.final_kept, 'LIMIT', #gone, 4)) do
    if redis.call('EXISTS', job_key(id)) == 0 then
      gone[#gone + 1] = id
    end
  end
  if #gone > 0 then
    redis.call('ZREM', index, unpack(gone))
  end
  redis.call('PEXPIRE', index, rules.indexed)
end

local function write(job, key)
  redis.call('HSET', key, 'type', job.type, 'status', 'queued', 'owner', job.owner, 'parameters', job.parameters,
    'storage_key', job.storage_key, 'request_id', job.request_id, 'fingerprint', job.fingerprint, 'attempts', 0,
    'emissions', 1, 'fence', 0, 'created', now, 'caller', caller)
  if job.cost ~= 'standard' then
    redis.call('HSET', key, 'cost', job.cost)
  end
  if job.trace ~= '' then
    redis.call('HSET', key, 'trace', job.trace)
  end
  if job.presets ~= '' then
    redis.call('HSET', key, 'presets', job.presets)
  end
  if job.turn ~= 1 then
    redis.call('HSET', key, 'turn', job.turn)
  end
  if job.webhooks ~= '' then
    redis.call('HSET', key, 'w', job.webhooks) -- the endpoints that are told of its end (owing.lua)
  end
  job.key, job.created = key, now
  if enter_lane(job) then
    set_due_in(job, rules.unemitted_due_after)
  end
  redis.call('ZADD', unfinished('queued'), now, job.id)
  enter_backlog(job)
  if job.binding then
    redis.call('SET', job.binding, job.id, 'PX', rules.idempotency_kept)
    remember_binding(key, job.idempotency_key)
  end
  use_pictures(job)
  index_by_owner(job)
  count(1, JOBS_ACCEPTED, job.type, job.cost)
  if job.original_bytes > 0 then
    count(job.original_bytes, ORIGINAL_SIZE)
  end
  redis.call('PUBLISH', CHANGES, job.id .. ' queued')
end

local function accept(job)
  local id = first_id(job)
  local key = job_key(id)
  local there = redis.call('HMGET', key, 'owner', 'caller')
  if not there[1] then
    write(job, key)
    return { 'created', id, fields({ key = key }) }
  end
  if there[2] and there[2] ~= caller then
    -- The job is now promised to another caller too, so the first caller may no longer retract it.
    redis.call('HDEL', key, 'caller')
  end
  return { 'existing', id, fields({ key = key }) }
end

-- The first picture of a new job that was erased: whoever found it in storage did so a moment too early.
local function erased_picture(new)
  for _, job in pairs(new) do
    if is_erased(job.storage_key) then
      return job.storage_key
    end
  end
end

local refused, new = mismatches()
if #refused > 0 then
  return { 'mismatch', refused }
end
local erased = erased_picture(new)
if erased then
  return { 'erased', erased }
end
local no_room = refusal(new)
if no_room then
  count(no_room[2], JOBS_REFUSED, no_room[1] == 'quota' and 'quota' or 'backlog')
  return no_room
end
local accepted = {}
for place, job in ipairs(jobs) do
  accepted[place] = accept(job)
end
return { 'accepted', accepted }
