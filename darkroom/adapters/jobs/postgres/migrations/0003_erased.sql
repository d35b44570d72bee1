-- What is known of erased jobs, and which pictures jobs use.
--
-- A tombstone says for a day that a job was erased, to whoever knows its id, and to nobody else: its name is a keyed digest
-- of the id, its value one of the id and the owner. The key is made by the first erasure and expires with the last
-- tombstone, so what later reads an old log cannot find out what was erased.

CREATE FUNCTION darkroom.keyed(key text, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(sha256(convert_to(key, 'UTF8') || sha256(convert_to(key || ' ' || name, 'UTF8'))), 'hex')
$$;

-- The value of the tombstone of a job's id or an original's storage key.
CREATE FUNCTION darkroom.tombstone_of(name text) RETURNS text LANGUAGE sql AS $$
    SELECT e.value FROM darkroom.erasure_key AS k JOIN darkroom.erased AS e ON e.name = darkroom.keyed(k.key, tombstone_of.name)
    WHERE e.until > clock_timestamp()
$$;

CREATE FUNCTION darkroom.is_erased(name text) RETURNS boolean LANGUAGE sql AS
$$ SELECT darkroom.tombstone_of(name) IS NOT NULL $$;

CREATE FUNCTION darkroom.was_erased_by(job_id uuid, owner text) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM darkroom.erasure_key AS k
        WHERE darkroom.tombstone_of(job_id::text) = darkroom.keyed(k.key, job_id || ' ' || was_erased_by.owner))
$$;

CREATE FUNCTION darkroom.make_erasure_key(rules jsonb, candidate text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO darkroom.erasure_key AS k (key, until)
    VALUES (candidate, clock_timestamp() + darkroom.span(rules, 'tombstone_kept') + interval '1 minute')
    ON CONFLICT (only_one) DO UPDATE SET
        key = CASE WHEN k.until > clock_timestamp() THEN k.key ELSE excluded.key END, until = excluded.until
$$;

CREATE FUNCTION darkroom.bury(rules jsonb, name text, owner text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO darkroom.erased
    SELECT darkroom.keyed(k.key, bury.name), darkroom.keyed(k.key, bury.name || ' ' || bury.owner),
        clock_timestamp() + darkroom.span(rules, 'tombstone_kept')
    FROM darkroom.erasure_key AS k
    ON CONFLICT (name) DO UPDATE SET until = excluded.until
$$;

-- Queue what is to be erased: at once, and again when whatever was under way has written what it can.
CREATE FUNCTION darkroom.queue_erasure(rules jsonb, job_id uuid, all_of_it boolean, original text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO darkroom.erasures AS e
    VALUES (job_id, darkroom.clock(), darkroom.clock() + darkroom.span(rules, 'erase_again_after'), 1, NOT all_of_it, original)
    ON CONFLICT (id) DO UPDATE SET due = excluded.due, again = excluded.again, number = e.number + 1,
        only_results = e.only_results AND excluded.only_results, original = coalesce(excluded.original, e.original)
$$;

-- Whether its owner cancelled the job. That is for good: it is not redriven.
CREATE FUNCTION darkroom.is_cancelled(j darkroom.jobs) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(j.status = 'failed' AND j.error ->> 0 = 'job.cancelled', false) $$;

-- The stored pictures that a request for a job names: its original, and overlays among its parameters.
CREATE FUNCTION darkroom.pictures(storage_key text, parameters text) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT storage_key UNION SELECT found #>> '{}' FROM jsonb_path_query(parameters::jsonb, 'strict $.**.storage_key') AS found
$$;

CREATE FUNCTION darkroom.use_pictures(j darkroom.jobs) RETURNS void LANGUAGE sql AS $$
    INSERT INTO darkroom.uses
    SELECT picture, j.id FROM darkroom.pictures(j.storage_key, j.parameters) AS picture
    WHERE NOT starts_with(picture, 'uploads/' || j.id || '/') ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION darkroom.has_record(job_id uuid) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT FROM darkroom.jobs WHERE id = job_id) OR EXISTS (SELECT FROM darkroom.finished WHERE id = job_id)
$$;

-- Whether another job whose record is there uses the picture: as its own original, or as a shared one.
CREATE FUNCTION darkroom.is_used_by_others(picture text, own_id uuid) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT FROM darkroom.uses AS u WHERE u.storage_key = picture AND u.job_id <> own_id AND darkroom.has_record(u.job_id)
    ) OR EXISTS (
        SELECT FROM substring(picture FROM '^uploads/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/') AS maker
        WHERE maker IS NOT NULL AND maker::uuid <> own_id AND darkroom.has_record(maker::uuid))
$$;
