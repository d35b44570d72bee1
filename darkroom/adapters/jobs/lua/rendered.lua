#!lua flags=allow-oom,no-cluster
-- Record that one rendition of the job was made, or that it cannot be made, in the form of made_records.py. A second call
-- with the same fence gets the same answer. Watchers are told, since clients show results as they come.
local job, fence, name, made = read(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local format, bytes = ARGV[6], tonumber(ARGV[7])
-- The worker has stored a rendition of a job that was cancelled or erased meanwhile.
erase_what_came_late(ARGV[2], job)
if not job or not is_holder(job, fence) then
  return { 'stale' }
end
if redis.call('HSET', job.key, '=' .. name, made) == 1 and format ~= '' then
  count(bytes, RESULT_SIZE, format)
end
redis.call('PUBLISH', CHANGES, job.id .. ' ' .. job.status)
return { 'done' }
