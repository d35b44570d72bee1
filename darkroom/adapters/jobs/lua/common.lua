-- Shared by all scripts. It is put in front of each script when the script is loaded.
--
-- ARGV[1] is the store's rules as JSON (attempts, emissions, times in milliseconds); a script's own arguments follow.
-- Keys are built from the job's id rather than declared: a job, its deadline and the indexes change in one step. Redis
-- Cluster cannot do that, so the scripts are marked `no-cluster`.

local rules = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local DEADLINES = 'darkroom:deadlines' -- unfinished jobs by the time at which the sweep recovers them
local GIVEN_UP = 'darkroom:given-up' -- failed jobs that are not yet with the dead letters
local CHANGES = 'darkroom:changes'

local function unfinished(status)
  return 'darkroom:unfinished:' .. status -- by the time of their acceptance
end

local function job_key(id)
  return 'darkroom:job:' .. id
end

local function read(id)
  local key = job_key(id)
  local values = redis.call('HMGET', key, 'status', 'fence', 'lease', 'attempts', 'emissions', 'released', 'confirmed',
    'created', 'worker', 'claim', 'claimed', 'history', 'redriven',
    'timeout', 'type', 'cost', 'withdrawn', 'unheard', 'owner', 'turn', 'waits')
  if not values[1] then
    return nil
  end
  -- The record of an ended job leaves out numbers that are 1 (thinning.lua).
  local default = (values[1] == 'completed' or values[1] == 'failed') and 1 or nil
  return {
    id = id,
    key = key,
    status = values[1],
    fence = tonumber(values[2]) or default,
    lease = tonumber(values[3]) or 0,
    attempts = tonumber(values[4]) or default,
    emissions = tonumber(values[5]) or default,
    released = tonumber(values[6]), -- the fence of the last lease that was released
    confirmed = tonumber(values[7]) or 0, -- the last emission that the broker is known to have received
    created = tonumber(values[8]),
    worker = values[9],
    claim = values[10], -- the token of the latest claim
    claimed = tonumber(values[11]), -- when the latest attempt began
    history = values[12] or '',
    redriven = tonumber(values[13]) or 0, -- the number of emissions before the latest redrive
    timeout = tonumber(values[14]), -- JOB_TIMEOUT of the worker that claimed it
    type = values[15],
    cost = values[16] or 'standard',
    withdrawn = values[17] or '', -- the claims that were withdrawn, each as "token;"
    unheard = values[18] or '', -- the claims whose lease ran out, each as "token,fence;"
    owner = values[19],
    turn = tonumber(values[20]) or 1, -- how much of its owner's turn it takes
    waits = values[21] == '1' -- in its lane, for room in the broker's window
  }
end

local function fields(job)
  return redis.call('HGETALL', job.key)
end

local function is_final(job)
  return job.status == 'completed' or job.status == 'failed'
end

local function is_held(job)
  return job.status == 'processing' and job.lease > now
end

-- Whether the holder of `fence` may still act for the job. Its lease may have run out, and recovery may have put the
-- job back into the queue. As long as nobody else has claimed the job, this holder's work is as good as the next one's.
local function is_holder(job, fence)
  return not is_final(job) and job.fence == fence and job.released ~= fence
end

local function is_unheard(job, token)
  return (';' .. job.unheard):find(';' .. token .. ',', 1, true) ~= nil
end

local function is_withdrawn(job, token)
  return (';' .. job.withdrawn):find(';' .. token .. ';', 1, true) ~= nil
end

local function set_status(job, status)
  if job.status == status then
    return
  end
  redis.call('ZREM', unfinished(job.status), job.id)
  local was_final = is_final(job)
  job.status = status
  if is_final(job) then
    leave_backlog(job, now)
  else
    redis.call('ZADD', unfinished(status), job.created, job.id)
    if was_final then
      enter_backlog(job)
    end
  end
  redis.call('HSET', job.key, 'status', status)
  redis.call('PUBLISH', CHANGES, job.id .. ' ' .. status)
end

-- Lists are strings whose entries end in ";". Only the latest few entries are kept.
local function latest(entries)
  local _, number = entries:gsub(';', '')
  if number > rules.history_kept then
    entries = entries:gsub('^[^;]*;', '')
  end
  return entries
end

local function set_due_in(job, milliseconds)
  redis.call('ZADD', DEADLINES, now + milliseconds, job.id)
end

-- The history lists the attempts that ended, each as "fence,began,ended,code,worker;" with times in milliseconds after
-- the acceptance. An attempt whose end was recorded and that was then resumed has one entry.
local function remove_end(job)
  local last = job.history:match('[^;]+;$')
  if last and tonumber(last:match('^%d+')) == job.fence then
    job.history = job.history:sub(1, -#last - 1)
    return true
  end
  return false
end

local function record_end(job, ended, code)
  if not job.claimed then
    return
  end
  remove_end(job)
  local worker = (job.worker or ''):gsub('[;,]', ' ')
  job.history = latest(job.history .. string.format('%d,%d,%d,%s,%s;', job.fence, job.claimed - job.created,
    ended - job.created, code, worker))
  redis.call('HSET', job.key, 'history', job.history)
  count(1, JOB_ATTEMPTS, job.type, code)
end

local function code_of(error)
  return cjson.decode(error)[1]
end

-- Record that the lease of a job in progress ran out: its worker was killed, crashed, or was cut off. How long it was
-- alive shows whether it timed out or crashed; it would have renewed its lease `renew_every` after its last sign of
-- life. Or the worker never got the answer to its claim: then it withdraws the claim as soon as it can (withdraw.lua),
-- and the attempt is found by the claim's token.
local function record_lost_attempt(job)
  if job.status ~= 'processing' then
    return
  end
  local alive_until = job.lease - rules.lease
  local lasted = alive_until + rules.renew_every - (job.claimed or alive_until)
  local error = rules.crashed
  if lasted >= job.timeout then
    error = string.format(rules.timed_out, job.timeout / 1000)
  end
  redis.call('HSET', job.key, 'error', error)
  record_end(job, alive_until, code_of(error))
  if job.claim then
    redis.call('HSET', job.key, 'unheard', latest(job.unheard .. job.claim .. ',' .. job.fence .. ';'))
  end
end

local function doubled(base, times)
  return math.min(base * 2 ^ times, rules.longest_wait)
end

-- The broker has the current emission. If its delivery fails, the sweep emits the job again.
local function set_due_as_emitted(job)
  set_due_in(job, doubled(rules.emitted_due_after, job.emissions - job.redriven - 1))
end
