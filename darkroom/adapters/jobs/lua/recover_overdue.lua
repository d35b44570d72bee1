#!lua flags=allow-oom,no-cluster
-- Sweep the overdue jobs. Each job that is handed out gets a later deadline in the same step, so that no other sweeper
-- gets it too. A second call after a lost answer hands out other jobs; those of the first answer are soon overdue
-- again.
local limit, error = tonumber(ARGV[2]), ARGV[3]
local steps = {}

local function overdue(set)
  return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, limit - #steps)
end

local function hand_out(id)
  local job = read(id)
  if job then
    hand_out_again(job)
    return { 'failed', fields(job), id }
  end
  redis.call('ZREM', GIVEN_UP, id)
end

local function sweep(id)
  local job = read(id)
  if not job then
    redis.call('ZREM', DEADLINES, id)
    return
  end
  if not is_readable(job) then
    return { 'unreadable', fields(job), id }
  end
  record_lost_attempt(job)
  if is_spent(job) then
    give_up(job, error, now + rules.keep_within)
    return { 'failed', fields(job), id }
  end
  return { emit(job), fields(job), id }
end

-- A record that this version cannot work with stays as it is and is looked at again later. It stops no other job.
local function each_overdue(set, step)
  for _, id in ipairs(overdue(set)) do
    local done, answer = pcall(step, id)
    if not done then
      answer = { 'unreadable', {}, id }
    end
    if answer and answer[1] == 'unreadable' then
      redis.call('ZADD', set, now + rules.emitted_due_after, id)
    end
    steps[#steps + 1] = answer
  end
end

each_overdue(GIVEN_UP, hand_out)
each_overdue(DEADLINES, sweep)

return steps
