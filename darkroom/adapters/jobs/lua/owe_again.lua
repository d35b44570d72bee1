#!lua flags=no-cluster
-- Owe it anew, from its dead letter. Refused when memory is full (no allow-oom): the dead letter is still there.
local endpoint, webhook_id, text = ARGV[2], ARGV[3], ARGV[4]
if redis.call('ZREM', OWED_GIVEN_UP, owed_name(endpoint, webhook_id)) == 1 then
  -- Its letter was kept, and the record of that was lost.
  forget_owed(endpoint, webhook_id)
end
return write_owed(endpoint, webhook_id, text) and 1 or 0
