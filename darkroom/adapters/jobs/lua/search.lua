#!lua flags=no-writes,no-cluster
-- Search the jobs of one owner or of all, newest first, after a cursor. The candidates come from sorted sets, by the time
-- of their acceptance: those of owners, or the unfinished jobs of a status. They are merged in rounds: each set gives its
-- next entries, and what is not older than the last entry of any set that has more is complete.
local is_one_owner, owner = ARGV[2] == '1', ARGV[3]
local status, job_type, code, prefix = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local oldest, limit = ARGV[8], tonumber(ARGV[9])
local from, after = tonumber(ARGV[10]), ARGV[11]
local MAX_READ, MAX_LOOKED_AT, MAX_OWNERS = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])

local owners_left_out = 0
local is_filtered = status ~= '' or job_type ~= '' or code ~= '' or prefix ~= ''
local is_unfinished = status == 'queued' or status == 'processing'

-- An owner's unfinished jobs are in two sets; the shorter one is walked.
local function index_of_owner()
  local index = 'darkroom:owner:' .. owner
  if is_unfinished and redis.call('ZCARD', unfinished(status)) < redis.call('ZCARD', index) then
    return unfinished(status)
  end
  return index
end

local function indexes()
  if is_one_owner then
    return { index_of_owner() }
  end
  if is_unfinished then
    return { unfinished(status) }
  end
  local found = redis.call('ZRANGE', OWNERS, 0, MAX_OWNERS - 1, 'REV')
  owners_left_out = math.max(0, redis.call('ZCARD', OWNERS) - #found)
  for n, name in ipairs(found) do
    found[n] = 'darkroom:owner:' .. name
  end
  return found
end

-- The next entries of one set, and whether it has more.
local function next_of(index, at_once)
  local entries, offset, found = {}, 0, nil
  repeat
    found = redis.call('ZRANGE', index, from or '+inf', oldest, 'BYSCORE', 'REV', 'LIMIT', offset, at_once, 'WITHSCORES')
    for n = 1, #found, 2 do
      local moment = tonumber(found[n + 1])
      -- Jobs of the same millisecond come in descending order of their ids.
      if not (moment == from and found[n] >= after) then
        entries[#entries + 1] = { id = found[n], moment = moment }
      end
    end
    offset = offset + at_once
  until #entries > 0 or #found < 2 * at_once
  return entries, #found == 2 * at_once
end

local function is_newer(one, other)
  return one.moment > other.moment or (one.moment == other.moment and one.id > other.id)
end

-- The next entries of all sets in their order, without those that a set may still precede; and whether there are more.
local function next_entries(sets)
  local all, horizon = {}, nil
  -- Where every job fits, a page is enough.
  local wanted_entries = is_filtered and MAX_READ or 2 * (limit + 1)
  local at_once = math.max(10, math.floor(wanted_entries / #sets))
  for _, index in ipairs(sets) do
    local entries, has_more = next_of(index, at_once)
    for _, entry in ipairs(entries) do
      all[#all + 1] = entry
    end
    local last = entries[#entries]
    if has_more and (not horizon or is_newer(last, horizon)) then
      horizon = last
    end
  end
  table.sort(all, is_newer)
  while horizon and is_newer(horizon, all[#all]) do
    all[#all] = nil
  end
  return all, horizon ~= nil
end

local page, looked_at, read_records = {}, 0, 0
local is_full = false

local function fits(id)
  -- pcall: a key that is no hash is no reason to find nothing.
  local job = redis.pcall('HMGET', job_key(id), 'status', 'type', 'owner', 'error')
  read_records = read_records + 1
  return not job.err and job[1]
    and (status == '' or job[1] == status)
    and (job_type == '' or job[2] == job_type)
    and (not is_one_owner or job[3] == owner)
    and (code == '' or (job[4] and code_of(job[4]) == code))
end

local function take(entry)
  if entry.id:sub(1, #prefix) == prefix and fits(entry.id) then
    if #page == limit then
      is_full = true
      return
    end
    page[#page + 1] = { entry.id, redis.call('HGETALL', job_key(entry.id)) }
  end
  looked_at = looked_at + 1
  from, after = entry.moment, entry.id
end

local function is_enough()
  return is_full or read_records >= MAX_READ or looked_at >= MAX_LOOKED_AT
end

local sets = indexes()
local has_more = #sets > 0
while has_more and not is_enough() do
  local entries
  entries, has_more = next_entries(sets)
  for _, entry in ipairs(entries) do
    if is_enough() then
      has_more = true
      break
    end
    take(entry)
  end
end
has_more = has_more or is_full

if has_more and after ~= '' then
  return { page, looked_at, owners_left_out, string.format('%.0f', from), after }
end
return { page, looked_at, owners_left_out }
