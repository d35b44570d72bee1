#!lua flags=allow-oom,no-cluster
-- The broker has this emission. Sent twice it says the same.
local job, emission = read(ARGV[2]), tonumber(ARGV[3])
if not job or is_final(job) or emission ~= job.emissions then
  return { 'nothing' }
end
redis.call('HSET', job.key, 'confirmed', emission)
redis.call('HDEL', job.key, 'caller')
if job.status == 'queued' then
  set_due_as_emitted(job)
end
return { 'done' }
