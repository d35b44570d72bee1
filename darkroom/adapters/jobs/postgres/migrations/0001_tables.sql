-- The tables. Unfinished jobs are few and change often; finished ones are many and never change. So each has a table of
-- its own, and the transaction that ends a job moves it from the one to the other.

CREATE TABLE darkroom.jobs (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    cost text NOT NULL,
    status text NOT NULL,
    owner text NOT NULL,
    parameters text NOT NULL,           -- JSON, as text: the order of its names is that of the results of renditions
    presets jsonb NOT NULL DEFAULT '{}',   -- those that were asked for, by rendition: [name, digest]
    storage_key text NOT NULL,
    request_id text NOT NULL,
    fingerprint text NOT NULL,
    trace text NOT NULL,
    webhooks text NOT NULL,             -- the endpoints that are told of its end
    turn double precision NOT NULL,     -- how much of its owner's turn in the lane it takes
    created timestamptz(3) NOT NULL,
    due timestamptz(3),                 -- when the sweep recovers it; none while it waits in its lane
    attempts int NOT NULL DEFAULT 0,
    emissions int NOT NULL DEFAULT 1,
    confirmed int NOT NULL DEFAULT 0,   -- the last emission that the broker is known to have received
    redriven int NOT NULL DEFAULT 0,    -- the number of emissions before the latest redrive
    redrives int NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    released bigint,                    -- the fence of the last lease that was released
    waits boolean NOT NULL DEFAULT false,      -- in its lane, for room in the broker's window
    in_window boolean NOT NULL DEFAULT false,  -- it is with the broker
    caller text,                        -- who may still retract it
    worker text,
    claim text,                         -- the token of the latest claim
    claimed timestamptz(3),             -- when the latest attempt began
    lease timestamptz(3),
    timeout_ms bigint,                  -- JOB_TIMEOUT of the worker that claimed it
    started timestamptz(3),
    restored timestamptz(3),            -- from storage, after the store had lost it
    finished timestamptz(3),
    history jsonb NOT NULL DEFAULT '[]',   -- attempts that ended: [fence, began, ended, code, worker], times in ms after
                                           -- the acceptance
    withdrawn text[] NOT NULL DEFAULT '{}',  -- the tokens of claims that were withdrawn
    unheard jsonb NOT NULL DEFAULT '[]',   -- the claims whose lease ran out: [token, fence]
    result jsonb,
    made jsonb NOT NULL DEFAULT '{}',   -- how renditions ended, by their names, as made_records.py writes it
    error jsonb,                        -- [code, message]
    timings jsonb
) WITH (
    -- Room in each page for the next versions of its rows. No index has the columns that change with each claim, renewal
    -- and confirmation, so these need no entry in any index (heap-only tuples).
    fillfactor = 60,
    autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX jobs_of_owner ON darkroom.jobs (owner, created DESC, id DESC);
CREATE INDEX jobs_in_line ON darkroom.jobs (type, cost, owner, created, id) WHERE waits;
CREATE INDEX jobs_in_window ON darkroom.jobs (type, cost) WHERE in_window;

-- A partition for each day in which jobs end. A day's jobs are all final and reach the end of their retention within one
-- day, so what retention takes away is a whole partition. A lookup by id has one index probe in each partition, which is a
-- handful with the default of seven days.
CREATE TABLE darkroom.finished (LIKE darkroom.jobs INCLUDING DEFAULTS) PARTITION BY RANGE (finished);
CREATE INDEX finished_by_id ON darkroom.finished (id);
CREATE INDEX finished_of_owner ON darkroom.finished (owner, created DESC, id DESC);
CREATE INDEX finished_by_end ON darkroom.finished (finished);
-- What no day's partition takes, so that no end can fail for want of one.
CREATE TABLE darkroom.finished_default PARTITION OF darkroom.finished DEFAULT;

-- Failed jobs that are not yet with the dead letters, by when they are handed out again.
CREATE TABLE darkroom.given_up (
    id uuid PRIMARY KEY,
    due timestamptz(3) NOT NULL
);

-- Which job an idempotency key made.
CREATE TABLE darkroom.bindings (
    owner text NOT NULL,
    key text NOT NULL,
    job_id uuid NOT NULL,
    until timestamptz(3) NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX bindings_by_end ON darkroom.bindings (until);
CREATE INDEX bindings_of_job ON darkroom.bindings (job_id);

-- Lanes in which jobs were accepted, and the owners who wait in them.
CREATE TABLE darkroom.lanes (
    type text NOT NULL,
    cost text NOT NULL,
    clock double precision NOT NULL DEFAULT 0,  -- the start of the turn that was given last
    PRIMARY KEY (type, cost)
) WITH (fillfactor = 50);
CREATE TABLE darkroom.turns (
    type text NOT NULL,
    cost text NOT NULL,
    owner text NOT NULL,
    starts double precision,  -- the start of the owner's next turn; none: nothing of the owner waits
    ended double precision NOT NULL DEFAULT 0,  -- the end of the owner's last turn
    PRIMARY KEY (type, cost, owner)
) WITH (fillfactor = 50);

-- What was counted. Each change adds a row, which waits for nobody; the sweep adds the rows up into the totals.
CREATE TABLE darkroom.tallied (
    fields text[] NOT NULL,
    amounts bigint[] NOT NULL
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE darkroom.totals (
    field text PRIMARY KEY,
    amount bigint NOT NULL
) WITH (fillfactor = 50);

-- Tombstones of erased jobs and originals, by keyed digests, and their key. See 0003_erased.sql.
CREATE TABLE darkroom.erased (
    name text PRIMARY KEY,
    value text NOT NULL,
    until timestamptz(3) NOT NULL
);
CREATE TABLE darkroom.erasure_key (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    key text NOT NULL,
    until timestamptz(3) NOT NULL
);

-- What is still to be erased outside of the store.
CREATE TABLE darkroom.erasures (
    id uuid PRIMARY KEY,
    due timestamptz(3) NOT NULL,
    again timestamptz(3),
    number int NOT NULL,
    only_results boolean NOT NULL,
    original text
);

-- Which jobs use a stored picture that is not in their own folder: an upload, another job's original, an overlay. A job's
-- own original needs no entry: it is used as long as its record is there.
CREATE TABLE darkroom.uses (
    storage_key text NOT NULL,
    job_id uuid NOT NULL,
    PRIMARY KEY (storage_key, job_id)
);
CREATE INDEX uses_of_job ON darkroom.uses (job_id);

-- Webhooks that are owed. What is told is in it, so that it outlives the job's record.
CREATE TABLE darkroom.owed (
    endpoint text NOT NULL,
    webhook_id text NOT NULL,
    job_id uuid NOT NULL,
    told jsonb NOT NULL,                -- {"row": the job at its end} or {"body": what was told before}
    tries int NOT NULL DEFAULT 0,       -- that failed
    since timestamptz(3) NOT NULL,
    error text NOT NULL DEFAULT '',
    due timestamptz(3),                 -- when the next try is; none once it is given up
    given_up timestamptz(3),            -- when it is handed out to be kept
    PRIMARY KEY (endpoint, webhook_id)
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX owed_by_due ON darkroom.owed (endpoint, due) WHERE due IS NOT NULL;
CREATE INDEX owed_of_job ON darkroom.owed (job_id);
-- Tries that are under way, and until when.
CREATE TABLE darkroom.sending (
    endpoint text NOT NULL,
    token text NOT NULL,
    until timestamptz(3) NOT NULL,
    PRIMARY KEY (endpoint, token)
);

-- Keepers of jobs that storage did not take yet.
CREATE TABLE darkroom.keepers_owed (
    job_id uuid PRIMARY KEY,
    body text NOT NULL
);

-- Rates, where there is no Redis for them: until when what a bucket asked for has been paid, in microseconds.
CREATE TABLE darkroom.rates (
    bucket text PRIMARY KEY,
    paid_until bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0.05);
