-- A view of all jobs for people and their tools. Its columns stay as they are over versions: new ones are added at the end,
-- and none is removed, renamed or given another type. The tables below it change as the store needs it.

CREATE VIEW darkroom.darkroom_jobs AS
SELECT
    j.id AS job_id,
    j.type,
    j.cost AS cost_class,
    j.status,
    j.owner,                                   -- the id of the API key; empty without keys
    j.created AS created_at,
    j.started AS started_at,                   -- when the first attempt began
    j.finished AS finished_at,
    j.started - j.created AS waited,
    j.finished - j.created AS took,
    j.attempts,
    j.emissions,
    j.redrives,
    j.waits AS waits_in_lane,
    j.due AS due_at,                           -- when the sweep looks after it
    j.lease AS lease_until,
    j.worker,
    j.error ->> 0 AS error_code,
    j.error ->> 1 AS error_message,
    j.parameters::jsonb AS parameters,
    j.storage_key AS original_key,
    j.result ->> 'storage_key' AS result_key,
    j.result ->> 'content_type' AS content_type,
    (j.result ->> 'width')::int AS width,
    (j.result ->> 'height')::int AS height,
    (j.result ->> 'bytes')::bigint AS bytes,
    -- How many renditions were made, and how many cannot be made.
    (SELECT count(*) FROM jsonb_each(j.made) AS m WHERE jsonb_typeof(m.value) = 'array')::int AS renditions_made,
    (SELECT count(*) FROM jsonb_each(j.made) AS m WHERE jsonb_typeof(m.value) = 'object')::int AS renditions_failed,
    (SELECT array_agg(p.value ->> 0 ORDER BY p.key) FROM jsonb_each(j.presets) AS p) AS presets,
    (j.timings ->> 'fetch')::int AS fetch_ms,
    (j.timings ->> 'render')::int AS render_ms,
    (j.timings ->> 'store')::int AS store_ms,
    j.request_id,
    nullif(split_part(j.trace, '-', 2), '') AS trace_id,
    j.restored AS restored_at
FROM (SELECT * FROM darkroom.jobs UNION ALL SELECT * FROM darkroom.finished) AS j;

COMMENT ON VIEW darkroom.darkroom_jobs IS 'All jobs, for people; its columns stay as they are over versions. docs/queries.md asks it ten questions.';
