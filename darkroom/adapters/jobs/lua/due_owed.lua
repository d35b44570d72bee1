#!lua flags=allow-oom,no-cluster
-- The endpoints to which something is due, and how much. One to which nothing is owed any more is forgotten.
local found = {}
for _, endpoint in ipairs(redis.call('SMEMBERS', OWED_ENDPOINTS)) do
  local due = redis.call('ZCOUNT', owed_due(endpoint), '-inf', now)
  if due > 0 then
    found[#found + 1] = endpoint
    found[#found + 1] = due
  elseif redis.call('ZCARD', owed_due(endpoint)) == 0 then
    redis.call('SREM', OWED_ENDPOINTS, endpoint)
  end
end
return found
