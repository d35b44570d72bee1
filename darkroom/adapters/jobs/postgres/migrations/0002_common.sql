-- What the transitions share. Each transition is one function, called as one statement, and so one transaction and one
-- round trip.
--
-- Moments are those of the server's clock, read after the job's row is locked: so they follow each other as the changes
-- of the job do. The statement's own time lies before it waited for the lock.
--
-- `rules` are the store's: attempts, emissions, and times in milliseconds. `darkroom.jobs` as an argument and a result is
-- a row that was read and is not stored yet.

CREATE FUNCTION darkroom.clock() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT date_trunc('milliseconds', clock_timestamp()) $$;

CREATE FUNCTION darkroom.span(milliseconds bigint) RETURNS interval LANGUAGE sql IMMUTABLE AS
$$ SELECT milliseconds * interval '1 millisecond' $$;

CREATE FUNCTION darkroom.span(rules jsonb, name text) RETURNS interval LANGUAGE sql IMMUTABLE AS
$$ SELECT (rules ->> name)::bigint * interval '1 millisecond' $$;

CREATE FUNCTION darkroom.number(rules jsonb, name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT (rules ->> name)::bigint $$;

CREATE FUNCTION darkroom.ms(span interval) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT round(extract(epoch FROM span) * 1000)::bigint $$;

CREATE FUNCTION darkroom.lock_name(name text) RETURNS void LANGUAGE sql AS
$$ SELECT pg_advisory_xact_lock(hashtextextended(name, 20)) $$;

-- Counting ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION darkroom.count(fields text[], amounts bigint[]) RETURNS void LANGUAGE sql AS
$$ INSERT INTO darkroom.tallied VALUES (fields, amounts) $$;

CREATE FUNCTION darkroom.count(field text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO darkroom.tallied VALUES (ARRAY[field], ARRAY[1]) $$;

-- The bucket of a duration: the smallest bound that it does not exceed.
CREATE FUNCTION darkroom.bucket(rules jsonb, metric text, milliseconds bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce((
        SELECT bound::text FROM jsonb_array_elements_text(rules -> 'bounds' -> metric) WITH ORDINALITY AS b (bound, place)
        WHERE milliseconds <= bound::bigint ORDER BY place LIMIT 1
    ), 'inf')
$$;

CREATE FUNCTION darkroom.observe(rules jsonb, milliseconds bigint, VARIADIC series text[]) RETURNS void LANGUAGE sql AS $$
    SELECT darkroom.count(
        ARRAY[
            array_to_string(series, '|') || '|' || darkroom.bucket(rules, series[1], greatest(milliseconds, 0)),
            array_to_string(series, '|') || '|sum'
        ],
        ARRAY[1, greatest(milliseconds, 0)]
    )
$$;

-- Lanes ---------------------------------------------------------------------------------------------------------------
--
-- A lane has the jobs of one type and cost class, so one Trigger delivers them. At most `window` of them are with the
-- broker; the others wait in line and have no deadline. Room goes to the waiting owners in fair turns, by start-time fair
-- queueing (Goyal, Vin and Cheng, 1996): each turn starts where the owner's last one ended, but not before the lane's
-- clock, which is the start of the turn that was last given. A turn is as long as its job is dear, divided by the owner's
-- weight.

CREATE FUNCTION darkroom.is_any_waiting(lane_type text, lane_cost text) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM darkroom.turns WHERE type = lane_type AND cost = lane_cost AND starts IS NOT NULL)
$$;

CREATE FUNCTION darkroom.has_room(rules jsonb, lane_type text, lane_cost text) RETURNS boolean LANGUAGE sql AS $$
    SELECT darkroom.number(rules, 'window') = 0 OR darkroom.number(rules, 'window') > (
        SELECT count(*) FROM (
            SELECT FROM darkroom.jobs WHERE type = lane_type AND cost = lane_cost AND in_window
            LIMIT darkroom.number(rules, 'window')
        ) AS with_the_broker
    )
$$;

-- Whether it is time to hand jobs out: when a tenth of the window is free, or room for all that wait. One call then hands
-- out several. Nobody is idle meanwhile: the window is twice what is processed at once.
CREATE FUNCTION darkroom.is_room_wanted(rules jsonb, lane_type text, lane_cost text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    places bigint := darkroom.number(rules, 'window');
    several bigint := greatest(1, places / 10);
    waiting bigint;
    taken bigint;
BEGIN
    IF NOT darkroom.is_any_waiting(lane_type, lane_cost) THEN
        RETURN false;
    END IF;
    IF places = 0 THEN
        RETURN true;
    END IF;
    SELECT count(*) INTO taken FROM (
        SELECT FROM darkroom.jobs WHERE type = lane_type AND cost = lane_cost AND in_window LIMIT places) AS them;
    SELECT count(*) INTO waiting FROM (
        SELECT FROM darkroom.jobs WHERE type = lane_type AND cost = lane_cost AND waits LIMIT several) AS them;
    RETURN places - taken >= waiting;
END $$;

-- Who enters or leaves a lane does so alone. The lane is locked before any of its jobs: with another order, two could
-- wait for each other.
CREATE FUNCTION darkroom.lock_lane(rules jsonb, lane_type text, lane_cost text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF darkroom.number(rules, 'window') > 0 OR darkroom.is_any_waiting(lane_type, lane_cost) THEN
        PERFORM darkroom.lock_name('lane:' || lane_type || '|' || lane_cost);
    END IF;
END $$;

CREATE FUNCTION darkroom.lock_all_lanes(rules jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT darkroom.lock_lane(rules, type, cost) FROM (SELECT type, cost FROM darkroom.lanes ORDER BY type, cost) AS each
$$;

-- The owner's line was left by the job, whose row says so already.
CREATE FUNCTION darkroom.line_was_left(j darkroom.jobs) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM darkroom.jobs WHERE type = j.type AND cost = j.cost AND owner = j.owner AND waits) THEN
        UPDATE darkroom.turns SET starts = NULL WHERE type = j.type AND cost = j.cost AND owner = j.owner;
        -- When nobody waits any more, nobody has an advantage to lose.
        IF NOT darkroom.is_any_waiting(j.type, j.cost) THEN
            DELETE FROM darkroom.turns WHERE type = j.type AND cost = j.cost;
            UPDATE darkroom.lanes SET clock = 0 WHERE type = j.type AND cost = j.cost;
        END IF;
    END IF;
END $$;

CREATE FUNCTION darkroom.stand_in_line(j darkroom.jobs) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
DECLARE
    lane_clock double precision;
BEGIN
    j.in_window := false;
    j.due := NULL;
    IF j.waits THEN
        RETURN j;
    END IF;
    j.waits := true;
    SELECT clock INTO lane_clock FROM darkroom.lanes WHERE type = j.type AND cost = j.cost;
    INSERT INTO darkroom.turns AS t (type, cost, owner, starts) VALUES (j.type, j.cost, j.owner, coalesce(lane_clock, 0))
    ON CONFLICT (type, cost, owner) DO UPDATE SET starts = greatest(coalesce(lane_clock, 0), t.ended)
    WHERE t.starts IS NULL;
    RETURN j;
END $$;

-- Let a job into the window, or let it wait behind those that came before. `waits` of the result says which.
CREATE FUNCTION darkroom.enter_lane(rules jsonb, j darkroom.jobs) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
BEGIN
    IF j.in_window OR
        (NOT darkroom.is_any_waiting(j.type, j.cost) AND darkroom.has_room(rules, j.type, j.cost)) THEN
        j.in_window := darkroom.number(rules, 'window') > 0;
        RETURN j;
    END IF;
    RETURN darkroom.stand_in_line(j);
END $$;

-- Jobs ----------------------------------------------------------------------------------------------------------------

CREATE FUNCTION darkroom.tell(j darkroom.jobs) RETURNS void LANGUAGE sql AS
$$ SELECT pg_notify('darkroom_changes', j.id || ' ' || j.status) $$;

-- An unfinished job, locked, after its lane where the change may concern that. No row: it is final or unknown.
CREATE FUNCTION darkroom.lock_job(rules jsonb, job_id uuid, with_lane boolean) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs;
BEGIN
    IF with_lane THEN
        SELECT type, cost INTO j.type, j.cost FROM darkroom.jobs WHERE id = job_id;
        IF FOUND THEN
            PERFORM darkroom.lock_lane(rules, j.type, j.cost);
        END IF;
    END IF;
    SELECT * INTO j FROM darkroom.jobs WHERE id = job_id FOR UPDATE;
    RETURN j;
END $$;

CREATE FUNCTION darkroom.finished_job(job_id uuid) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs;
BEGIN
    SELECT * INTO j FROM darkroom.finished WHERE id = job_id;
    RETURN j;
END $$;

CREATE FUNCTION darkroom.store(j darkroom.jobs) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    has_waited boolean;
    old_status text;
BEGIN
    SELECT status, waits INTO old_status, has_waited FROM darkroom.jobs WHERE id = j.id;
    UPDATE darkroom.jobs SET
        status = j.status, due = j.due, attempts = j.attempts, emissions = j.emissions,
        confirmed = j.confirmed, fence = j.fence, released = j.released, waits = j.waits, in_window = j.in_window,
        caller = j.caller, worker = j.worker, claim = j.claim, claimed = j.claimed, lease = j.lease,
        timeout_ms = j.timeout_ms, started = j.started, history = j.history, withdrawn = j.withdrawn,
        unheard = j.unheard, error = j.error
    WHERE id = j.id;
    IF has_waited AND NOT j.waits THEN
        PERFORM darkroom.line_was_left(j);
    END IF;
    IF old_status <> j.status THEN
        PERFORM darkroom.tell(j);
    END IF;
END $$;

CREATE FUNCTION darkroom.is_held(j darkroom.jobs, now timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(j.status = 'processing' AND j.lease > now, false) $$;

-- Whether the holder of `fence` may still act for the unfinished job. Its lease may have run out, and recovery may have
-- put the job back into the queue. As long as nobody else has claimed the job, this holder's work is as good as the next
-- one's.
CREATE FUNCTION darkroom.is_holder(j darkroom.jobs, fence bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(j.fence = $2 AND j.released IS DISTINCT FROM $2, false) $$;

CREATE FUNCTION darkroom.latest(rules jsonb, list jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN jsonb_array_length(list) > darkroom.number(rules, 'history_kept') THEN list - 0 ELSE list END
$$;

-- An attempt whose end was recorded and that was then resumed has one entry.
CREATE FUNCTION darkroom.has_end(j darkroom.jobs) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce((j.history -> -1 ->> 0)::bigint = j.fence, false) $$;

CREATE FUNCTION darkroom.record_end(rules jsonb, j darkroom.jobs, ended timestamptz, code text) RETURNS darkroom.jobs
LANGUAGE plpgsql AS $$
BEGIN
    IF j.claimed IS NULL THEN
        RETURN j;
    END IF;
    IF darkroom.has_end(j) THEN
        j.history := j.history - -1;
    END IF;
    j.history := darkroom.latest(rules, j.history || jsonb_build_array(jsonb_build_array(
        j.fence, darkroom.ms(j.claimed - j.created), darkroom.ms(ended - j.created), code, coalesce(j.worker, ''))));
    PERFORM darkroom.count('job.attempts|' || j.type || '|' || code);
    RETURN j;
END $$;

-- Record that the lease of a job in progress ran out: its worker was killed, crashed, or was cut off. How long it was
-- alive shows whether it timed out or crashed; it would have renewed its lease `renew_every` after its last sign of life.
-- Or the worker never got the answer to its claim: then it withdraws the claim as soon as it can, and the attempt is
-- found by the claim's token.
CREATE FUNCTION darkroom.record_lost_attempt(rules jsonb, j darkroom.jobs) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
DECLARE
    alive_until timestamptz;
BEGIN
    IF j.status <> 'processing' OR j.lease IS NULL THEN
        RETURN j;
    END IF;
    alive_until := j.lease - darkroom.span(rules, 'lease');
    j.error := (rules ->> 'crashed')::jsonb;
    IF darkroom.ms(alive_until + darkroom.span(rules, 'renew_every') - coalesce(j.claimed, alive_until)) >= j.timeout_ms THEN
        j.error := replace(rules ->> 'timed_out', '%g', trim_scale(j.timeout_ms / 1000.0)::text)::jsonb;
    END IF;
    j := darkroom.record_end(rules, j, alive_until, j.error ->> 0);
    IF j.claim IS NOT NULL THEN
        j.unheard := darkroom.latest(rules, j.unheard || jsonb_build_array(jsonb_build_array(j.claim, j.fence)));
    END IF;
    RETURN j;
END $$;

CREATE FUNCTION darkroom.doubled(rules jsonb, name text, times int) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT least(darkroom.number(rules, name) * 2::double precision ^ times, darkroom.number(rules, 'longest_wait'))
        * interval '1 millisecond'
$$;

-- The broker has the current emission. If its delivery fails, the sweep emits the job again.
CREATE FUNCTION darkroom.due_as_emitted(rules jsonb, j darkroom.jobs) RETURNS timestamptz LANGUAGE sql AS
$$ SELECT darkroom.clock() + darkroom.doubled(rules, 'emitted_due_after', j.emissions - j.redriven - 1) $$;

-- Ending --------------------------------------------------------------------------------------------------------------

-- For a redriven job, count only that it ended again. Its duration includes the time as a dead letter, which says nothing
-- about how fast jobs are processed.
CREATE FUNCTION darkroom.count_end(rules jsonb, j darkroom.jobs, code text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lasted bigint := greatest(darkroom.ms(j.finished - j.created), 0);
    good boolean;
BEGIN
    PERFORM darkroom.count('jobs.ended|' || concat_ws('|', j.type, j.cost, j.status, code));
    IF j.redrives > 0 THEN
        RETURN;
    END IF;
    PERFORM darkroom.observe(rules, lasted, 'job.duration', j.type, j.cost, j.status);
    IF j.cost = 'standard' THEN
        good := lasted <= darkroom.number(rules, 'objective_within')
            AND (j.status = 'completed' OR rules -> 'blameless' ? code);
        PERFORM darkroom.count('objective.jobs|' || good::text);
    END IF;
END $$;

-- The job has just ended. What is told is its record as it is now, which later changes and the record's end leave alone.
CREATE FUNCTION darkroom.owe(j darkroom.jobs) RETURNS void LANGUAGE sql AS $$
    INSERT INTO darkroom.owed (endpoint, webhook_id, job_id, told, since, due)
    SELECT wanted[1], j.id || '-' || j.fence, j.id, jsonb_build_object('row', to_jsonb(j)), j.finished, j.finished
    FROM regexp_matches(j.webhooks, '(\w+):?([a-z]*)', 'g') AS wanted
    WHERE wanted[2] IN ('', CASE j.status WHEN 'completed' THEN 'c' ELSE 'f' END)
    ON CONFLICT (endpoint, webhook_id) DO NOTHING
$$;

-- End a job, and move it to those that ended. Returns it as it is then.
CREATE FUNCTION darkroom.finish(rules jsonb, j darkroom.jobs, status text, code text) RETURNS darkroom.jobs
LANGUAGE plpgsql AS $$
DECLARE
    has_waited boolean := j.waits;
BEGIN
    j.finished := darkroom.clock();
    j.status := status;
    PERFORM darkroom.count_end(rules, j, code);
    j.due := NULL;
    j.lease := NULL;
    j.claim := NULL;
    j.claimed := NULL;
    j.timeout_ms := NULL;
    j.confirmed := 0;
    j.caller := NULL;
    j.withdrawn := '{}';
    j.unheard := '[]';
    j.waits := false;
    j.in_window := false;
    DELETE FROM darkroom.jobs WHERE id = j.id;
    INSERT INTO darkroom.finished SELECT j.*;
    IF j.webhooks <> '' THEN
        PERFORM darkroom.owe(j);
    END IF;
    IF has_waited THEN
        PERFORM darkroom.line_was_left(j);
    END IF;
    PERFORM darkroom.tell(j);
    RETURN j;
END $$;

-- Fail a job that nobody holds. The fence grows, so that a worker that comes back is refused. If the job is not with the
-- dead letters by the time `kept_by`, another sweep hands it out again.
CREATE FUNCTION darkroom.give_up(rules jsonb, j darkroom.jobs, error jsonb, kept_by timestamptz) RETURNS darkroom.jobs
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO darkroom.given_up VALUES (j.id, kept_by) ON CONFLICT (id) DO UPDATE SET due = excluded.due;
    j.fence := j.fence + 1;
    j.error := coalesce(j.error, give_up.error);
    RETURN darkroom.finish(rules, j, 'failed', j.error ->> 0);
END $$;

-- The answer to the call that ended a job: whether others wait for the room that it made.
CREATE FUNCTION darkroom.at_end(rules jsonb, code text, j darkroom.jobs) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('code', code, 'job', to_jsonb(j), 'room', darkroom.is_room_wanted(rules, j.type, j.cost))
$$;
