-- What is asked about many jobs, and the house that the sweep keeps.

CREATE FUNCTION darkroom.unfinished() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'queued', count(*) FILTER (WHERE status = 'queued'), 'processing', count(*) FILTER (WHERE status = 'processing'),
        'oldest_age_ms', darkroom.ms(darkroom.clock() - least(min(created), darkroom.clock())))
    FROM darkroom.jobs
$$;

-- All counts, and the current numbers. The totals and what is not added up yet are read in one snapshot.
CREATE FUNCTION darkroom.statistics(rules jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'fields', (
            SELECT jsonb_object_agg(field, sum) FROM (
                SELECT field, sum(amount) FROM (
                    SELECT field, amount FROM darkroom.totals
                    UNION ALL SELECT t.field, t.amount FROM darkroom.tallied, unnest(fields, amounts) AS t (field, amount)
                ) AS counted GROUP BY field
            ) AS sums),
        'unfinished', darkroom.unfinished(),
        'outbox', (
            SELECT count(*) FROM darkroom.jobs WHERE status = 'queued' AND confirmed < emissions AND NOT waits
                AND created + darkroom.span(rules, 'unemitted_due_after') <= darkroom.clock()),
        'owed', (
            SELECT jsonb_build_array(count(*), coalesce(darkroom.ms(darkroom.clock() - min(since)), 0))
            FROM darkroom.owed WHERE due IS NOT NULL),
        'given_up', (SELECT count(*) FROM darkroom.given_up),
        'lanes', (
            SELECT jsonb_agg(jsonb_build_array(type, cost, waiting, with_broker, oldest_wait_ms)) FROM (
                SELECT type, cost, count(*) FILTER (WHERE waits) AS waiting,
                    count(*) FILTER (WHERE in_window) AS with_broker,
                    coalesce(darkroom.ms(darkroom.clock() - min(created) FILTER (WHERE waits)), 0) AS oldest_wait_ms
                FROM darkroom.jobs WHERE waits OR in_window GROUP BY type, cost) AS lanes))
$$;

-- Add up what was counted.
CREATE FUNCTION darkroom.add_up() RETURNS void LANGUAGE sql AS $$
    WITH taken AS (DELETE FROM darkroom.tallied RETURNING fields, amounts),
        sums AS (
            SELECT t.field, sum(t.amount)::bigint AS amount FROM taken, unnest(fields, amounts) AS t (field, amount)
            GROUP BY t.field)
    INSERT INTO darkroom.totals AS t SELECT field, amount FROM sums ORDER BY field
    ON CONFLICT (field) DO UPDATE SET amount = t.amount + excluded.amount
$$;

-- Make the partition of a day, unless it is there or the default one has rows of that day.
CREATE FUNCTION darkroom.make_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'finished_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass('darkroom.' || name) IS NULL AND NOT EXISTS (
        SELECT FROM darkroom.finished_default
        WHERE finished >= day::timestamp AT TIME ZONE 'UTC' AND finished < (day + 1)::timestamp AT TIME ZONE 'UTC') THEN
        EXECUTE format(
            'CREATE TABLE darkroom.%I PARTITION OF darkroom.finished FOR VALUES FROM (%L) TO (%L)',
            name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

-- Those of today and the next days. A table's lock that is not given soon is asked for again later: nobody waits behind us.
CREATE FUNCTION darkroom.make_partitions() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '50ms', true);
    FOR ahead IN 0..3 LOOP
        PERFORM darkroom.make_partition((clock_timestamp() AT TIME ZONE 'UTC')::date + ahead);
    END LOOP;
END $$;

-- Drop the partitions in which every job ended longer ago than jobs are kept, and is with the dead letters if it belongs
-- there.
CREATE FUNCTION darkroom.drop_partitions(kept interval) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    part record;
    dropped int := 0;
    is_needed boolean;
BEGIN
    PERFORM set_config('lock_timeout', '50ms', true);
    FOR part IN
        SELECT c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'darkroom.finished'::regclass AND c.relname ~ '^finished_\d{8}$' ORDER BY 1 LOOP
        CONTINUE WHEN (part.day + 1)::timestamp AT TIME ZONE 'UTC' + kept > clock_timestamp();
        EXECUTE format('SELECT EXISTS (SELECT FROM darkroom.given_up JOIN darkroom.%I USING (id))', part.relname)
            INTO is_needed;
        IF NOT is_needed THEN
            EXECUTE format('DROP TABLE darkroom.%I', part.relname);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;

-- Remove some of what no partition takes along. Each call removes little, so none takes long.
CREATE FUNCTION darkroom.remove_expired(kept interval) RETURNS void LANGUAGE sql AS $$
    DELETE FROM darkroom.bindings WHERE (owner, key) IN (
        SELECT owner, key FROM darkroom.bindings WHERE until < clock_timestamp() ORDER BY until LIMIT 5000);
    DELETE FROM darkroom.erased WHERE until < clock_timestamp();
    DELETE FROM darkroom.erasure_key WHERE until < clock_timestamp();
    DELETE FROM darkroom.uses WHERE (storage_key, job_id) IN (
        SELECT storage_key, job_id FROM darkroom.uses AS u WHERE NOT darkroom.has_record(u.job_id) LIMIT 1000);
    DELETE FROM darkroom.rates WHERE paid_until < extract(epoch FROM clock_timestamp()) * 1000000 - 60000000;
    -- Where jobs are kept for less than a day, their partitions are no measure.
    DELETE FROM darkroom.finished AS f USING (
        SELECT id, finished FROM darkroom.finished
        WHERE finished < clock_timestamp() - kept AND (kept < interval '1 day' OR tableoid = 'darkroom.finished_default'::regclass)
            AND NOT EXISTS (SELECT FROM darkroom.given_up AS g WHERE g.id = finished.id)
        ORDER BY finished LIMIT 5000) AS old
    WHERE f.id = old.id AND f.finished = old.finished;
$$;

-- Rates: GCRA, the generic cell rate algorithm (ITU-T I.371), on the server's clock. Each bucket has one number, the
-- moment until which what it asked for has been paid. More is admitted while that lies less than a period ahead. Answers
-- whether it is admitted, the remaining units, microseconds until all is there again, and until as many units are.
CREATE FUNCTION darkroom.ask_rate(of_bucket text, most bigint, period bigint, cost bigint, counts boolean)
RETURNS TABLE (admitted boolean, remaining bigint, reset_us bigint, retry_us bigint) LANGUAGE plpgsql AS $$
DECLARE
    interval_us double precision := period::double precision / most;
    now bigint;
    paid double precision;
    after double precision;
    too_early double precision;
BEGIN
    IF counts THEN
        PERFORM darkroom.lock_name('rate:' || of_bucket);
    END IF;
    now := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    SELECT greatest(paid_until, now) INTO paid FROM darkroom.rates WHERE bucket = of_bucket;
    paid := coalesce(paid, now);
    after := paid + interval_us * cost;
    too_early := after - period - now;
    -- Half a microsecond is the rounding of what is stored.
    admitted := too_early <= 0.5;
    IF admitted AND counts AND cost > 0 THEN
        INSERT INTO darkroom.rates VALUES (of_bucket, round(after)) ON CONFLICT (bucket)
        DO UPDATE SET paid_until = excluded.paid_until;
        paid := after;
    END IF;
    remaining := greatest(0, floor((period - (paid - now)) / interval_us + 0.000001));
    reset_us := ceil(paid - now);
    retry_us := CASE WHEN admitted THEN 0 ELSE ceil(too_early) END;
    RETURN NEXT;
END $$;
