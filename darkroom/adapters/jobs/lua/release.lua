#!lua flags=allow-oom,no-cluster
-- Give the job back. Sent twice it says the same, and takes the attempt back once.
local job, fence, error, counts = read(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1'
if job and job.status == 'queued' and job.fence == fence and job.released == fence then
  return { 'done' }
end
if not job or not is_holder(job, fence) then
  return { 'stale' }
end
give_back(job, error, counts)
return { 'done' }
