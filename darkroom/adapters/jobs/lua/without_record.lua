#!lua flags=no-writes,no-cluster
-- The ids, of those given, that have no record and were not erased.
local missing = {}
for at = 2, #ARGV do
  if redis.call('EXISTS', job_key(ARGV[at])) == 0 and not is_erased(ARGV[at]) then
    missing[#missing + 1] = ARGV[at]
  end
end
return missing
