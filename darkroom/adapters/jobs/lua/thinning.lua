-- Records of ended jobs, shared by all scripts that may end a job or queue one again. Most of what Redis holds are
-- records of jobs that ended, so theirs are as short as they can be without losing anything: what follows from the
-- job's id or from its history is left out, long names and values have short forms, and numbers that are 1 are not
-- written. thin_records.py reads them.

local FINGERPRINT_KEPT = 16 -- characters; 64 bits, enough to notice that an idempotency key was used for another request
local DONE_WITH = { 'turn', 'released', 'redriven' } -- fields that only a redrive needs
local COUNTED = { 'attempts', 'emissions', 'fence' }

local BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

-- Base64 without padding. Three digits are two characters.
local function base64_of(digits)
  local padded = digits .. ('0'):rep(-#digits % 3)
  return (padded:gsub('%x%x%x', function(three)
    local high = math.floor(tonumber(three, 16) / 64) + 1
    local low = tonumber(three, 16) % 64 + 1
    return BASE64:sub(high, high) .. BASE64:sub(low, low)
  end))
end

-- Only what the reader writes out as it was: hexadecimal digits in lower case, in groups of these sizes.
local function groups_of(text, sizes)
  local pattern = {}
  for n, size in ipairs(sizes) do
    pattern[n] = ('[%da-f]'):rep(size)
  end
  return text:find('^' .. table.concat(pattern, '%-') .. '$') and (text:gsub('%-', ''))
end

local function short_request_id(text)
  local digits = groups_of(text, { 8, 4, 4, 4, 12 })
  return digits and base64_of(digits)
end

local function short_trace(text)
  local ids = text:match('^00%-(.+)%-01$')
  local digits = ids and groups_of(ids, { 32, 16 })
  return digits and base64_of(digits)
end

-- The part of a text after a beginning that the reader knows.
local function rest_of(text, beginning)
  if text:sub(1, #beginning) == beginning then
    return text:sub(#beginning + 1):match('^%.?%w+$')
  end
end

local function short_timings(text)
  return text:find('^{["%a_:%d,]*}$') and (text:gsub('["{}]', ''))
end

-- A field that this version does not know keeps the result as it is.
local function short_result(text, id)
  local known, result = 0, cjson.decode(text)
  for _, name in ipairs({ 'storage_key', 'content_type', 'width', 'height', 'bytes', 'placeholder' }) do
    known = known + (result[name] == nil and 0 or 1)
  end
  for _ in pairs(result) do
    known = known - 1
  end
  if known ~= 0 then
    return
  end
  local list = { rest_of(result.storage_key, 'processed/' .. id) or result.storage_key,
    rest_of(result.content_type, 'image/') or result.content_type, result.width, result.height, result.bytes }
  if result.placeholder ~= cjson.null then
    list[6] = result.placeholder
  end
  return cjson.encode(list)
end

-- What the history says: when the first attempt began, and the fence, the end and the worker of the last.
local function told_by(history, created)
  local began = tonumber(history:match('^%d+,(%-?%d+),'))
  local fence, ended, worker = history:match('(%d+),%-?%d+,(%-?%d+),[^,;]*,([^,;]*);$')
  return { started = began and created + began, finished = ended and created + ended, fence = fence, worker = worker }
end

local function thin(job)
  local flat, written, gone, put = redis.call('HGETALL', job.key), {}, {}, {}
  for n = 1, #flat, 2 do
    written[flat[n]] = flat[n + 1]
  end
  local function drop(name)
    gone[#gone + 1] = name
  end
  local function shorten(name, short_name, short)
    local value = written[name] and short(written[name], job.id)
    if value then
      drop(name)
      put[#put + 1], put[#put + 2] = short_name, value
    end
  end

  shorten('request_id', 'r', short_request_id)
  shorten('trace', 't', short_trace)
  shorten('storage_key', 'o', function(text) return rest_of(text, 'uploads/' .. job.id .. '/original.') end)
  shorten('parameters', 'p', function(text) return text end)
  shorten('result', 'e', short_result)
  shorten('timings', 'm', short_timings)
  shorten('fingerprint', 'g', function(text) return text:sub(1, FINGERPRINT_KEPT) end)

  local told = told_by(written.history or '', job.created)
  if tonumber(written.started) == told.started then
    drop('started')
  end
  if told.fence == written.fence then
    if tonumber(written.finished) == told.finished then
      drop('finished')
    end
    if written.worker == told.worker then
      drop('worker')
    end
  end
  shorten('history', 'h', function(text) return text end)
  for _, name in ipairs(COUNTED) do
    if written[name] == '1' then
      drop(name)
    end
  end
  if job.status == 'completed' then
    for _, name in ipairs(DONE_WITH) do
      drop(name)
    end
  end
  if #gone > 0 then
    redis.call('HDEL', job.key, unpack(gone))
  end
  if #put > 0 then
    redis.call('HSET', job.key, unpack(put))
  end
end

-- Write out again what the scripts work with. The rest is read in both forms.
local function restore(job)
  local found = redis.call('HMGET', job.key, 'p', 'h', 'started')
  local parameters, history, started = unpack(found)
  for _, name in ipairs(COUNTED) do
    redis.call('HSETNX', job.key, name, 1)
  end
  if parameters then
    redis.call('HSET', job.key, 'parameters', parameters)
  end
  if history then
    job.history = history
    redis.call('HSET', job.key, 'history', history)
  end
  local told = told_by(job.history, job.created)
  if not started and told.started then
    redis.call('HSET', job.key, 'started', told.started)
  end
  redis.call('HDEL', job.key, 'p', 'h', 'm', 'e')
end
