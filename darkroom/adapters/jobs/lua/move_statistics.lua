#!lua flags=allow-oom,no-cluster
-- Take the counts out of this store, under a token by which the other one knows whether it has added them. Counts that are
-- on their way already come first.
local STATISTICS_MOVING, TOKEN = 'darkroom:moving-statistics', 'darkroom:moving-statistics-token'
local order, token = ARGV[2], ARGV[3]

if order == 'delivered' then
  if redis.call('GET', TOKEN) == token then
    redis.call('DEL', STATISTICS_MOVING, TOKEN)
  end
  return {}
end
if order == 'take' and redis.call('EXISTS', STATISTICS_MOVING) == 0 and redis.call('EXISTS', STATISTICS) == 1 then
  redis.call('RENAME', STATISTICS, STATISTICS_MOVING)
  redis.call('SET', TOKEN, token)
end
if redis.call('EXISTS', STATISTICS_MOVING) == 0 then
  return {}
end
return { redis.call('GET', TOKEN), redis.call('HGETALL', STATISTICS_MOVING) }
