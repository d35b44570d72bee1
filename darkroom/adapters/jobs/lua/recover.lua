#!lua flags=allow-oom,no-cluster
-- A dead letter came in. Sent twice after a lost answer it uses up one emission more, or hands the failed job out once
-- more: both are harmless.
local job, error = read(ARGV[2]), ARGV[3]
if not job then
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

note_silent_end(job)
redis.call('HSET', job.key, 'confirmed', job.emissions) -- the broker had it, else it could not have given it up
redis.call('HDEL', job.key, 'caller')
job.confirmed = job.emissions
if is_spent(job) then
  give_up(job, error, now + rules.keep_within)
  return { 'failed', fields(job) }
end
if job.emissions - job.redriven == 1 then
  emit(job)
  return { 'emit', fields(job) }
end
-- It was emitted again before, and in vain. Whatever is down wants time: the sweep emits it, later each time, so that
-- the emissions last for hours and not for as many rounds of the broker's retries.
redis.call('HDEL', job.key, 'lease')
set_status(job, 'queued')
set_due_in(job, doubled(rules.dead_letter_wait, job.emissions - job.redriven - 2))
return { 'nothing', fields(job) }
