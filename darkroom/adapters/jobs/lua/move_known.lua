#!lua flags=allow-oom,no-cluster
-- What this store knows of requests that the other one is about to accept, each with its owner, idempotency key, job's id
-- and picture: the job that was first, if it is here, and whether the job or the picture was erased. From now on this store
-- accepts nothing, so that the answer stays true.
redis.call('SET', MOVED, '1')
local FIRST_REQUEST, VALUES_PER_REQUEST = 2, 4

local function is_here(id)
  return redis.call('EXISTS', job_key(id)) == 1 or redis.call('EXISTS', moving(id)) == 1
end

local answers = {}
for at = FIRST_REQUEST, #ARGV, VALUES_PER_REQUEST do
  local owner, idempotency_key, id, picture = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local binding = binding_of(owner, idempotency_key)
  local first = binding and redis.call('GET', binding) or id
  answers[#answers + 1] = {
    is_here(first) and first or '', is_erased(first) and 1 or 0, is_erased(picture) and 1 or 0,
  }
end
return answers
