#!lua flags=allow-oom,no-cluster
-- Cancel an owner's job that is not final. A result that its worker has stored, or stores before it notices, is erased.
local job, owner, error = read(ARGV[2]), ARGV[3], ARGV[4]
if not job or job.owner ~= owner then
  return { 'unknown' }
end
if is_final(job) then
  return { 'final', fields(job) }
end
cancel(job, error)
queue_erasure(job.id)
return { 'cancelled', fields_at_end(job) }
