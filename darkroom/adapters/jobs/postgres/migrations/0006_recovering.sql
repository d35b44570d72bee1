-- Recovery: what the sweep, dead letters and people do for jobs that did not end.

-- Emit the job again. As long as nothing confirms that the broker got the current emission, that one is repeated with the
-- same event id, so that a broker that is down uses up no emission. Otherwise it is a new emission. A job that has left
-- the window, while something was down, may have to wait for a place in it. Returns the row as it is stored.
CREATE FUNCTION darkroom.emit(rules jsonb, j darkroom.jobs) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
BEGIN
    PERFORM darkroom.count('jobs.emitted_again|' || j.type);
    j.lease := NULL;
    j.caller := NULL;
    IF j.confirmed >= j.emissions THEN
        j.emissions := j.emissions + 1;
    END IF;
    j.status := 'queued';
    j := darkroom.enter_lane(rules, j);
    IF NOT j.waits THEN
        j.due := darkroom.clock() + darkroom.span(rules, 'unemitted_due_after');
    END IF;
    PERFORM darkroom.store(j);
    RETURN j;
END $$;

CREATE FUNCTION darkroom.emit_step(j darkroom.jobs) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('code', CASE WHEN j.waits THEN 'wait' ELSE 'emit' END, 'job', to_jsonb(j))
$$;

CREATE FUNCTION darkroom.is_spent(rules jsonb, j darkroom.jobs) RETURNS boolean LANGUAGE sql AS $$
    SELECT j.attempts >= darkroom.number(rules, 'max_attempts')
        OR (j.confirmed >= j.emissions AND j.emissions - j.redriven >= darkroom.number(rules, 'max_emissions'))
$$;

-- Recover the job of a dead letter. A second call after a lost answer uses up one more emission, or hands the failed job
-- out once more; both are harmless.
CREATE FUNCTION darkroom.recover(rules jsonb, job_id uuid, error jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
    now timestamptz := darkroom.clock();
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
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

-- Sweep the overdue jobs. Each job that is handed out gets a later deadline in the same step, and one that another sweeper
-- has at this moment is left to that one. A second call after a lost answer hands out other jobs; those of the first
-- answer are soon overdue again. A record that this version cannot work with is looked at again later, and stops no other.
CREATE FUNCTION darkroom.recover_overdue(rules jsonb, at_most int, error jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := darkroom.clock();
    j darkroom.jobs;
    g darkroom.given_up;
    steps jsonb := '[]';
    step jsonb;
BEGIN
    PERFORM darkroom.lock_all_lanes(rules);
    FOR g IN SELECT * FROM darkroom.given_up WHERE due <= now ORDER BY due LIMIT at_most FOR UPDATE SKIP LOCKED LOOP
        j := darkroom.finished_job(g.id);
        IF j.id IS NULL THEN
            DELETE FROM darkroom.given_up WHERE id = g.id;
        ELSE
            UPDATE darkroom.given_up SET due = now + darkroom.span(rules, 'keep_within') WHERE id = g.id;
            steps := steps || jsonb_build_array(jsonb_build_object('code', 'failed', 'job', to_jsonb(j)));
        END IF;
    END LOOP;
    FOR j IN SELECT * FROM darkroom.jobs WHERE due <= now ORDER BY due, id LIMIT at_most - jsonb_array_length(steps)
        FOR UPDATE SKIP LOCKED LOOP
        IF j.status NOT IN ('queued', 'processing') THEN
            UPDATE darkroom.jobs SET due = now + darkroom.span(rules, 'emitted_due_after') WHERE id = j.id;
            step := jsonb_build_object('code', 'unreadable', 'job', to_jsonb(j));
        ELSE
            j := darkroom.record_lost_attempt(rules, j);
            IF darkroom.is_spent(rules, j) THEN
                j := darkroom.give_up(rules, j, error, now + darkroom.span(rules, 'keep_within'));
                step := jsonb_build_object('code', 'failed', 'job', to_jsonb(j));
            ELSE
                step := darkroom.emit_step(darkroom.emit(rules, j));
            END IF;
        END IF;
        steps := steps || jsonb_build_array(step);
    END LOOP;
    RETURN steps;
END $$;

-- Hand out at most so many of the overdue jobs whose current emission the broker is not known to have. The same event is
-- sent again. Everything else that is overdue is left to recovery.
CREATE FUNCTION darkroom.unemitted(rules jsonb, at_most int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs;
    found jsonb := '[]';
BEGIN
    PERFORM darkroom.lock_all_lanes(rules);
    FOR j IN SELECT * FROM darkroom.jobs WHERE due <= darkroom.clock() AND status = 'queued' AND confirmed < emissions
        ORDER BY due, id LIMIT at_most FOR UPDATE SKIP LOCKED LOOP
        CONTINUE WHEN darkroom.is_spent(rules, j);
        j := darkroom.emit(rules, j);
        IF NOT j.waits THEN
            found := found || jsonb_build_array(to_jsonb(j));
        END IF;
    END LOOP;
    RETURN found;
END $$;

-- Queue a failed job again at a person's request, with new parameters and presets if given. Renditions that stand are not
-- made again, unless the request names them. The fence grows, so that no earlier worker can act for it. A second call
-- answers that there is nothing to do.
CREATE FUNCTION darkroom.redrive(rules jsonb, job_id uuid, parameters text, presets jsonb, remake text[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs;
BEGIN
    PERFORM darkroom.lock_name('job:' || job_id);
    SELECT * INTO j FROM darkroom.finished WHERE id = job_id;
    PERFORM darkroom.lock_name('lane:' || j.type || '|' || j.cost) WHERE j.id IS NOT NULL;
    IF darkroom.is_cancelled(j) THEN
        RETURN jsonb_build_object('code', 'nothing', 'job', to_jsonb(j));
    END IF;
    DELETE FROM darkroom.finished WHERE id = job_id AND status = 'failed' RETURNING * INTO j;
    IF NOT FOUND THEN
        j := darkroom.any_job(job_id);
        RETURN jsonb_build_object('code', 'nothing', 'job', CASE WHEN j.id IS NOT NULL THEN to_jsonb(j) END);
    END IF;
    PERFORM darkroom.count('jobs.redriven|' || j.type);
    DELETE FROM darkroom.given_up WHERE id = job_id;
    j.error := NULL;
    j.finished := NULL;
    j.worker := NULL;
    j.released := NULL;
    j.timings := NULL;
    j.parameters := coalesce(redrive.parameters, j.parameters);
    j.presets := coalesce(redrive.presets, j.presets);
    -- A rendition that could not be made has an object, its error.
    SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO j.made FROM jsonb_each(j.made)
    WHERE jsonb_typeof(value) = 'array' AND key <> ALL (remake);
    j.attempts := 0;
    j.redriven := j.emissions;
    j.redrives := j.redrives + 1;
    j.fence := j.fence + 1;
    j.emissions := j.emissions + 1;
    j.status := 'queued';
    j.due := darkroom.clock() + darkroom.span(rules, 'unemitted_due_after');
    j := darkroom.enter_lane(rules, j);
    INSERT INTO darkroom.jobs SELECT j.*;
    PERFORM darkroom.use_pictures(j);
    PERFORM darkroom.tell(j);
    RETURN jsonb_build_object('code', CASE WHEN j.waits THEN 'wait' ELSE 'emit' END, 'job', to_jsonb(j));
END $$;

-- Take the next job out of the line, and count its owner's turn.
CREATE FUNCTION darkroom.take_next(rules jsonb, of_type text, of_cost text) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
DECLARE
    t darkroom.turns;
    j darkroom.jobs;
BEGIN
    SELECT * INTO t FROM darkroom.turns WHERE type = of_type AND cost = of_cost AND starts IS NOT NULL
    ORDER BY starts, owner LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO j FROM darkroom.jobs WHERE type = of_type AND cost = of_cost AND owner = t.owner AND waits
    ORDER BY created, id LIMIT 1 FOR UPDATE;
    j.waits := false;
    j.in_window := darkroom.number(rules, 'window') > 0;
    j.due := darkroom.clock() + darkroom.span(rules, 'unemitted_due_after');
    PERFORM darkroom.store(j);
    IF darkroom.is_any_waiting(of_type, of_cost) THEN
        UPDATE darkroom.lanes SET clock = t.starts WHERE type = of_type AND cost = of_cost;
        UPDATE darkroom.turns
        SET ended = t.starts + j.turn, starts = CASE WHEN starts IS NULL THEN NULL ELSE t.starts + j.turn END
        WHERE type = of_type AND cost = of_cost AND owner = t.owner;
        DELETE FROM darkroom.turns WHERE type = of_type AND cost = of_cost AND starts IS NULL AND ended <= t.starts;
    END IF;
    RETURN j;
END $$;

-- Hand out at most so many jobs of a lane, or of every lane, in fair turns, as far as the windows have room. Each is with
-- the broker from now on: the caller emits it. If the answer is lost, or its receiver dies, the jobs are soon overdue, and
-- their events are emitted again.
CREATE FUNCTION darkroom.next_in_line(rules jsonb, of_type text, of_cost text, at_most int) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    lane record;
    j darkroom.jobs;
    found jsonb := '[]';
BEGIN
    FOR lane IN SELECT DISTINCT type, cost FROM darkroom.turns
        WHERE starts IS NOT NULL AND (of_type IS NULL OR (type = of_type AND cost = of_cost)) ORDER BY type, cost LOOP
        PERFORM darkroom.lock_lane(rules, lane.type, lane.cost);
        WHILE jsonb_array_length(found) < at_most AND darkroom.has_room(rules, lane.type, lane.cost) LOOP
            j := darkroom.take_next(rules, lane.type, lane.cost);
            EXIT WHEN j.id IS NULL;
            found := found || jsonb_build_array(to_jsonb(j));
        END LOOP;
    END LOOP;
    RETURN found;
END $$;
