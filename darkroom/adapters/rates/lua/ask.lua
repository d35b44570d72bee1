#!lua flags=allow-oom,no-cluster
-- GCRA, the generic cell rate algorithm (ITU-T I.371), on Redis' own clock: each bucket has one number, the moment until
-- which what it asked for has been paid. More is admitted while that moment lies less than a period ahead.
--
-- ARGV: bucket, limit, period in microseconds, units asked for, 1 to count them or 0 only to tell. Answers admitted (1 or
-- 0), remaining units, microseconds until all is there again, microseconds until as many units are. Memory may be full: a
-- reader must not be refused for that.
local key = 'darkroom:rate:' .. ARGV[1]
local limit, period, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local interval = period / limit

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paid_until = math.max(tonumber(redis.call('GET', key) or now), now)
local after = paid_until + interval * cost

local too_early = after - period - now
-- Half a microsecond is the rounding of what is stored.
local is_admitted = too_early <= 0.5
if is_admitted and ARGV[5] == '1' and cost > 0 then
  redis.call('SET', key, string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
  paid_until = after
end
local remaining = math.max(0, math.floor((period - (paid_until - now)) / interval + 0.000001))
return {
  is_admitted and 1 or 0,
  remaining,
  math.ceil(paid_until - now),
  is_admitted and 0 or math.ceil(too_early),
}
