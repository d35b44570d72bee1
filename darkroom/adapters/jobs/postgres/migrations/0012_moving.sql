-- Jobs that come from another store, with all that it knew of them (adapters/jobs/moving).

-- Counts of the other store that were added, by their token.
CREATE TABLE darkroom.moved_statistics (
    token text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);

-- Write one job as it was, unless it is here or was erased. Its fence, its lease and its claim stay what they are, so that
-- whoever works on it can go on.
CREATE FUNCTION darkroom.adopt_one(rules jsonb, moved jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.any_job((moved ->> 'id')::uuid);
    waits boolean := (moved ->> 'waits')::boolean;
BEGIN
    IF j.id IS NOT NULL OR darkroom.is_erased(moved ->> 'id') THEN
        RETURN 'exists';
    END IF;
    SELECT * INTO j FROM jsonb_populate_record(NULL::darkroom.jobs, moved || '{"waits": false}');
    IF j.status IN ('completed', 'failed') THEN
        INSERT INTO darkroom.finished SELECT j.*;
    ELSE
        IF waits THEN
            j := darkroom.stand_in_line(j);
        ELSE
            j.in_window := j.in_window AND darkroom.number(rules, 'window') > 0;
        END IF;
        INSERT INTO darkroom.jobs SELECT j.*;
    END IF;
    PERFORM darkroom.use_pictures(j);
    IF moved ->> 'given_up' IS NOT NULL THEN
        INSERT INTO darkroom.given_up VALUES (j.id, (moved ->> 'given_up')::timestamptz) ON CONFLICT DO NOTHING;
    END IF;
    IF moved ->> 'key' <> '' THEN
        INSERT INTO darkroom.bindings AS b VALUES (j.owner, moved ->> 'key', j.id, (moved ->> 'key_until')::timestamptz)
        ON CONFLICT (owner, key) DO UPDATE SET job_id = excluded.job_id, until = excluded.until WHERE b.until <= darkroom.clock();
    END IF;
    PERFORM darkroom.tell(j);
    RETURN 'adopted';
END $$;

-- Write jobs of another store, all or none. One without a record is what was owed beside it alone. A second call changes
-- nothing.
CREATE FUNCTION darkroom.adopt(rules jsonb, moved jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    one jsonb;
    outcomes jsonb := '[]';
BEGIN
    PERFORM darkroom.lock_requests(rules || '{"window": 1, "quota": 0, "max_backlog": 0}', (
        SELECT coalesce(jsonb_agg(value), '[]') FROM jsonb_array_elements(moved) WHERE value ? 'status'));
    FOR one IN SELECT value FROM jsonb_array_elements(moved) LOOP
        outcomes := outcomes || to_jsonb(CASE WHEN one ? 'status' THEN darkroom.adopt_one(rules, one) ELSE 'adopted' END);
        IF NOT darkroom.is_erased(one ->> 'id') THEN
            IF one ->> 'keeper' IS NOT NULL THEN
                INSERT INTO darkroom.keepers_owed VALUES ((one ->> 'id')::uuid, one ->> 'keeper') ON CONFLICT DO NOTHING;
            END IF;
            INSERT INTO darkroom.owed (endpoint, webhook_id, job_id, told, tries, since, error, due, given_up)
            SELECT o.endpoint, o.webhook_id, (one ->> 'id')::uuid, o.told, o.tries, o.since, o.error, o.due, o.given_up
            FROM jsonb_populate_recordset(NULL::darkroom.owed, coalesce(one -> 'owed', '[]')) AS o
            ON CONFLICT DO NOTHING;
        END IF;
    END LOOP;
    RETURN outcomes;
END $$;

-- Add the counts of another store, once for each token.
CREATE FUNCTION darkroom.adopt_statistics(rules jsonb, of_token text, fields text[], amounts bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO darkroom.moved_statistics (token) VALUES (of_token) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM darkroom.count(fields, amounts);
    END IF;
END $$;

-- Make the partitions of the last days, for jobs that ended in them. A day whose lock is not given soon stays without: the
-- default partition takes its jobs.
CREATE FUNCTION darkroom.make_past_partitions(days int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '50ms', true);
    FOR ago IN 1..days LOOP
        BEGIN
            PERFORM darkroom.make_partition((clock_timestamp() AT TIME ZONE 'UTC')::date - ago);
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
END $$;

-- Records of ended jobs that come from Redis have the first 16 characters of their fingerprint.
CREATE FUNCTION darkroom.is_same_request(kept text, asked text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT kept = asked OR (length(kept) = 16 AND starts_with(asked, kept)) $$;

-- Write the jobs, their first emissions and their deadlines, and bind the idempotency keys; or find the jobs that already
-- exist. A job for which its lane has no room waits there, without a deadline. All or none: if another request has used
-- one of the keys or ids before, or if there is no room for all that are new, all are refused and none is written.
CREATE OR REPLACE FUNCTION darkroom.accept(rules jsonb, deadline_ms bigint, caller text, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    a jsonb;
    j darkroom.jobs;
    first uuid;
    place int := 0;
    refused int[] := '{}';
    new jsonb := '{}';   -- the first request for each job that is new, by its id
    bound jsonb := '{}'; -- the ids of those that have a key, by owner and key
    of_key text;
    no_room jsonb;
    answers jsonb := '[]';
    gone text;
BEGIN
    -- Until this ends, whoever would retract what it accepts waits (retract).
    PERFORM darkroom.lock_name('caller:' || caller);
    -- The caller has given up waiting and reported that nothing was accepted.
    IF extract(epoch FROM clock_timestamp()) * 1000 > deadline_ms THEN
        RETURN jsonb_build_object('code', 'late');
    END IF;
    PERFORM darkroom.lock_requests(rules, asked);

    FOR a IN SELECT value FROM jsonb_array_elements(asked) LOOP
        of_key := (a ->> 'owner') || ':' || (a ->> 'key');
        first := darkroom.first_id(a ->> 'owner', a ->> 'key', (a ->> 'id')::uuid);
        IF a ->> 'key' <> '' AND bound ? of_key THEN
            first := (bound ->> of_key)::uuid;
        END IF;
        j := darkroom.any_job(first);
        IF j.id IS NULL AND new ? first::text THEN
            j.id := first;
            j.owner := new -> first::text ->> 'owner';
            j.fingerprint := new -> first::text ->> 'fingerprint';
        END IF;
        IF j.id IS NULL AND darkroom.is_erased(first::text) THEN
            refused := refused || place;
        ELSIF j.id IS NULL THEN
            new := new || jsonb_build_object(first::text, a);
            IF a ->> 'key' <> '' THEN
                bound := bound || jsonb_build_object(of_key, first);
            END IF;
        ELSIF j.owner <> a ->> 'owner' OR NOT darkroom.is_same_request(j.fingerprint, a ->> 'fingerprint') THEN
            refused := refused || place;
        END IF;
        place := place + 1;
    END LOOP;
    IF refused <> '{}' THEN
        RETURN jsonb_build_object('code', 'mismatch', 'places', to_jsonb(refused));
    END IF;

    -- Whoever found the picture in storage did so a moment too early.
    SELECT value ->> 'storage_key' INTO gone FROM jsonb_each(new) WHERE darkroom.is_erased(value ->> 'storage_key') LIMIT 1;
    IF gone IS NOT NULL THEN
        RETURN jsonb_build_object('code', 'erased', 'key', gone);
    END IF;

    IF darkroom.number(rules, 'quota') > 0 OR darkroom.number(rules, 'max_backlog') > 0 THEN
        SELECT r.refusal INTO no_room FROM (
            SELECT darkroom.refusal(rules, value ->> 'owner', count(*), (SELECT count(*) FROM jsonb_each(new))) AS refusal
            FROM jsonb_each(new) GROUP BY value ->> 'owner'
        ) AS r WHERE r.refusal IS NOT NULL LIMIT 1;
        IF no_room IS NOT NULL THEN
            PERFORM darkroom.count_refused(rules,
                CASE no_room ->> 'code' WHEN 'quota' THEN 'quota' ELSE 'backlog' END, (no_room ->> 'jobs')::bigint);
            RETURN no_room;
        END IF;
    END IF;

    FOR a IN SELECT value FROM jsonb_array_elements(asked) LOOP
        first := darkroom.first_id(a ->> 'owner', a ->> 'key', (a ->> 'id')::uuid);
        j := darkroom.any_job(first);
        IF j.id IS NULL THEN
            PERFORM darkroom.write_job(rules, caller, a);
            answers := answers || jsonb_build_array(jsonb_build_object('created', true, 'id', first));
        ELSE
            -- The job is now promised to another caller too, so the first caller may no longer retract it.
            UPDATE darkroom.jobs AS k SET caller = NULL WHERE k.id = first AND k.caller <> accept.caller;
            answers := answers || jsonb_build_array(jsonb_build_object('created', false, 'id', first));
        END IF;
    END LOOP;
    RETURN jsonb_build_object('code', 'accepted', 'jobs', (
        SELECT jsonb_agg(answer || jsonb_build_object('job', to_jsonb(darkroom.any_job((answer ->> 'id')::uuid)))
            ORDER BY nth)
        FROM jsonb_array_elements(answers) WITH ORDINALITY AS each (answer, nth)));
END $$;
