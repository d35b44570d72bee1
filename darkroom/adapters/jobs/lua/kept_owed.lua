#!lua flags=allow-oom,no-cluster
-- What was given up is with the dead letters. One that was owed anew meanwhile stays.
local endpoint, webhook_id = ARGV[2], ARGV[3]
if redis.call('ZREM', OWED_GIVEN_UP, owed_name(endpoint, webhook_id)) == 1 then
  forget_owed(endpoint, webhook_id)
end
return { 'done' }
