#!lua flags=no-writes,no-cluster
-- How much is left: jobs that are on their way, erasures that are not done, keepers and webhooks that are owed.
return {
  redis.call('SCARD', MOVING),
  redis.call('ZCARD', ERASURES),
  redis.call('HLEN', KEEPERS_OWED),
  redis.call('ZCARD', OWED) + redis.call('ZCARD', OWED_GIVEN_UP),
  redis.call('EXISTS', MOVED),
}
