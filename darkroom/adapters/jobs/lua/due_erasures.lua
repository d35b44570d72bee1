#!lua flags=allow-oom,no-cluster
-- Hand out what is to be erased, each to one sweep at a time. If that dies, another gets it.
local limit, found = tonumber(ARGV[2]), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ERASURES, '-inf', now, 'LIMIT', 0, limit)) do
  local scope, original, again = unpack(redis.call('HMGET', erasure(id), 'scope', 'original', 'again'))
  local number = redis.call('HINCRBY', erasure(id), 'number', 1)
  if again and now >= tonumber(again) then
    redis.call('HDEL', erasure(id), 'again')
  end
  redis.call('ZADD', ERASURES, now + rules.erase_within, id)
  found[#found + 1] = { id, number, scope or 'results', original or '' }
end
return found
