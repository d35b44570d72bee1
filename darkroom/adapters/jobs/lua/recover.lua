#!lua flags=allow-oom,no-cluster
-- Recover the job of a dead letter. A second call after a lost answer uses up one more emission, or hands the failed
-- job out once more; both are harmless.
local job, error = read(ARGV[2]), ARGV[3]
if not job then
  erase_what_came_late(ARGV[2])
  return { 'nothing', {} }
end
if is_final(job) then
  if redis.call('ZSCORE', GIVEN_UP, job.id) then
    hand_out_again(job)
    return { 'failed', fields(job) }
  end
  return { 'nothing', fields(job) }
end
if is_held(job) then
  return { 'nothing', fields(job) }
end

record_lost_attempt(job)
redis.call('HSET', job.key, 'confirmed', job.emissions) -- the broker had it, or there would be no dead letter
redis.call('HDEL', job.key, 'caller')
job.confirmed = job.emissions
if is_spent(job) then
  give_up(job, error, now + rules.keep_within)
  return { 'failed', fields(job) }
end
if job.emissions - job.redriven == 1 then
  return { emit(job), fields(job) }
end
-- It was already emitted again, without success. Whatever is down needs time, so the sweep emits the job, after a
-- longer wait each time. The emissions then last for hours instead of a few rounds of the broker's retries.
-- Meanwhile others have its place in the window.
redis.call('HDEL', job.key, 'lease')
set_status(job, 'queued')
leave_lane(job)
set_due_in(job, doubled(rules.dead_letter_wait, job.emissions - job.redriven - 2))
return { 'nothing', fields(job) }
