#!lua flags=allow-oom,no-cluster
-- Withdraw a claim: whoever made it never had its answer, and has not begun the attempt.
--
-- The claim counts the attempt before it is answered, because a picture may kill its process at once: what is silent is
-- taken for dead, and counts. Only the process that made the claim can know better, so it is the one that says so, by the
-- token that it made the claim under; it does not know the fence. Nothing marks the beginning of an attempt, which would
-- cost each job a round trip before its first pixel. What follows:
--
--   the claim never arrived      its token is noted, and a copy that comes late is refused (claim.lua)
--   its answer was lost          the job is given back, and the attempt does not count
--   ... and its lease ran out    the attempt does not count and its entry is corrected, whoever has the job by then
--   ... and its maker died       the attempt counts, like that of any worker that is killed: nobody can tell it from one
--                                that the picture killed
--   the job has ended            nothing
--
-- Sent twice it does nothing the second time.
local job, token, error = read(ARGV[2]), ARGV[3], ARGV[4]

local function fence_of_silent_end()
  for claim, fence in job.unheard:gmatch('([^,;]+),(%d+);') do
    if claim == token then
      return tonumber(fence)
    end
  end
end

-- The statistics keep the crash that they counted: counts never shrink.
local function forgive(fence)
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
local fence = fence_of_silent_end()
if fence then
  forgive(fence)
elseif job.status == 'processing' and job.claim == token then
  give_back(job, error, false)
end
return { 'done' }
