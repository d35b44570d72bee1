-- Cancelling and erasing jobs at their owner's request.

-- End a job that is not final, whoever has it. The fence grows, so that its worker's completion is refused. It is no dead
-- letter: nobody gave it up.
CREATE FUNCTION darkroom.cancel_job(rules jsonb, j darkroom.jobs, error jsonb) RETURNS darkroom.jobs LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := darkroom.clock();
BEGIN
    IF darkroom.is_held(j, now) THEN
        j := darkroom.record_end(rules, j, now, error ->> 0);
    ELSE
        j := darkroom.record_lost_attempt(rules, j);
    END IF;
    j.error := error;
    j.fence := j.fence + 1;
    RETURN darkroom.finish(rules, j, 'failed', error ->> 0);
END $$;

-- Cancel an owner's job that is not final. A result that its worker has stored, or stores before it notices, is erased.
CREATE FUNCTION darkroom.cancel(rules jsonb, job_id uuid, of_owner text, error jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs := darkroom.lock_job(rules, job_id, true);
BEGIN
    IF j.id IS NULL THEN
        j := darkroom.finished_job(job_id);
        RETURN jsonb_build_object('code', CASE WHEN j.owner = of_owner THEN 'final' ELSE 'unknown' END, 'job', to_jsonb(j));
    END IF;
    IF j.owner <> of_owner THEN
        RETURN jsonb_build_object('code', 'unknown');
    END IF;
    j := darkroom.cancel_job(rules, j, error);
    PERFORM darkroom.queue_erasure(rules, job_id, false, NULL);
    RETURN darkroom.at_end(rules, 'cancelled', j);
END $$;

-- Erase an owner's job: end it if it is not final, remove everything that the store has of it, leave a tombstone, and queue
-- what is elsewhere. A second call finds the tombstone.
CREATE FUNCTION darkroom.erase(rules jsonb, job_id uuid, of_owner text, error jsonb, candidate text) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    j darkroom.jobs;
    original text;
    ended jsonb := '{}';
BEGIN
    PERFORM darkroom.lock_name('job:' || job_id);
    j := darkroom.any_job(job_id);
    IF j.id IS NULL THEN
        RETURN jsonb_build_object('code',
            CASE WHEN darkroom.was_erased_by(job_id, of_owner) THEN 'erased' ELSE 'unknown' END);
    END IF;
    IF j.owner <> of_owner THEN
        RETURN jsonb_build_object('code', 'unknown');
    END IF;
    -- Nobody can refer to the original from now on (accept).
    PERFORM darkroom.lock_name('picture:' || j.storage_key);
    PERFORM darkroom.make_erasure_key(rules, candidate);
    j := darkroom.lock_job(rules, job_id, true);
    IF j.id IS NOT NULL THEN
        j := darkroom.cancel_job(rules, j, error);
        ended := darkroom.at_end(rules, 'erased', j);
    ELSE
        j := darkroom.finished_job(job_id);
    END IF;
    IF starts_with(j.storage_key, 'uploads/') AND NOT darkroom.is_used_by_others(j.storage_key, job_id) THEN
        original := j.storage_key;
        PERFORM darkroom.bury(rules, original, j.owner);
        DELETE FROM darkroom.uses WHERE storage_key = original;
    END IF;
    DELETE FROM darkroom.finished WHERE id = job_id;
    DELETE FROM darkroom.uses AS u WHERE u.job_id = j.id;
    DELETE FROM darkroom.bindings AS b WHERE b.job_id = j.id;
    DELETE FROM darkroom.given_up WHERE id = j.id;
    DELETE FROM darkroom.owed AS o WHERE o.job_id = j.id;
    DELETE FROM darkroom.keepers_owed AS k WHERE k.job_id = j.id;
    PERFORM pg_notify('darkroom_changes', j.id || ' failed');
    PERFORM darkroom.bury(rules, job_id::text, of_owner);
    PERFORM darkroom.queue_erasure(rules, job_id, true, original);
    RETURN '{"code": "erased"}'::jsonb || ended;
END $$;

-- Hand out what is to be erased, each to one sweep at a time. If that dies, another gets it.
CREATE FUNCTION darkroom.due_erasures(rules jsonb, at_most int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    e darkroom.erasures;
    now timestamptz := darkroom.clock();
    found jsonb := '[]';
BEGIN
    FOR e IN SELECT * FROM darkroom.erasures WHERE due <= now ORDER BY due, id LIMIT at_most FOR UPDATE SKIP LOCKED LOOP
        UPDATE darkroom.erasures SET number = number + 1, due = now + darkroom.span(rules, 'erase_within'),
            again = CASE WHEN again <= now THEN NULL ELSE again END
        WHERE id = e.id;
        found := found || jsonb_build_array(jsonb_build_array(e.id, e.number + 1, e.only_results, e.original));
    END LOOP;
    RETURN found;
END $$;

-- Record that everything of the job that was there is erased. Whatever was queued since it was handed out stays.
CREATE FUNCTION darkroom.erasure_done(rules jsonb, job_id uuid, of_number int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE darkroom.erasures SET due = again WHERE id = job_id AND number = of_number AND again IS NOT NULL;
    IF NOT FOUND THEN
        DELETE FROM darkroom.erasures WHERE id = job_id AND number = of_number;
    END IF;
END $$;
