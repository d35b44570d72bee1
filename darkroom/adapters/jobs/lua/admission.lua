#!lua flags=no-writes,no-cluster
-- Whether there is room: the owner's load, everybody's, and which of the requests that are named, each by its idempotency
-- key and its job's id, have a job already. They need no room. accept.lua decides.
local owner = ARGV[2]
local FIRST_NAME = 3

local known = 0
for at = FIRST_NAME, #ARGV, 2 do
  local id = first_id({ binding = binding_of(owner, ARGV[at]), id = ARGV[at + 1] })
  if id ~= '' and redis.call('EXISTS', job_key(id)) == 1 then
    known = known + 1
  end
end
return { load_of(owner), load_of(EVERYBODY), known }
