#!lua flags=allow-oom,no-cluster
-- Return the job to the queue. A second call gets the same answer, and the attempt is uncounted only once.
local job, fence, error, counts = read(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'
if job and job.status == 'queued' and job.fence == fence and job.released == fence then
  return { 'done' }
end
if not job then
  erase_what_came_late(ARGV[2])
end
if not job or not is_holder(job, fence) then
  return { 'stale' }
end
give_back(job, error, counts)
return { 'done' }
