#!lua flags=allow-oom,no-cluster
-- Hand out at most `limit` jobs of a lane (of every lane if it is empty), in fair turns, as far as the windows have
-- room. Each is with the broker from now on: the caller emits it. If the answer is lost, or its receiver dies, the jobs
-- are soon overdue, and their events are emitted again.
local lane, limit = ARGV[2], tonumber(ARGV[3])
-- The sweep looks at more: it comes seldom, and the others come once per job.
local EXAMINED = lane == '' and 20 or 2

-- Places that jobs took along when their records vanished. Each call looks at a few, so none is lost for long.
local function free_places(lane)
  for _, id in ipairs(redis.call('SRANDMEMBER', window(lane), EXAMINED)) do
    local status = redis.call('HGET', job_key(id), 'status')
    if not status or is_final({ status = status }) then
      redis.call('SREM', window(lane), id)
    end
  end
end

-- Take the next job out of the line, and count its owner's turn.
local function take(lane)
  local owner, starts = unpack(redis.call('ZRANGE', turns(lane), 0, 0, 'WITHSCORES'))
  if not owner then
    return
  end
  local id = redis.call('ZRANGE', line(lane, owner), 0, 0)[1]
  local job = id and read(id)
  if not id then
    redis.call('ZREM', turns(lane), owner)
  elseif not job or not job.waits then
    remove_from_line(lane, owner, id)
  else
    local ends = tonumber(starts) + job.turn
    enter_window(job)
    if is_any_waiting(lane) then
      redis.call('HSET', CLOCKS, lane, starts)
      redis.call('ZREMRANGEBYSCORE', ended_turns(lane), '-inf', starts)
      redis.call('ZADD', ended_turns(lane), ends, owner)
      redis.call('ZADD', turns(lane), 'XX', ends, owner)
    end
    set_due_in(job, rules.unemitted_due_after)
  end
  return true, job
end

local found = {}
for _, each in ipairs(lane == '' and redis.call('HKEYS', LANES) or { lane }) do
  free_places(each)
  local is_left, job = true, nil
  while #found < limit and is_left and has_room(each) do
    is_left, job = take(each)
    if job then
      found[#found + 1] = { job.id, fields(job) }
    end
  end
end
return found
