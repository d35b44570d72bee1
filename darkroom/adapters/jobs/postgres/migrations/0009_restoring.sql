-- Jobs that storage shows and this store has lost.

CREATE FUNCTION darkroom.without_record(rules jsonb, job_ids uuid[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(given), '[]') FROM unnest(job_ids) AS given
    WHERE NOT EXISTS (SELECT FROM darkroom.jobs WHERE id = given)
        AND NOT EXISTS (SELECT FROM darkroom.finished WHERE id = given)
        AND NOT darkroom.is_erased(given::text)
$$;

CREATE FUNCTION darkroom.restore_one(rules jsonb, kept jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := darkroom.clock();
    ended timestamptz := to_timestamp((kept ->> 'finished_ms')::bigint / 1000.0);
    final_kept bigint := darkroom.number(rules, 'final_kept');
    is_completed boolean := kept -> 'result' <> 'null';
    j darkroom.jobs := darkroom.any_job((kept ->> 'id')::uuid);
BEGIN
    IF j.id IS NOT NULL OR darkroom.is_erased(kept ->> 'id') OR darkroom.is_erased(kept ->> 'storage_key') THEN
        RETURN 'exists';
    END IF;
    ended := coalesce(ended, now);
    IF is_completed AND final_kept > 0 AND ended + darkroom.span(final_kept) <= now THEN
        RETURN 'expired';
    END IF;
    SELECT * INTO j FROM jsonb_populate_record(NULL::darkroom.jobs, kept || jsonb_build_object(
        'status', 'queued', 'created', to_timestamp((kept ->> 'created_ms')::bigint / 1000.0),
        'attempts', 0, 'emissions', 1, 'confirmed', 0, 'redriven', 0, 'redrives', 0, 'waits', false, 'in_window', false,
        'history', '[]'::jsonb, 'withdrawn', '{}'::text[], 'unheard', '[]'::jsonb, 'made', '{}'::jsonb, 'restored', now, 'result', NULL));
    -- Workers of the job's earlier life may still be at it. A fence grows by one with each attempt, which takes longer
    -- than a millisecond; so one that is as high as the job is old, in milliseconds, is higher than any that they have.
    j.fence := greatest(darkroom.ms(now - j.created), 0) + 1000;
    IF kept ->> 'key' <> '' AND j.created + darkroom.span(rules, 'idempotency_kept') > now THEN
        INSERT INTO darkroom.bindings AS b
        VALUES (j.owner, kept ->> 'key', j.id, j.created + darkroom.span(rules, 'idempotency_kept'))
        ON CONFLICT (owner, key) DO UPDATE SET job_id = excluded.job_id, until = excluded.until WHERE b.until <= now;
    END IF;
    PERFORM darkroom.count('jobs.accepted|' || j.type || '|' || j.cost);
    IF is_completed THEN
        -- How long it took is not known, so only its end is counted.
        j.status := 'completed';
        j.attempts := 1;
        j.result := kept -> 'result';
        j.finished := ended;
        INSERT INTO darkroom.finished SELECT j.*;
        PERFORM darkroom.count('jobs.ended|' || concat_ws('|', j.type, j.cost, 'completed', ''));
    ELSE
        -- It waits in its lane, whether or not there is room: the caller need not know the broker's window, and the sweep
        -- hands it out in its turn.
        j := darkroom.stand_in_line(j);
        INSERT INTO darkroom.jobs SELECT j.*;
    END IF;
    PERFORM darkroom.use_pictures(j);
    PERFORM darkroom.tell(j);
    RETURN j.status;
END $$;

-- Write the records of jobs that have none, all or none. A job that has one is left as it is, so a second call changes
-- nothing, and new jobs may come meanwhile.
CREATE FUNCTION darkroom.restore(rules jsonb, kept jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    one jsonb;
    outcomes jsonb := '[]';
BEGIN
    -- With its lanes locked in any case: jobs are put into their lines.
    PERFORM darkroom.lock_requests(rules || '{"window": 1}', kept);
    FOR one IN SELECT value FROM jsonb_array_elements(kept) LOOP
        outcomes := outcomes || to_jsonb(darkroom.restore_one(rules, one));
    END LOOP;
    RETURN outcomes;
END $$;
