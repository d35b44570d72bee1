#!lua flags=allow-oom,no-cluster
-- Record that the broker has these emissions, each an id and a number. A second call changes nothing.
local function confirm(job, emission)
  if not job or is_final(job) or emission ~= job.emissions then
    return
  end
  redis.call('HSET', job.key, 'confirmed', emission)
  redis.call('HDEL', job.key, 'caller')
  if job.status == 'queued' and not job.waits then
    set_due_as_emitted(job)
  end
end

for at = 2, #ARGV, 2 do
  confirm(read(ARGV[at]), tonumber(ARGV[at + 1]))
end
return { 'done' }
