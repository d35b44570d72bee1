-- A restored job with several results keeps those that storage has, and has completed if it has them all. The caller, who
-- knows the parameters, says whether (`is_complete`); otherwise as in 0009.

CREATE OR REPLACE FUNCTION darkroom.restore_one(rules jsonb, kept jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := darkroom.clock();
    ended timestamptz := to_timestamp((kept ->> 'finished_ms')::bigint / 1000.0);
    final_kept bigint := darkroom.number(rules, 'final_kept');
    is_completed boolean := (kept ->> 'is_complete')::boolean;
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
        'history', '[]'::jsonb, 'withdrawn', '{}'::text[], 'unheard', '[]'::jsonb, 'restored', now, 'result', NULL));
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
        j.result := nullif(kept -> 'result', 'null');
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
