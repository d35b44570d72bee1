-- Whoever comes upon a job that was erased queues its erasure again: what it wrote, or what is recorded of its delivery,
-- came after the erasure. Only a worker that had stored a result did so before.

-- Queue the erasure of a job again, if it was erased. `j` is the job, unless it has ended or is gone.
CREATE FUNCTION darkroom.erase_what_came_late(rules jsonb, j darkroom.jobs, job_id uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
    END IF;
    IF j.id IS NULL AND darkroom.is_erased(job_id::text) THEN
        PERFORM darkroom.queue_erasure(rules, job_id, true, NULL);
    END IF;
END $$;

-- The worker may have stored a result for a job that was cancelled or erased meanwhile.
CREATE OR REPLACE FUNCTION darkroom.erase_late_result(rules jsonb, j darkroom.jobs, job_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
    END IF;
    IF darkroom.is_cancelled(j) THEN
        PERFORM darkroom.queue_erasure(rules, job_id, false, NULL);
    END IF;
    PERFORM darkroom.erase_what_came_late(rules, j, job_id);
END $$;

CREATE OR REPLACE FUNCTION darkroom.claim(rules jsonb, job_id uuid, worker text, token text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
    now timestamptz := darkroom.clock();
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
        PERFORM darkroom.erase_what_came_late(rules, j, job_id);
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

CREATE OR REPLACE FUNCTION darkroom.renew(rules jsonb, job_id uuid, of_fence bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, false);
BEGIN
    IF NOT darkroom.is_holder(j, of_fence) THEN
        PERFORM darkroom.erase_what_came_late(rules, j, job_id);
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

CREATE OR REPLACE FUNCTION darkroom.fail(rules jsonb, job_id uuid, of_fence bigint, error jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
BEGIN
    IF NOT darkroom.is_holder(j, of_fence) THEN
        PERFORM darkroom.erase_what_came_late(rules, j, job_id);
        RETURN darkroom.ended_before(rules, j, job_id, of_fence, 'failed');
    END IF;
    j := darkroom.record_end(rules, j, darkroom.clock(), error ->> 0);
    j.error := error;
    RETURN darkroom.at_end(rules, 'done', darkroom.finish(rules, j, 'failed', error ->> 0));
END $$;

CREATE OR REPLACE FUNCTION darkroom.release(rules jsonb, job_id uuid, of_fence bigint, error jsonb, counts boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, false);
BEGIN
    IF j.status = 'queued' AND j.fence = of_fence AND j.released = of_fence THEN
        RETURN jsonb_build_object('code', 'done');
    END IF;
    IF NOT darkroom.is_holder(j, of_fence) THEN
        PERFORM darkroom.erase_what_came_late(rules, j, job_id);
        RETURN jsonb_build_object('code', 'stale');
    END IF;
    PERFORM darkroom.give_back(rules, j, error, counts);
    RETURN jsonb_build_object('code', 'done');
END $$;

CREATE OR REPLACE FUNCTION darkroom.recover(rules jsonb, job_id uuid, error jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
    now timestamptz := darkroom.clock();
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
        PERFORM darkroom.erase_what_came_late(rules, j, job_id);
        UPDATE darkroom.given_up SET due = now + darkroom.span(rules, 'keep_within') WHERE id = job_id;
        RETURN jsonb_build_object('code', CASE WHEN FOUND AND j.id IS NOT NULL THEN 'failed' ELSE 'nothing' END,
            'job', CASE WHEN j.id IS NOT NULL THEN to_jsonb(j) END);
    END IF;
    IF darkroom.is_held(j, now) THEN
        RETURN jsonb_build_object('code', 'nothing', 'job', to_jsonb(j));
    END IF;
    j := darkroom.record_lost_attempt(rules, j);
    j.confirmed := j.emissions; -- the broker had it, or there would be no dead letter
    j.caller := NULL;
    IF darkroom.is_spent(rules, j) THEN
        j := darkroom.give_up(rules, j, error, now + darkroom.span(rules, 'keep_within'));
        RETURN jsonb_build_object('code', 'failed', 'job', to_jsonb(j));
    END IF;
    IF j.emissions - j.redriven = 1 THEN
        RETURN darkroom.emit_step(darkroom.emit(rules, j));
    END IF;
    -- It was already emitted again, without success. Whatever is down needs time, so the sweep emits the job, after a
    -- longer wait each time. The emissions then last for hours instead of a few rounds of the broker's retries. Meanwhile
    -- others have its place in the window.
    j.lease := NULL;
    j.status := 'queued';
    j.waits := false;
    j.in_window := false;
    j.due := now + darkroom.doubled(rules, 'dead_letter_wait', j.emissions - j.redriven - 2);
    PERFORM darkroom.store(j);
    RETURN jsonb_build_object('code', 'nothing', 'job', to_jsonb(j));
END $$;
