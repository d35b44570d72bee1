-- Accepting jobs, and whether there is room for them.

-- How much of the owner's (of everybody's: NULL) is unfinished, how many ended in the last minute, within how many
-- milliseconds, and the age of everybody's oldest unfinished job. Ends are counted in steps of ten seconds, so that
-- whoever has just begun is not taken for slow.
CREATE FUNCTION darkroom.load_of(of_owner text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := darkroom.clock();
    latest_step bigint := floor(extract(epoch FROM now) / 10);
    number bigint;
    ended bigint;
    first_end timestamptz;
    oldest timestamptz;
BEGIN
    SELECT count(*) INTO number FROM darkroom.jobs WHERE of_owner IS NULL OR owner = of_owner;
    SELECT min(created) INTO oldest FROM darkroom.jobs;
    SELECT count(*), min(finished) INTO ended, first_end FROM darkroom.finished
    WHERE finished >= to_timestamp((latest_step - 5) * 10) AND (of_owner IS NULL OR owner = of_owner);
    RETURN jsonb_build_array(number, ended,
        CASE WHEN ended = 0 THEN 0
            ELSE darkroom.ms(now - to_timestamp(floor(extract(epoch FROM first_end) / 10) * 10)) END,
        darkroom.ms(now - coalesce(oldest, now)));
END $$;

-- The id of the job that was first: the one bound to the idempotency key, or the job's own.
CREATE FUNCTION darkroom.first_id(of_owner text, of_key text, own_id uuid) RETURNS uuid LANGUAGE sql AS $$
    SELECT coalesce((
        SELECT job_id FROM darkroom.bindings
        WHERE owner = of_owner AND key = of_key AND of_key <> '' AND until > darkroom.clock()
            AND (EXISTS (SELECT FROM darkroom.jobs WHERE id = job_id) OR EXISTS (SELECT FROM darkroom.finished WHERE id = job_id))
    ), own_id)
$$;

CREATE FUNCTION darkroom.any_job(job_id uuid) RETURNS darkroom.jobs LANGUAGE sql AS $$
    SELECT * FROM darkroom.jobs WHERE id = job_id UNION ALL SELECT * FROM darkroom.finished WHERE id = job_id LIMIT 1
$$;

-- The owner's load, everybody's, and which of the requests that are named, each by its idempotency key and its job's id,
-- have a job already. They need no room. `accept` decides.
CREATE FUNCTION darkroom.admission(of_owner text, names jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('mine', darkroom.load_of(of_owner), 'all', darkroom.load_of(NULL), 'known', (
        SELECT count(*) FROM jsonb_to_recordset(names) AS n (key text, id uuid)
        WHERE (darkroom.any_job(darkroom.first_id(of_owner, coalesce(n.key, ''), n.id))).id IS NOT NULL
    ))
$$;

-- Count jobs that were refused, by the limit's name.
CREATE FUNCTION darkroom.count_refused(rules jsonb, limit_name text, jobs bigint) RETURNS void LANGUAGE sql AS
$$ SELECT darkroom.count(ARRAY['jobs.refused|' || limit_name], ARRAY[jobs]) $$;

CREATE FUNCTION darkroom.refusal(rules jsonb, of_owner text, number bigint, total bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    quota bigint := darkroom.number(rules, 'quota');
    max_backlog bigint := darkroom.number(rules, 'max_backlog');
    there bigint;
BEGIN
    IF quota > 0 THEN
        SELECT count(*) INTO there FROM (SELECT FROM darkroom.jobs WHERE owner = of_owner LIMIT quota + 1) AS mine;
        IF there + number > quota THEN
            RETURN jsonb_build_object('code', 'quota', 'jobs', number, 'load', darkroom.load_of(of_owner));
        END IF;
    END IF;
    IF max_backlog > 0 THEN
        SELECT count(*) INTO there FROM (SELECT FROM darkroom.jobs LIMIT max_backlog + 1) AS everybodys;
        IF there + total > max_backlog THEN
            RETURN jsonb_build_object('code', 'full', 'jobs', total, 'load', darkroom.load_of(NULL));
        END IF;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION darkroom.write_job(rules jsonb, caller text, asked jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := darkroom.clock();
    j darkroom.jobs;
BEGIN
    SELECT * INTO j FROM jsonb_populate_record(NULL::darkroom.jobs, asked || jsonb_build_object(
        'status', 'queued', 'created', now, 'due', now + darkroom.span(rules, 'unemitted_due_after'),
        'attempts', 0, 'emissions', 1, 'confirmed', 0, 'redriven', 0, 'redrives', 0, 'fence', 0, 'waits', false,
        'in_window', false, 'caller', caller, 'history', '[]'::jsonb, 'made', '{}'::jsonb, 'withdrawn', '{}'::text[],
        'unheard', '[]'::jsonb));
    j := darkroom.enter_lane(rules, j);
    INSERT INTO darkroom.jobs SELECT j.*;
    PERFORM darkroom.use_pictures(j);
    IF asked ->> 'key' <> '' THEN
        INSERT INTO darkroom.bindings VALUES (j.owner, asked ->> 'key', j.id, now + darkroom.span(rules, 'idempotency_kept'))
        ON CONFLICT (owner, key) DO UPDATE SET job_id = excluded.job_id, until = excluded.until;
    END IF;
    PERFORM darkroom.count('jobs.accepted|' || j.type || '|' || j.cost);
    IF (asked ->> 'original_bytes')::bigint > 0 THEN
        PERFORM darkroom.count(ARRAY['original.size'], ARRAY[(asked ->> 'original_bytes')::bigint]);
    END IF;
    PERFORM darkroom.tell(j);
END $$;

-- Whoever accepts one of these jobs does so alone, by the job's id and by its idempotency key; with limits, also whoever
-- is counted by them. All locks are taken in one order.
CREATE FUNCTION darkroom.lock_requests(rules jsonb, asked jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM darkroom.lock_name(name) FROM (
        SELECT 'job:' || (a ->> 'id') AS name FROM jsonb_array_elements(asked) AS a
        UNION SELECT 'key:' || (a ->> 'owner') || ':' || (a ->> 'key') FROM jsonb_array_elements(asked) AS a
            WHERE a ->> 'key' <> ''
        UNION SELECT 'picture:' || picture FROM jsonb_array_elements(asked) AS a,
            darkroom.pictures(a ->> 'storage_key', a ->> 'parameters') AS picture
        UNION SELECT 'quota:' || (a ->> 'owner') FROM jsonb_array_elements(asked) AS a
            WHERE darkroom.number(rules, 'quota') > 0
        UNION SELECT 'limit' WHERE darkroom.number(rules, 'max_backlog') > 0
        ORDER BY name
    ) AS names;
    INSERT INTO darkroom.lanes (type, cost)
    SELECT DISTINCT a ->> 'type', a ->> 'cost' FROM jsonb_array_elements(asked) AS a
    WHERE NOT EXISTS (SELECT FROM darkroom.lanes AS l WHERE l.type = a ->> 'type' AND l.cost = a ->> 'cost')
    ON CONFLICT DO NOTHING;
    PERFORM darkroom.lock_lane(rules, type, cost) FROM (
        SELECT DISTINCT a ->> 'type' AS type, a ->> 'cost' AS cost FROM jsonb_array_elements(asked) AS a ORDER BY 1, 2
    ) AS lanes;
END $$;

-- Write the jobs, their first emissions and their deadlines, and bind the idempotency keys; or find the jobs that already
-- exist. A job for which its lane has no room waits there, without a deadline. All or none: if another request has used
-- one of the keys or ids before, or if there is no room for all that are new, all are refused and none is written.
CREATE FUNCTION darkroom.accept(rules jsonb, deadline_ms bigint, caller text, asked jsonb) RETURNS jsonb
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
        ELSIF j.owner <> a ->> 'owner' OR j.fingerprint <> a ->> 'fingerprint' THEN
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

-- Retract jobs whose caller reported that nothing was accepted, because the answer was lost. Only that caller may do so,
-- and only as long as nobody else knows of the job: it was not emitted, not claimed, and not promised to another POST.
-- Before the deadline, the accept itself may still be on its way, so it is too early to decide. One that has begun is
-- waited for.
CREATE FUNCTION darkroom.retract(rules jsonb, caller text, deadline_ms bigint, job_ids uuid[]) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    job_id uuid;
    j darkroom.jobs;
BEGIN
    PERFORM darkroom.lock_name('caller:' || caller);
    IF extract(epoch FROM clock_timestamp()) * 1000 <= deadline_ms THEN
        RETURN 'early';
    END IF;
    PERFORM darkroom.lock_all_lanes(rules);
    FOREACH job_id IN ARRAY job_ids LOOP
        SELECT * INTO j FROM darkroom.jobs WHERE id = job_id AND jobs.caller = retract.caller FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        DELETE FROM darkroom.jobs WHERE id = job_id;
        DELETE FROM darkroom.uses AS u WHERE u.job_id = j.id;
        IF j.waits THEN
            PERFORM darkroom.line_was_left(j);
        END IF;
        PERFORM darkroom.count('jobs.retracted|' || j.type || '|' || j.cost);
    END LOOP;
    RETURN 'done';
END $$;

-- Record that the broker has these emissions. A second call changes nothing.
CREATE FUNCTION darkroom.emitted(rules jsonb, job_ids uuid[], numbers int[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    e record;
    j darkroom.jobs;
BEGIN
    FOR e IN SELECT id, number FROM unnest(job_ids, numbers) AS each (id, number) ORDER BY id LOOP
        j := darkroom.lock_job(rules, e.id, false);
        CONTINUE WHEN j.id IS NULL OR j.emissions <> e.number;
        j.confirmed := e.number;
        j.caller := NULL;
        IF j.status = 'queued' AND NOT j.waits THEN
            j.due := darkroom.due_as_emitted(rules, j);
        END IF;
        PERFORM darkroom.store(j);
    END LOOP;
END $$;
