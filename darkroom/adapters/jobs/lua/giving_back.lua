-- What release.lua and withdraw.lua have in common. It is put in front of both. The claim's token stays, so that a copy
-- of the claim that comes late is known (claim.lua).

local function give_back(job, error, counts)
  note_end(job, now, code_of(error))
  redis.call('HDEL', job.key, 'lease', 'worker')
  redis.call('HSET', job.key, 'error', error, 'released', job.fence)
  if not counts then
    redis.call('HINCRBY', job.key, 'attempts', -1)
  end
  set_status(job, 'queued')
  set_due_as_emitted(job)
end
