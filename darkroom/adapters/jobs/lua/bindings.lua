-- Idempotency keys, shared by the scripts that bind them and the one that removes them. A job's record has its key, so
-- that the binding can be found from the job. The keys of requests are 64 hexadecimal digits: those are kept as base64.

local BINDING, SHORT_BINDING = 'key', 'k'

local function binding_of(owner, idempotency_key)
  return idempotency_key ~= '' and 'darkroom:idempotency:' .. owner .. ':' .. idempotency_key
end

local function is_digest(text)
  return #text == 64 and not text:find('[^%da-f]')
end

local function digits_of(text)
  local digits = text:gsub('..', function(two)
    local high, low = BASE64:find(two:sub(1, 1), 1, true), BASE64:find(two:sub(2, 2), 1, true)
    return string.format('%03x', (high - 1) * 64 + low - 1)
  end)
  return digits:sub(1, 64)
end

local function remember_binding(key, idempotency_key)
  if is_digest(idempotency_key) then
    redis.call('HSET', key, SHORT_BINDING, base64_of(idempotency_key))
  else
    redis.call('HSET', key, BINDING, idempotency_key)
  end
end

local function binding_in(job)
  local whole, short = unpack(redis.call('HMGET', job.key, BINDING, SHORT_BINDING))
  local idempotency_key = whole or (short and digits_of(short))
  return idempotency_key and binding_of(job.owner, idempotency_key)
end
