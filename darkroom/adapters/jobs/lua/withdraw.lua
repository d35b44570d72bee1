#!lua flags=allow-oom,no-cluster
-- Withdraw a claim. The process that made it never got the answer, so it has not begun the attempt.
--
-- The claim counts the attempt before it is answered, because a picture may kill its process at once: a silent worker
-- is taken for dead, and its attempt counts. Only the process that made the claim can know better, so it withdraws the
-- claim itself, by the claim's token; it does not know the fence. Nothing marks the beginning of an attempt, because a
-- mark would cost each job a round trip before its first pixel. The consequences:
--
--   the claim never arrived      its token is recorded, and a late copy is refused (claim.lua)
--   its answer was lost          the job returns to the queue, and the attempt does not count
--   ... and its lease ran out    the attempt does not count and its entry is corrected, whoever has the job by then
--   ... and its process died     the attempt counts, like that of any worker that is killed: it cannot be told from one
--                                that the picture killed
--   the job has ended            nothing
--
-- A second call does nothing.
local job, token, error = read(ARGV[2]), ARGV[3], ARGV[4]

local function fence_of_lost_attempt()
  for claim, fence in job.unheard:gmatch('([^,;]+),(%d+);') do
    if claim == token then
      return tonumber(fence)
    end
  end
end

-- The statistics keep the crash that was counted: counts never shrink.
local function uncount_attempt(fence)
  local code = code_of(error)
  redis.call('HINCRBY', job.key, 'attempts', -1)
  redis.call('HSET', job.key,
    'unheard', (job.unheard:gsub('([^,;]+),%d+;', function(claim) return claim == token and '' or nil end)),
    'history', (job.history:gsub('(%d+)(,%-?%d+,%-?%d+),[^,]*,', function(number, times)
      return tonumber(number) == fence and number .. times .. ',' .. code .. ',' or nil
    end)))
  if job.fence == fence then
    redis.call('HSET', job.key, 'error', error)
  end
end

if not job or is_final(job) or is_withdrawn(job, token) then
  return { 'done' }
end
redis.call('HSET', job.key, 'withdrawn', latest(job.withdrawn .. token .. ';'))
local fence = fence_of_lost_attempt()
if fence then
  uncount_attempt(fence)
elseif job.status == 'processing' and job.claim == token then
  give_back(job, error, false)
end
return { 'done' }
