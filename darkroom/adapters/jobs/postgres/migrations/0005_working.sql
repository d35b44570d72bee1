-- A job's attempts: claiming, renewing, ending, releasing.

-- Count the attempt, set the lease and the fence. Each claim has a new `token`: the same claim sent twice, because its
-- answer was lost, gets the same lease. A copy may arrive after its caller has withdrawn the claim or its lease has ended.
-- Nobody waits for it any more, so it must not begin another attempt.
CREATE FUNCTION darkroom.claim(rules jsonb, job_id uuid, worker text, token text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
    now timestamptz := darkroom.clock();
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
        RETURN jsonb_build_object('code', CASE WHEN j.id IS NOT NULL THEN 'final'
            WHEN darkroom.is_erased(job_id::text) THEN 'erased' ELSE 'unknown' END, 'job', to_jsonb(j));
    END IF;
    IF darkroom.is_held(j, now) AND j.claim = token THEN
        RETURN jsonb_build_object('code', 'lease', 'job', to_jsonb(j));
    END IF;
    IF j.claim = token OR token = ANY (j.withdrawn)
        OR EXISTS (SELECT FROM jsonb_array_elements(j.unheard) AS u WHERE u ->> 0 = token) THEN
        RETURN jsonb_build_object('code', 'late');
    END IF;
    IF darkroom.is_held(j, now) THEN
        RETURN jsonb_build_object('code', 'held', 'job', to_jsonb(j),
            'lease_left_ms', darkroom.ms(j.lease - now), 'attempt_ms', darkroom.ms(now - coalesce(j.claimed, now)));
    END IF;
    j := darkroom.record_lost_attempt(rules, j);
    IF j.attempts >= darkroom.number(rules, 'max_attempts') THEN
        RETURN darkroom.at_end(rules, 'spent', darkroom.give_up(rules, j, (rules ->> 'crashed')::jsonb, now));
    END IF;

    -- The error is always that of the latest attempt, and this claim begins a new one. The claim also proves that the
    -- broker had the emission.
    j.waits := false;
    j.in_window := darkroom.number(rules, 'window') > 0;
    j.error := NULL;
    j.caller := NULL;
    j.attempts := j.attempts + 1;
    j.fence := j.fence + 1;
    j.worker := worker;
    j.claim := token;
    j.claimed := now;
    j.lease := now + darkroom.span(rules, 'lease');
    j.due := j.lease;
    j.confirmed := j.emissions;
    j.timeout_ms := darkroom.number(rules, 'job_timeout');
    IF j.started IS NULL THEN
        j.started := now;
        PERFORM darkroom.observe(rules, darkroom.ms(now - j.created), 'job.stage.duration', j.type, 'queued');
    END IF;
    j.status := 'processing';
    PERFORM darkroom.store(j);
    RETURN jsonb_build_object('code', 'lease', 'job', to_jsonb(j));
END $$;

-- Extend the lease. One that ran out is resumed as long as nobody else has claimed the job.
CREATE FUNCTION darkroom.renew(rules jsonb, job_id uuid, of_fence bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, false);
BEGIN
    IF NOT darkroom.is_holder(j, of_fence) THEN
        RETURN jsonb_build_object('code', 'stale');
    END IF;
    IF darkroom.has_end(j) THEN
        -- Recovery took the worker for dead, but it is alive.
        j.history := j.history - -1;
        j.error := NULL;
    END IF;
    j.lease := darkroom.clock() + darkroom.span(rules, 'lease');
    j.due := j.lease;
    j.status := 'processing';
    PERFORM darkroom.store(j);
    RETURN jsonb_build_object('code', 'done');
END $$;

-- A job with several results has none of its own: `rendered` counts them.
CREATE FUNCTION darkroom.count_result(rules jsonb, j darkroom.jobs) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    format text := substring(j.result ->> 'content_type' FROM '[^/]+$');
BEGIN
    PERFORM darkroom.observe(rules, value::bigint, 'job.stage.duration', j.type, key) FROM jsonb_each_text(j.timings);
    IF j.result IS NULL THEN
        RETURN;
    END IF;
    PERFORM darkroom.count(ARRAY['result.size|' || format], ARRAY[(j.result ->> 'bytes')::bigint]);
    IF j.timings ? 'render' THEN
        PERFORM darkroom.observe(rules, (j.timings ->> 'render')::bigint, 'render.duration', format);
    END IF;
END $$;

-- The answer where the holder of this fence cannot end the job: it has done so already, in this way, or is stale.
CREATE FUNCTION darkroom.ended_before(rules jsonb, j darkroom.jobs, job_id uuid, of_fence bigint, of_status text) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
    END IF;
    IF j.id IS NULL THEN
        RETURN jsonb_build_object('code', 'stale');
    END IF;
    IF j.status = of_status AND j.fence = of_fence THEN
        RETURN darkroom.at_end(rules, 'done', j);
    END IF;
    RETURN jsonb_build_object('code', 'stale', 'job', to_jsonb(j));
END $$;

-- The worker may have stored a result for a job that was cancelled or erased meanwhile. `j` is the job, unless it has ended.
CREATE FUNCTION darkroom.erase_late_result(rules jsonb, j darkroom.jobs, job_id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
    END IF;
    IF darkroom.is_cancelled(j) OR (j.id IS NULL AND darkroom.is_erased(job_id::text)) THEN
        PERFORM darkroom.queue_erasure(rules, job_id, false, NULL);
    END IF;
END $$;

-- Record that one rendition of the job was made, or that it cannot be made; `bytes` are its size, NULL in that case. A
-- second call with the same fence gets the same answer. Watchers are told, since clients show results as they come.
CREATE FUNCTION darkroom.rendered(
    rules jsonb, job_id uuid, of_fence bigint, of_name text, how jsonb, format text, bytes bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, false);
BEGIN
    IF NOT darkroom.is_holder(j, of_fence) THEN
        PERFORM darkroom.erase_late_result(rules, j, job_id);
        RETURN jsonb_build_object('code', 'stale');
    END IF;
    UPDATE darkroom.jobs SET made = made || jsonb_build_object(of_name, how) WHERE id = job_id;
    IF bytes IS NOT NULL AND NOT j.made ? of_name THEN
        PERFORM darkroom.count(ARRAY['result.size|' || format], ARRAY[bytes]);
    END IF;
    PERFORM darkroom.tell(j);
    RETURN jsonb_build_object('code', 'done');
END $$;

-- Complete the job; `result` is NULL where `rendered` recorded its results. A second call gets the same answer: only the holder of this fence can have completed the job.
CREATE FUNCTION darkroom.complete(rules jsonb, job_id uuid, of_fence bigint, result jsonb, timings jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
BEGIN
    IF NOT darkroom.is_holder(j, of_fence) THEN
        PERFORM darkroom.erase_late_result(rules, j, job_id);
        RETURN darkroom.ended_before(rules, j, job_id, of_fence, 'completed');
    END IF;
    j := darkroom.record_end(rules, j, darkroom.clock(), '');
    j.error := NULL;
    j.result := result;
    j.timings := timings;
    j := darkroom.finish(rules, j, 'completed', '');
    PERFORM darkroom.count_result(rules, j);
    RETURN darkroom.at_end(rules, 'done', j);
END $$;

-- Fail the job. A second call gets the same answer: whatever else fails a job increments its fence.
CREATE FUNCTION darkroom.fail(rules jsonb, job_id uuid, of_fence bigint, error jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
BEGIN
    IF NOT darkroom.is_holder(j, of_fence) THEN
        RETURN darkroom.ended_before(rules, j, job_id, of_fence, 'failed');
    END IF;
    j := darkroom.record_end(rules, j, darkroom.clock(), error ->> 0);
    j.error := error;
    RETURN darkroom.at_end(rules, 'done', darkroom.finish(rules, j, 'failed', error ->> 0));
END $$;

-- The claim's token stays, so that a late copy of the claim is recognised.
CREATE FUNCTION darkroom.give_back(rules jsonb, j darkroom.jobs, error jsonb, counts boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    j := darkroom.record_end(rules, j, darkroom.clock(), error ->> 0);
    j.lease := NULL;
    j.worker := NULL;
    j.error := error;
    j.released := j.fence;
    IF NOT counts THEN
        j.attempts := j.attempts - 1;
    END IF;
    j.status := 'queued';
    j.due := darkroom.due_as_emitted(rules, j);
    PERFORM darkroom.store(j);
END $$;

-- Return the job to the queue. A second call gets the same answer, and the attempt is uncounted only once.
CREATE FUNCTION darkroom.release(rules jsonb, job_id uuid, of_fence bigint, error jsonb, counts boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, false);
BEGIN
    IF j.status = 'queued' AND j.fence = of_fence AND j.released = of_fence THEN
        RETURN jsonb_build_object('code', 'done');
    END IF;
    IF NOT darkroom.is_holder(j, of_fence) THEN
        RETURN jsonb_build_object('code', 'stale');
    END IF;
    PERFORM darkroom.give_back(rules, j, error, counts);
    RETURN jsonb_build_object('code', 'done');
END $$;

-- Withdraw a claim. The process that made it never got the answer, so it has not begun the attempt.
--
--   the claim never arrived      its token is recorded, and a late copy is refused (claim)
--   its answer was lost          the job returns to the queue, and the attempt does not count
--   ... and its lease ran out    the attempt does not count and its entry is corrected, whoever has the job by then
--   ... and its process died     the attempt counts, like that of any worker that is killed
--   the job has ended            nothing
--
-- A claim that is being made has the job's row, and is waited for. A second call does nothing. The statistics keep the
-- crash that was counted: counts never shrink.
CREATE FUNCTION darkroom.withdraw(rules jsonb, job_id uuid, token text, error jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, false);
    lost bigint;
BEGIN
    IF j.id IS NULL OR token = ANY (j.withdrawn) THEN
        RETURN;
    END IF;
    j.withdrawn := j.withdrawn || token;
    IF cardinality(j.withdrawn) > darkroom.number(rules, 'history_kept') THEN
        j.withdrawn := j.withdrawn[2:];
    END IF;
    SELECT (u ->> 1)::bigint INTO lost FROM jsonb_array_elements(j.unheard) AS u WHERE u ->> 0 = token;
    IF lost IS NOT NULL THEN
        j.attempts := j.attempts - 1;
        SELECT coalesce(jsonb_agg(u ORDER BY n), '[]') INTO j.unheard
        FROM jsonb_array_elements(j.unheard) WITH ORDINALITY AS each (u, n) WHERE u ->> 0 <> token;
        SELECT coalesce(jsonb_agg(
            CASE WHEN (h ->> 0)::bigint = lost THEN jsonb_set(h, '{3}', error -> 0) ELSE h END ORDER BY n), '[]')
        INTO j.history FROM jsonb_array_elements(j.history) WITH ORDINALITY AS each (h, n);
        IF j.fence = lost THEN
            j.error := error;
        END IF;
        PERFORM darkroom.store(j);
    ELSIF j.status = 'processing' AND j.claim = token THEN
        PERFORM darkroom.give_back(rules, j, error, false);
    ELSE
        PERFORM darkroom.store(j);
    END IF;
END $$;
