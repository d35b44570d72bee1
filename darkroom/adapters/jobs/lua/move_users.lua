#!lua flags=no-writes,no-cluster
-- The jobs here that use a job's picture: an erasure asks for all of them.
local id = ARGV[2]
local values = redis.call('HMGET', job_key(id), 'storage_key', 'o')
local storage_key = values[1] or (values[2] and ORIGINALS .. id .. '/original.' .. values[2])
  or (ARGV[3] ~= '' and ARGV[3])
if not storage_key then
  return {}
end
local found = redis.call('SMEMBERS', used_by(storage_key))
local maker = storage_key:match('^uploads/([%x%-]+)/')
if maker then
  found[#found + 1] = maker
end
return found
