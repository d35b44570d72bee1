#!lua flags=allow-oom,no-cluster
-- Sent twice it says the same: only the bearer of this fence can have completed the job.
local job, fence, result, timings = read(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
if not job then
  return { 'stale', {} }
end
if job.status == 'completed' and job.fence == fence then
  return { 'done', fields(job) }
end
if not is_holder(job, fence) then
  return { 'stale', fields(job) }
end
note_end(job, now, '')
redis.call('HDEL', job.key, 'error')
redis.call('HSET', job.key, 'result', result, 'timings', timings)
finish(job, 'completed')
return { 'done', fields(job) }
