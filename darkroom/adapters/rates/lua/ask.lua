#!lua flags=allow-oom,no-cluster
-- GCRA, the generic cell rate algorithm (ITU-T I.371), on Redis' own clock: each bucket has one number, the moment until
-- which its requests have been paid for. A request is admitted while that moment lies less than a period ahead.
--
-- ARGV: bucket, limit, period in microseconds. Answers admitted (1 or 0), remaining, microseconds until all is there
-- again, microseconds until the next is admitted. Memory may be full: a reader must not be refused for that.
local key = 'darkroom:rate:' .. ARGV[1]
local limit, period = tonumber(ARGV[2]), tonumber(ARGV[3])
local interval = period / limit

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paid_until = math.max(tonumber(redis.call('GET', key) or now), now)
local after = paid_until + interval

local too_early = after - period - now
-- Half a microsecond is the rounding of what is stored.
if too_early > 0.5 then
  return { 0, 0, math.ceil(paid_until - now), math.ceil(too_early) }
end
redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return { 1, math.floor((period - (after - now)) / interval + 0.000001), math.ceil(after - now), 0 }
