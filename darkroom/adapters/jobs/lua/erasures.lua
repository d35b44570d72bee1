-- Tombstones, and the queue of what is still to be erased. Put in front of the scripts that hide a job or meet one that
-- is hidden.
--
-- A tombstone says for a day that a job was erased, to whoever knows its id, and to nobody else: its name is an HMAC of
-- the id, its value an HMAC of the id and the owner. The key is made by the first erasure and expires with the last
-- tombstone, so what later reads an old log cannot find out what was erased. It is kept here because the store is what
-- all functions and commands share: a setting could differ in one of them, which would then bring a job back. Whoever
-- reads the store may read the jobs themselves.

local ERASURES = 'darkroom:erasures' -- the ids whose pictures and letters are to be erased, by when
local ERASURE_KEY = 'darkroom:erasure-key'
local BLOCK = 64 -- bytes of a block of SHA-1, which is also the key's length

local function erasure(id)
  return 'darkroom:erasure:' .. id
end

-- RFC 2104 with SHA-1, the one digest that scripts have. The key has as many bytes as a block.
local function hmac(key, text)
  local inner, outer = {}, {}
  for n = 1, BLOCK do
    inner[n] = string.char(bit.bxor(key:byte(n), 0x36))
    outer[n] = string.char(bit.bxor(key:byte(n), 0x5c))
  end
  local digest = redis.sha1hex(table.concat(inner) .. text):gsub('%x%x', function(pair)
    return string.char(tonumber(pair, 16))
  end)
  return redis.sha1hex(table.concat(outer) .. digest)
end

local function tombstone(key, name)
  return 'darkroom:erased:' .. hmac(key, name)
end

-- The value of the tombstone of a job's id or an original's storage key; nil if there is none.
local function tombstone_of(name)
  local key = redis.call('GET', ERASURE_KEY)
  return key and redis.call('GET', tombstone(key, name)) or nil
end

local function is_erased(name)
  return tombstone_of(name) ~= nil
end

local function was_erased_by(id, owner)
  local key, value = redis.call('GET', ERASURE_KEY), tombstone_of(id)
  return value ~= nil and value == hmac(key, id .. ' ' .. owner)
end

local function make_erasure_key(candidate)
  redis.call('SET', ERASURE_KEY, candidate, 'NX')
  redis.call('PEXPIRE', ERASURE_KEY, rules.tombstone_kept + 60000)
end

local function bury(name, owner)
  local key = redis.call('GET', ERASURE_KEY)
  redis.call('SET', tombstone(key, name), hmac(key, name .. ' ' .. owner), 'PX', rules.tombstone_kept)
end

-- Queue what is to be erased: at once, and again when whatever was under way has written what it can. Without a `scope`
-- only the results.
local function queue_erasure(id, scope, original)
  redis.call('HINCRBY', erasure(id), 'number', 1)
  redis.call('HSET', erasure(id), 'again', now + rules.erase_again_after)
  if scope then
    redis.call('HSET', erasure(id), 'scope', scope)
  end
  if original then
    redis.call('HSET', erasure(id), 'original', original)
  end
  redis.call('ZADD', ERASURES, now, id)
end

-- Somebody came upon a job that was erased: what it wrote, or what is recorded of its delivery, came after the erasure.
-- `job` is nil, or one that was cancelled, of which only results are erased.
local function erase_what_came_late(id, job)
  if not job and is_erased(id) then
    queue_erasure(id, 'job')
  elseif job and is_cancelled(job) then
    queue_erasure(id)
  end
end
