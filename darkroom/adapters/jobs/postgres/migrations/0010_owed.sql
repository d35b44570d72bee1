-- Webhooks that are owed; darkroom/adapters/jobs/owed.py says what may follow what.

-- Lease what is due longest to the endpoint. What is leased is due again when the lease runs out, so a sender that dies
-- loses nothing. A call that is repeated because its answer was lost takes another one.
CREATE FUNCTION darkroom.take_owed(rules jsonb, of_endpoint text, of_token text, lease_ms bigint, at_once int)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    o darkroom.owed;
    now timestamptz;
BEGIN
    PERFORM darkroom.lock_name('endpoint:' || of_endpoint);
    now := darkroom.clock();
    DELETE FROM darkroom.sending WHERE endpoint = of_endpoint AND until <= now;
    IF at_once <= (SELECT count(*) FROM darkroom.sending WHERE endpoint = of_endpoint) THEN
        RETURN NULL;
    END IF;
    SELECT * INTO o FROM darkroom.owed WHERE endpoint = of_endpoint AND due <= now ORDER BY due, webhook_id LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE darkroom.owed SET due = now + darkroom.span(lease_ms)
    WHERE endpoint = o.endpoint AND webhook_id = o.webhook_id;
    INSERT INTO darkroom.sending VALUES (of_endpoint, of_token, now + darkroom.span(lease_ms));
    RETURN to_jsonb(o);
END $$;

-- Record how a try ended. A repeated call finds one more failed try than it knows of, or nothing, and does nothing.
CREATE FUNCTION darkroom.settle_owed(
    rules jsonb, of_endpoint text, of_webhook text, of_token text, known_tries int, outcome text, code text, delay_ms bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o darkroom.owed;
    now timestamptz;
BEGIN
    DELETE FROM darkroom.sending WHERE endpoint = of_endpoint AND token = of_token;
    SELECT * INTO o FROM darkroom.owed
    WHERE endpoint = of_endpoint AND webhook_id = of_webhook AND tries = known_tries FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    now := darkroom.clock();
    PERFORM darkroom.count(CASE outcome WHEN 'told' THEN 'webhooks.sent' ELSE 'webhooks.failed|' || code END);
    IF outcome IN ('told', 'revoked') THEN
        DELETE FROM darkroom.owed WHERE endpoint = of_endpoint AND webhook_id = of_webhook;
        RETURN;
    END IF;
    IF outcome = 'given-up' THEN
        PERFORM darkroom.count('webhooks.given_up');
    END IF;
    UPDATE darkroom.owed SET tries = o.tries + 1, error = code,
        due = CASE outcome WHEN 'later' THEN now + darkroom.span(delay_ms) END,
        given_up = CASE outcome WHEN 'given-up' THEN now END
    WHERE endpoint = of_endpoint AND webhook_id = of_webhook;
END $$;

-- Hand out what was given up and is not yet with the dead letters.
CREATE FUNCTION darkroom.given_up_owed(rules jsonb, at_most int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    o darkroom.owed;
    now timestamptz := darkroom.clock();
    found jsonb := '[]';
BEGIN
    FOR o IN SELECT * FROM darkroom.owed WHERE given_up <= now ORDER BY given_up LIMIT at_most FOR UPDATE SKIP LOCKED LOOP
        UPDATE darkroom.owed SET given_up = now + darkroom.span(rules, 'keep_within')
        WHERE endpoint = o.endpoint AND webhook_id = o.webhook_id;
        found := found || jsonb_build_array(to_jsonb(o));
    END LOOP;
    RETURN found;
END $$;

-- Owe it anew, from its dead letter. One whose letter was kept, and the record of that lost, is still there.
CREATE FUNCTION darkroom.owe_again(rules jsonb, of_endpoint text, of_webhook text, of_job uuid, body jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM darkroom.owed WHERE endpoint = of_endpoint AND webhook_id = of_webhook AND given_up IS NOT NULL;
    INSERT INTO darkroom.owed (endpoint, webhook_id, job_id, told, since, due)
    VALUES (of_endpoint, of_webhook, of_job, jsonb_build_object('body', body), darkroom.clock(), darkroom.clock())
    ON CONFLICT (endpoint, webhook_id) DO NOTHING;
    RETURN FOUND;
END $$;
