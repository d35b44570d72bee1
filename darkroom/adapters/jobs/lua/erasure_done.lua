#!lua flags=allow-oom,no-cluster
-- Record that everything of the job that was there is erased. Whatever was queued since it was handed out stays.
local id = ARGV[2]
local number, again = unpack(redis.call('HMGET', erasure(id), 'number', 'again'))
if number == ARGV[3] then
  if again then
    redis.call('ZADD', ERASURES, again, id)
  else
    -- A hash without fields is gone. Recovery may not delete keys.
    redis.call('HDEL', erasure(id), 'number', 'again', 'scope', 'original')
    redis.call('ZREM', ERASURES, id)
  end
end
return { 'done' }
