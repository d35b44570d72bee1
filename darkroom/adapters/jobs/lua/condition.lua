#!lua flags=no-writes,no-cluster
-- Everybody's load, and the newest unfinished jobs of which an attempt ended with one of the codes: at most ARGV[2], among
-- the ARGV[3] newest of each status. The codes follow.
local limit, examined = tonumber(ARGV[2]), tonumber(ARGV[3])
local FIRST_CODE = 4

local function is_struck(history)
  for at = FIRST_CODE, #ARGV do
    if history:find(',' .. ARGV[at] .. ',', 1, true) then
      return true
    end
  end
  return false
end

local struck = {}
if limit > 0 then
  for _, status in ipairs({ 'processing', 'queued' }) do
    for _, id in ipairs(redis.call('ZRANGE', unfinished(status), 0, examined - 1, 'REV')) do
      if #struck < limit and is_struck(redis.call('HGET', job_key(id), 'history') or '') then
        struck[#struck + 1] = { id, redis.call('HGETALL', job_key(id)) }
      end
    end
  end
end
return { load_of(EVERYBODY), struck }
