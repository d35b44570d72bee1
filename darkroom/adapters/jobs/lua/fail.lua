#!lua flags=allow-oom,no-cluster
-- Fail the job. A second call gets the same answer: any other script that fails a job increments its fence.
local job, fence, error = read(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if not job then
  erase_what_came_late(ARGV[2])
  return { 'stale', {} }
end
if job.status == 'failed' and job.fence == fence then
  return { 'done', fields_at_end(job) }
end
if not is_holder(job, fence) then
  return { 'stale', fields(job) }
end
record_end(job, now, code_of(error))
redis.call('HSET', job.key, 'error', error)
finish(job, 'failed', code_of(error))
return { 'done', fields_at_end(job) }
