#!lua flags=no-cluster
-- Queue a failed job again at a person's request, with new parameters and presets if given. Renditions that stand are not
-- made again, unless the request names them. The fence grows, so that no earlier
-- worker can act for it. A second call answers that there is nothing to do. Refused when memory is full (no allow-oom):
-- a redrive adds work, and the dead letter is still there.
local job, parameters, presets = read(ARGV[2]), ARGV[3], ARGV[4]
local FIRST_REMADE = 5

-- The errors of renditions, and the results that the request names.
local function forget_renditions()
  local made = redis.call('HGETALL', job.key)
  for n = 1, #made, 2 do
    if made[n]:sub(1, 1) == '=' and made[n + 1]:sub(1, 1) == '{' then
      redis.call('HDEL', job.key, made[n])
    end
  end
  for n = FIRST_REMADE, #ARGV do
    redis.call('HDEL', job.key, '=' .. ARGV[n])
  end
end

if not job then
  return { 'nothing', {} }
end
if job.status ~= 'failed' or is_cancelled(job) then
  return { 'nothing', fields(job) }
end

count(1, JOBS_REDRIVEN, job.type)
redis.call('ZREM', GIVEN_UP, job.id)
redis.call('PERSIST', job.key)
restore(job)
redis.call('HDEL', job.key, 'error', 'finished', 'worker', 'released', 'timings')
if parameters ~= '' then
  redis.call('HSET', job.key, 'parameters', parameters)
end
if presets ~= '' then
  redis.call('HSET', job.key, 'presets', presets)
end
forget_renditions()
use_pictures(job)
redis.call('HSET', job.key, 'attempts', 0, 'redriven', job.emissions)
redis.call('HINCRBY', job.key, 'redrives', 1)
redis.call('HINCRBY', job.key, 'fence', 1)
redis.call('HINCRBY', job.key, 'emissions', 1)
set_status(job, 'queued')
if not enter_lane(job) then
  return { 'wait', fields(job) }
end
set_due_in(job, rules.unemitted_due_after)
return { 'emit', fields(job) }
