#!lua flags=allow-oom,no-cluster
-- Complete the job. A second call gets the same answer: only the holder of this fence can have completed the job.
local job, fence, result, timings = read(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]

local function count_stages(job, timings)
  for stage, milliseconds in pairs(timings) do
    observe(milliseconds, JOB_STAGE_DURATION, job.type, stage)
  end
end

-- A job with several results has none of its own: rendered.lua counts them.
local function count_result(result, timings)
  local format = result.content_type:match('[^/]+$')
  count(result.bytes, RESULT_SIZE, format)
  if timings.render then
    observe(timings.render, RENDER_DURATION, format)
  end
end

-- The worker has stored a result for a job that was cancelled or erased meanwhile.
erase_what_came_late(ARGV[2], job)
if not job then
  return { 'stale', {} }
end
if job.status == 'completed' and job.fence == fence then
  return { 'done', fields_at_end(job) }
end
if not is_holder(job, fence) then
  return { 'stale', fields(job) }
end
record_end(job, now, '')
redis.call('HDEL', job.key, 'error')
redis.call('HSET', job.key, 'timings', timings)
if result ~= '' then
  redis.call('HSET', job.key, 'result', result)
end
finish(job, 'completed', '')
count_stages(job, cjson.decode(timings))
if result ~= '' then
  count_result(cjson.decode(result), cjson.decode(timings))
end
return { 'done', fields_at_end(job) }
