-- Which jobs use a stored picture that is not in their own folder: an upload, another job's original, an overlay. Put in
-- front of every script, before ending.lua. A job's own original needs no entry: it is used as long as its record is
-- there. That keeps the records of most jobs as short as they are.
--
-- A set of ids rather than a number, as in by_owner.lua: the entry of a record that expired counts for nothing.

local ORIGINALS = 'uploads/'

local function used_by(storage_key)
  return 'darkroom:used-by:' .. storage_key
end

local function begins_with(text, beginning)
  return text:sub(1, #beginning) == beginning
end

-- The stored pictures that the job uses and that are not its own. Keys contain no quotes, and the parameters are compact
-- JSON that we wrote, so that they need not be parsed.
local function shared_pictures(job)
  local found, values = {}, redis.call('HMGET', job.key, 'storage_key', 'parameters', 'p')
  local storage_key, parameters = values[1], values[2] or values[3] or ''
  if storage_key and not begins_with(storage_key, ORIGINALS .. job.id .. '/') then
    found[1] = storage_key
  end
  for overlay in parameters:gmatch('"storage_key":"([^"]+)"') do
    found[#found + 1] = overlay
  end
  return found
end

local function use_pictures(job)
  for _, storage_key in ipairs(shared_pictures(job)) do
    redis.call('SADD', used_by(storage_key), job.id)
    redis.call('PERSIST', used_by(storage_key))
  end
end

local function leave_pictures(job)
  for _, storage_key in ipairs(shared_pictures(job)) do
    redis.call('SREM', used_by(storage_key), job.id)
  end
end

-- The entries of ended jobs expire with the latest of their records. Each new use, and each end, begins the time anew.
local function let_uses_expire(job)
  if rules.final_kept > 0 then
    for _, storage_key in ipairs(shared_pictures(job)) do
      redis.call('PEXPIRE', used_by(storage_key), rules.indexed)
    end
  end
end

-- Whether another job whose record is there uses the picture: as its own original, or as a shared one.
local function is_used_by_others(storage_key, id)
  local maker = storage_key:match('^uploads/([%x%-]+)/')
  if maker and maker ~= id and redis.call('EXISTS', 'darkroom:job:' .. maker) == 1 then
    return true
  end
  for _, other in ipairs(redis.call('SMEMBERS', used_by(storage_key))) do
    if other ~= id then
      if redis.call('EXISTS', 'darkroom:job:' .. other) == 1 then
        return true
      end
      redis.call('SREM', used_by(storage_key), other)
    end
  end
  return false
end
