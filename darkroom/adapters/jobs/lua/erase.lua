#!lua flags=allow-oom,no-cluster
-- Erase an owner's job: end it if it is not final, remove everything that the store has of it, leave a tombstone, and
-- queue what is elsewhere. A second call finds the tombstone.
local id, owner, error, candidate = ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local function storage_key_of(job)
  local values = redis.call('HMGET', job.key, 'storage_key', 'o')
  return values[1] or ORIGINALS .. job.id .. '/original.' .. values[2]
end

-- The job's original, if it is ours to erase. Nobody can refer to it from now on (accept.lua).
local function take_original(job)
  local storage_key = storage_key_of(job)
  if begins_with(storage_key, ORIGINALS) and not is_used_by_others(storage_key, job.id) then
    bury(storage_key, job.owner)
    redis.call('DEL', used_by(storage_key))
    return storage_key
  end
end

local function remove_binding(job)
  local binding = binding_in(job)
  if binding and redis.call('GET', binding) == job.id then
    redis.call('DEL', binding)
  end
end

local function remove(job)
  leave_pictures(job)
  remove_binding(job)
  redis.call('ZREM', GIVEN_UP, job.id)
  redis.call('HDEL', 'darkroom:keepers-owed', job.id)
  drop_owed(job.id)
  leave_owner(job)
  redis.call('DEL', job.key)
  redis.call('PUBLISH', CHANGES, job.id .. ' failed')
end

local job = read(id)
if not job then
  return { was_erased_by(id, owner) and 'erased' or 'unknown', {} }
end
if job.owner ~= owner then
  return { 'unknown', {} }
end
make_erasure_key(candidate)
local ended = {}
if not is_final(job) then
  cancel(job, error)
  ended = fields_at_end(job)
end
local original = take_original(job)
remove(job)
bury(id, owner)
queue_erasure(id, 'job', original)
return { 'erased', ended }
