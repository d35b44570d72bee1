#!lua flags=allow-oom,no-cluster
-- Sweep the overdue jobs. Each job that is handed out gets a later deadline in the same step, so that no other sweeper
-- gets it too. A second call after a lost answer hands out other jobs; those of the first answer are soon overdue
-- again.
local limit, error = tonumber(ARGV[2]), ARGV[3]
local steps = {}

local function overdue(set)
  return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, limit - #steps)
end

for _, id in ipairs(overdue(GIVEN_UP)) do
  local job = read(id)
  if job then
    hand_out_again(job)
    steps[#steps + 1] = { 'failed', fields(job), id }
  else
    redis.call('ZREM', GIVEN_UP, id)
  end
end

for _, id in ipairs(overdue(DEADLINES)) do
  local job = read(id)
  if not job then
    redis.call('ZREM', DEADLINES, id)
  else
    record_lost_attempt(job)
    if is_spent(job) then
      give_up(job, error, now + rules.keep_within)
      steps[#steps + 1] = { 'failed', fields(job), id }
    else
      emit(job)
      steps[#steps + 1] = { 'emit', fields(job), id }
    end
  end
end

return steps
