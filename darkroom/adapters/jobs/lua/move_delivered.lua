#!lua flags=allow-oom,no-cluster
-- Forget jobs that the other store has, and the idempotency keys that led to them.
for at = 2, #ARGV do
  local id = ARGV[at]
  local owner, idempotency_key = unpack(redis.call('HMGET', moving(id), 'owner', '>key'))
  local binding = owner and idempotency_key and binding_of(owner, idempotency_key)
  if binding and redis.call('GET', binding) == id then
    redis.call('DEL', binding)
  end
  redis.call('DEL', moving(id))
  redis.call('SREM', MOVING, id)
end
return { 'done' }
