-- Shared by backlog.lua and statistics.lua: how many jobs are queued and processing, and the age of the oldest.

local function unfinished_jobs()
  local answer, oldest = {}, now
  for index, status in ipairs({ 'queued', 'processing' }) do
    answer[index] = redis.call('ZCARD', unfinished(status))
    local first = redis.call('ZRANGE', unfinished(status), 0, 0, 'WITHSCORES')
    if first[2] then
      oldest = math.min(oldest, tonumber(first[2]))
    end
  end
  answer[3] = now - oldest
  return answer
end
