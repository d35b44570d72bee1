#!lua flags=no-writes,no-cluster
-- List an owner's jobs after a cursor, newest first, filtered by status and type if given. The index may still contain
-- expired jobs. A bounded number of entries is examined; the returned cursor says where to continue, whether or not the
-- page is full.
local owner, status, job_type, limit = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local from, after = tonumber(ARGV[6]), ARGV[7]
local index = 'darkroom:owner:' .. owner
local MAX_EXAMINED, AT_ONCE = 1000, 100

local page, examined = {}, 0
local last_moment, last_id
local more = false

local function take(id, moment)
  -- pcall: a key that is no hash is no reason to list nothing.
  local job = redis.pcall('HMGET', job_key(id), 'status', 'type')
  if job.err then
    last_moment, last_id = moment, id
    return
  end
  local fits = job[1] and (status == '' or job[1] == status) and (job_type == '' or job[2] == job_type)
  if fits and #page == limit then
    more = true
    return
  end
  if fits then
    page[#page + 1] = { id, redis.call('HGETALL', job_key(id)) }
  end
  last_moment, last_id = moment, id
end

local offset, highest = 0, from or '+inf'
while not more and examined < MAX_EXAMINED do
  local found = redis.call('ZRANGE', index, highest, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, AT_ONCE, 'WITHSCORES')
  if #found == 0 then
    break
  end
  for n = 1, #found, 2 do
    local id, moment = found[n], tonumber(found[n + 1])
    -- Jobs of the same millisecond come in descending order of their ids.
    if not more and not (from and moment == from and id >= after) then
      take(id, moment)
    end
  end
  offset, examined = offset + AT_ONCE, examined + #found / 2
  more = more or examined >= MAX_EXAMINED
end

if more and last_id then
  return { page, string.format('%.0f', last_moment), last_id }
end
return { page }
