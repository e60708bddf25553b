-- The database as all migrations leave it, for people to read. Nothing runs this file but a test, which compares what it
-- makes with what the migrations make (tests/services/test_migrations.py) and names each difference. Whoever adds a
-- migration changes this file by hand, runs `./scripts/test tests/services/test_migrations.py`, and repeats until both
-- are the same database.
--
-- The ledger: tenants, agents, rooms, visits and their seats, limits, decisions. The truth that Redis may lose.
--
-- Lock order, everywhere: tenants -> agents (by id) -> visits (by id) -> sessions (by id).

-- Which migrations ran here; made by db/migrate.py itself.
CREATE TABLE migrations (
    name      text PRIMARY KEY,
    checksum  text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which installation this is, made by the first process that starts; see db/installation.py.
CREATE TABLE installation (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    id   text NOT NULL CHECK (id ~ '^[0-9a-f]{16}$')
);

CREATE TABLE tenants (
    id              text PRIMARY KEY,                  -- see tenant_ids.py
    base_url        text NOT NULL,
    secret_key      text NOT NULL,
    webhook_digest  text NOT NULL DEFAULT '',          -- sha-256 of the tenant's own webhook secret, '' = none
    inbox_epoch     text NOT NULL DEFAULT '',          -- the life of Redis that inbox_seen belongs to
    inbox_seen      text NOT NULL DEFAULT '0-0',       -- last stream entry that is in this database
    rev             bigint NOT NULL DEFAULT 0,         -- rises with each decision; guards the caches in Redis
    swept_at        timestamptz NOT NULL DEFAULT '-infinity',
    pruned_at       timestamptz NOT NULL DEFAULT '-infinity',
    desk_failures   integer NOT NULL DEFAULT 0,        -- in a row; the circuit opens at a number of them
    desk_trouble    text,                              -- what the desk said last, NULL = it works
    paused_until    timestamptz NOT NULL DEFAULT '-infinity',
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    desk            text NOT NULL DEFAULT 'qiscus' CHECK (desk IN ('qiscus', 'native')),
    name            text NOT NULL DEFAULT '',
    identity_secret text,                              -- key of userHash (HMAC-SHA256 of the e-mail); NULL: not used
    paused_for      interval NOT NULL DEFAULT '301 s', -- the longest that paused_until can be away
    last_place_us   bigint NOT NULL DEFAULT 0,         -- the last place given; it only rises, whatever a clock does
    served_at       timestamptz NOT NULL DEFAULT '-infinity', -- the last last_assigned_at; it only rises too
    limits_digest   text NOT NULL DEFAULT '',          -- of the limits that agents.max_load was set by; '' = read them
    color           text CHECK (color ~ '^#[0-9a-f]{6}$'), -- of its customers' page; NULL: ours
    rules_version   integer NOT NULL DEFAULT 0,        -- in force; 0: there were never any
    rules_digest    text NOT NULL DEFAULT '',          -- of its file, md5; '': none. Here: a row that was waited for is new
    rerouting       boolean NOT NULL DEFAULT false,    -- some rooms still wait where an earlier version put them
    shut_until      timestamptz,                       -- outside the hours: when to look again, a day ahead at most
    draining        boolean NOT NULL DEFAULT false,    -- it serves out: chats are ended, none is begun
    minutes_to      timestamptz NOT NULL DEFAULT '-infinity'  -- so far its minutes are written
) WITH (fillfactor = 50);

-- Each version of a tenant's rules file (docs/routing.md) that was applied, as it was typed; '' took the rules away.
CREATE TABLE rule_files (
    tenant      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    version     integer NOT NULL CHECK (version > 0),
    content     text NOT NULL CHECK (octet_length(content) <= 262144),
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by  text NOT NULL,
    PRIMARY KEY (tenant, version)
);

-- Not a CHECK: an id of an earlier version may have a `:` (its limit key is then that of an agent of another tenant).
CREATE FUNCTION refuse_tenant_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not a valid tenant id: %', NEW.id USING ERRCODE = '23514', CONSTRAINT = 'tenant_id';
END $$;

CREATE TRIGGER tenant_id BEFORE INSERT ON tenants FOR EACH ROW
    WHEN (NEW.id !~ '^[A-Za-z0-9_.@-]{1,64}$') EXECUTE FUNCTION refuse_tenant_id();

-- Clocks step. Two functions read all times: a due time that lies further ahead than it can have been set is due now, and a
-- time in the future is long ago. A second more, since clocks are corrected by milliseconds all the time.
CREATE FUNCTION is_due(at timestamptz, longest interval) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN at <= clock_timestamp() OR at > clock_timestamp() + longest + interval '1 s';

CREATE FUNCTION seconds_since(at timestamptz) RETURNS float8 LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN CASE WHEN NOT isfinite(at) OR at > clock_timestamp() + interval '1 s' THEN 1000000000
                WHEN at IS NOT NULL THEN greatest(0, extract(epoch FROM clock_timestamp() - at))::float8 END;

-- A worker holds the advisory lock of its number while it lives; see db/queries/ledger.sql, `claim_seats`.
CREATE SEQUENCE worker_ids AS integer CYCLE;

CREATE TABLE agents (
    tenant           text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id               text NOT NULL,
    name             text NOT NULL DEFAULT '',
    available        boolean NOT NULL DEFAULT false,
    open_seats       integer NOT NULL DEFAULT 0,       -- visits reserved or held, counted by trigger count_seats
    foreign_est      integer NOT NULL DEFAULT 0,       -- chats that are not ours, by the desk's count
    foreign_lows     jsonb NOT NULL DEFAULT '[]',      -- [[unix s, chats]]: recent lower bounds of the same
    load             integer GENERATED ALWAYS AS (open_seats + foreign_est) STORED,
    max_load         integer NOT NULL DEFAULT 0,       -- the limit in force, as of tenants.limits_digest
    desk_count       integer,                          -- what the desk said last, late by seconds
    seen_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_assigned_at timestamptz NOT NULL DEFAULT '-infinity',
    owed             boolean NOT NULL DEFAULT false,   -- policy fill_two: the last room was their first, a second one is due
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 50);

-- Whatever code path adds an agent: the next decision reads their limit.
CREATE FUNCTION forget_limits_digest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET limits_digest = '' WHERE id IN (SELECT tenant FROM new_rows) AND limits_digest <> '';
    RETURN NULL;
END $$;

CREATE TRIGGER forget_limits_digest AFTER INSERT ON agents
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION forget_limits_digest();

-- Which agents the desk named for a class of rooms (a channel, else a source), and when it was asked.
CREATE TABLE rosters (
    tenant         text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    class          text NOT NULL,
    read_at        timestamptz NOT NULL DEFAULT '-infinity',   -- when the request of the answer in use went out
    due_at         timestamptz NOT NULL DEFAULT '-infinity',   -- when it is to be read again while rooms wait
    claimed_until  timestamptz NOT NULL DEFAULT '-infinity',   -- one reader at a time
    claimed_by     integer NOT NULL DEFAULT 0,                 -- the worker that reads
    suggested      text,                                       -- policy upstream: the desk's candidate, used once
    ask_after      timestamptz NOT NULL DEFAULT '-infinity',
    refused_alike  text,                                       -- the desk refuses all its agents, in these words
    alike_tries    integer NOT NULL DEFAULT 0,                 -- how often since
    assign_after   timestamptz NOT NULL DEFAULT '-infinity',   -- refused alike: one room is tried, not before
    missing        text[] NOT NULL DEFAULT '{}',               -- what the rules name and the desk doesn't have
    PRIMARY KEY (tenant, class)
) WITH (fillfactor = 50);

CREATE TABLE eligible (
    tenant  text NOT NULL,
    class   text NOT NULL,
    agent   text NOT NULL,
    PRIMARY KEY (tenant, class, agent),
    FOREIGN KEY (tenant, agent) REFERENCES agents ON DELETE CASCADE,
    FOREIGN KEY (tenant, class) REFERENCES rosters ON DELETE CASCADE
);
CREATE INDEX eligible_by_agent ON eligible (tenant, agent);

-- Agents whom the desk has refused for a room of a class, and whom it has given no room of that class since.
CREATE TABLE doubts (
    tenant     text NOT NULL,
    class      text NOT NULL,
    agent      text NOT NULL,
    refused    integer NOT NULL DEFAULT 1,                  -- rooms, in a row
    why        text NOT NULL,
    outs       integer NOT NULL DEFAULT 0,                  -- how often they were left out, in a row
    out_until  timestamptz NOT NULL DEFAULT '-infinity',    -- they get no room of the class before
    unproved   boolean NOT NULL DEFAULT true,               -- nor were they given a room of any other class
    PRIMARY KEY (tenant, class, agent),
    FOREIGN KEY (tenant, agent) REFERENCES agents ON DELETE CASCADE
);

-- What is remembered of a room between its visits.
CREATE TABLE rooms (
    tenant               text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id                   text NOT NULL,
    closed_service       bigint,                      -- the highest service id known to be closed
    closed_with_service  boolean,                     -- the last close named its service; NULL: none seen
    seen_at              timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when a webhook last told of it
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 80);

CREATE TABLE visits (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant            text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    room              text NOT NULL,
    class             text NOT NULL DEFAULT '',        -- who may serve it: its channel, or queue/step of the rules
    source            text NOT NULL DEFAULT '',
    learned           boolean NOT NULL DEFAULT false,  -- from the desk's unserved list, not from a webhook
    priority          integer NOT NULL DEFAULT 0,
    arrived_us        bigint NOT NULL,                 -- microseconds, the clock of Redis
    base              bigint,                          -- rooms.closed_service when the visit opened
    base_proved       boolean NOT NULL DEFAULT false,  -- the webhook itself carried it
    state             text NOT NULL CHECK (state IN ('waiting', 'reserved', 'held', 'closed')),
    agent             text,
    last_agent        text,
    seat_limit        integer,                         -- the limit that the reservation was made under
    owner             integer NOT NULL DEFAULT 0,      -- the worker that is calling the desk
    attempt           integer NOT NULL DEFAULT 0,
    lease_until       timestamptz,                     -- reserved: until then the owner's business
    parked            boolean NOT NULL DEFAULT false,  -- reserved: lease_until is the time of the next try
    unclear_at        timestamptz,                     -- reserved: since when an assign may have been applied
    tries             integer NOT NULL DEFAULT 0,      -- "room taken" by nobody, in a row
    refusals          integer NOT NULL DEFAULT 0,      -- definite refusals, in a row; see the table of that name
    retry_at          timestamptz,                     -- waiting: not before
    aside             text,                            -- waiting: set aside, and why
    look_at           timestamptz,                     -- when to ask the desk about this visit
    looks             integer NOT NULL DEFAULT 0,
    suspect           text,                            -- what one witness said: resolved, waiting, moved:<agent>
    again_us          bigint,                          -- arrival of a webhook that may be of the room's next stay
    looked_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    unconfirmed       boolean NOT NULL DEFAULT false,  -- held without the desk ever naming the agent
    first_comment_id  text,
    service_id        bigint,
    reason            text,                            -- why it closed
    opened_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    reserved_at       timestamptz,
    settled_at        timestamptz,
    closed_at         timestamptz,
    answered          integer,                         -- the attempt whose assign call has a definite answer
    resolved_comment  text,                            -- reserved: first comment of the service resolved meanwhile
    again_latest      bigint,                          -- the closed service that the webhook of again_us named
    again_at          timestamptz,                     -- when again_us was written, by this clock
    channel           text NOT NULL DEFAULT '',        -- the desk's: the channel's id, else the source
    queue             text,                            -- of the rules; NULL: the channel's own
    rule              text,                            -- the one that decided; NULL: the default, a topic, or none
    rules_version     integer NOT NULL DEFAULT 0,      -- by which it was routed
    step              smallint NOT NULL DEFAULT 0,     -- how many steps of its queue have come
    base_priority     integer NOT NULL DEFAULT 0,      -- as routed; steps lift `priority`
    serve_from        timestamptz,                     -- steps count from here; NULL: from the arrival, or never
    change_at         timestamptz,                     -- waiting: the next step, or the end of the wait for one agent
    sticky_agent      text,                            -- who served the room last
    sticky_until      timestamptz,                     -- it waits for them until then
    facts             jsonb,                           -- what the rules ask about, as long as it waits
    again_facts       jsonb,                           -- the same, of the webhook of again_us
    target_missed     boolean NOT NULL DEFAULT false,  -- it waited for longer than its queue's target, and hooks know
    FOREIGN KEY (tenant, agent) REFERENCES agents,
    CONSTRAINT seat_has_agent CHECK ((state IN ('reserved', 'held')) = (agent IS NOT NULL)),
    CONSTRAINT reserved_has_limit CHECK (state <> 'reserved' OR seat_limit IS NOT NULL),
    CONSTRAINT reserved_has_lease CHECK (state <> 'reserved' OR lease_until IS NOT NULL),
    CONSTRAINT closed_has_reason CHECK ((state = 'closed') = (reason IS NOT NULL AND closed_at IS NOT NULL))
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX one_open_visit ON visits (tenant, room) WHERE state <> 'closed';
CREATE INDEX line_order ON visits (tenant, class, priority DESC, arrived_us, id) WHERE state = 'waiting';
-- Those of them that may be chosen now.
CREATE INDEX line_ready ON visits (tenant, class, priority DESC, arrived_us, id)
 WHERE state = 'waiting' AND look_at IS NULL AND aside IS NULL AND retry_at IS NULL;
CREATE INDEX seats ON visits (tenant, agent) WHERE state IN ('reserved', 'held');
CREATE INDEX leases ON visits (lease_until) WHERE state = 'reserved';
CREATE INDEX looks_due ON visits (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX retries ON visits (tenant, retry_at) WHERE state = 'waiting' AND retry_at IS NOT NULL;
CREATE INDEX closed_by_time ON visits (tenant, closed_at) WHERE state = 'closed';
CREATE INDEX closed_by_room ON visits (tenant, room, id) WHERE state = 'closed';
CREATE INDEX changes_due ON visits (tenant, change_at) WHERE state = 'waiting' AND change_at IS NOT NULL;
CREATE INDEX seats_of_queue ON visits (tenant, queue, agent) WHERE state IN ('reserved', 'held') AND queue IS NOT NULL;

-- What is known of a customer is kept as long as the room waits, no longer.
CREATE FUNCTION forget_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.facts = NULL;
    IF NEW.state = 'closed' THEN NEW.again_facts = NULL; END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER facts_while_waiting BEFORE UPDATE OF state ON visits FOR EACH ROW
    WHEN ((NEW.facts IS NOT NULL OR NEW.again_facts IS NOT NULL) AND NEW.state NOT IN ('waiting', 'reserved'))
    EXECUTE FUNCTION forget_facts();

-- What waiting customers are told: each text once. Claimed before it is sent, so that a death in between repeats nothing.
CREATE TABLE notices (
    visit       bigint NOT NULL REFERENCES visits ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('queued', 'closed')),
    nth         integer NOT NULL,
    tenant      text NOT NULL,
    position    integer NOT NULL,                      -- that was told
    body        text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    claimed_at  timestamptz,
    outcome     text,                                  -- sent, or what was in the way; NULL: not known
    PRIMARY KEY (visit, kind, nth)
);
CREATE INDEX notices_to_send ON notices (tenant, at) WHERE claimed_at IS NULL;

-- Definite refusals of a pair, while the room waits. `accepted`: the desk has given the agent another room since.
CREATE TABLE refusals (
    visit     bigint NOT NULL REFERENCES visits ON DELETE CASCADE,
    agent     text NOT NULL,
    tenant    text NOT NULL,
    times     integer NOT NULL DEFAULT 1,
    why       text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted  boolean NOT NULL DEFAULT false,
    forgiven  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (visit, agent)
);
CREATE INDEX refusals_by_agent ON refusals (tenant, agent);

-- Whether some refusal of the desk is not judged yet. A function with a snapshot of its own: a statement that waited for
-- the tenant's row sees the row as it is now, and what stands beside it as it was before.
CREATE FUNCTION is_doubted(of_tenant text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM doubts WHERE tenant = of_tenant) OR EXISTS (SELECT FROM refusals WHERE tenant = of_tenant);
END $$;


-- A copy of the admin's keys in Redis, so that a flush can't unlimit anybody. scope: '' global, 'tenant', 'agent:<id>'.
CREATE TABLE limits (
    tenant   text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    scope    text NOT NULL,
    value    integer CHECK (value BETWEEN 0 AND 1000),
    invalid  text,                                    -- the last unusable text, as it was logged
    PRIMARY KEY (tenant, scope)
);

-- One look at the line that gave at least one seat: who was considered, with load and limit at its start.
CREATE TABLE rounds (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    policy      text NOT NULL,
    candidates  jsonb NOT NULL,                       -- [{agent, load, limit}]: the chosen, and the next best
    passed_over jsonb NOT NULL DEFAULT '{}',          -- class -> why its rooms had to wait
    crew        jsonb NOT NULL DEFAULT '{}'           -- how many agents there were: {online, full, paused, offline}
);
CREATE INDEX rounds_by_time ON rounds (tenant, at);

-- A log, written once for each seat: without foreign keys, which would cost more than the row; pruned by its round.
CREATE TABLE decisions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- the order of reserving
    tenant       text NOT NULL,
    round        bigint NOT NULL,
    visit        bigint NOT NULL,
    agent        text NOT NULL,
    load_before  integer NOT NULL,
    seat_limit   integer NOT NULL
);
CREATE INDEX decisions_by_visit ON decisions (visit);
CREATE INDEX decisions_by_round ON decisions (round);

-- What happened to a visit beside the plain way (refused, parked, adopted, moved, looked at).
CREATE TABLE events (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    visit   bigint NOT NULL REFERENCES visits ON DELETE CASCADE,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    what    text NOT NULL,
    detail  text NOT NULL DEFAULT ''
);
CREATE INDEX events_by_visit ON events (visit);

-- Inbox entries that no visit could be made of.
CREATE TABLE refused (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text NOT NULL,
    entry_id  text NOT NULL,
    reason    text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant, entry_id)
);

CREATE TABLE drifts (
    tenant  text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    kind    text NOT NULL,
    healed  bigint NOT NULL DEFAULT 0,
    last_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, kind)
);

-- The last line of defence, and the count of seats. Whatever code path writes visits, its statement ends here:
-- agents.open_seats moves by what the statement changed, in the same transaction and under the agent's row lock, so that
-- it always equals the count of open seats; and a step into `reserved` that leaves an agent with more chats than the
-- limit of the reservation is refused, the whole statement with it.
-- Only that step is guarded: a lowered limit or a chat given by hand may stand above the limit, and counts.
CREATE TYPE seat_change AS (tenant text, agent text, seats integer, seat_limit integer);  -- seat_limit: if reserved

-- The plan of the join is kept from the first, perhaps small, statement: a nested loop would be squares later.
CREATE FUNCTION count_seats() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM change_seats(array_agg((tenant, agent, 1, CASE WHEN state = 'reserved' THEN seat_limit END)::seat_change))
           FROM new_rows WHERE agent IS NOT NULL;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM change_seats(array_agg((tenant, agent, -1, NULL)::seat_change)) FROM old_rows WHERE agent IS NOT NULL;
    ELSE
        PERFORM change_seats(array_agg(changed.seat)) FROM (
            SELECT unnest(ARRAY[
                       CASE WHEN o.agent IS NOT NULL THEN (o.tenant, o.agent, -1, NULL)::seat_change END,
                       CASE WHEN n.agent IS NOT NULL
                            THEN (n.tenant, n.agent, 1, CASE WHEN n.state = 'reserved' THEN n.seat_limit END)::seat_change
                       END]) AS seat
              FROM old_rows o JOIN new_rows n USING (id)
             WHERE o.agent IS DISTINCT FROM n.agent OR (n.state = 'reserved' AND o.state <> 'reserved')) changed
         WHERE (changed.seat).agent IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;

-- Agents are looked up by their key, however many there are and whatever its callers' plans are.
CREATE FUNCTION change_seats(changes seat_change[]) RETURNS void LANGUAGE plpgsql
    SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    over record;
BEGIN
    IF changes IS NULL THEN RETURN; END IF;
    -- All locks first, in order, so that racing writers take turns and never wait for one another in a ring.
    PERFORM 1 FROM agents a
      WHERE (a.tenant, a.id) IN (SELECT c.tenant, c.agent FROM unnest(changes) c)
      ORDER BY a.tenant, a.id FOR NO KEY UPDATE;
    -- Checked before the count moves: a row that is written and then refused would be one update too many.
    SELECT a.id, a.load + c.seats AS load, c.seat_limit INTO over
      FROM (SELECT u.tenant, u.agent, sum(u.seats)::integer AS seats, min(u.seat_limit) AS seat_limit
              FROM unnest(changes) u GROUP BY 1, 2) c
      JOIN agents a ON a.tenant = c.tenant AND a.id = c.agent
     WHERE a.load + c.seats > c.seat_limit LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'agent % would have % chats of %', over.id, over.load, over.seat_limit
              USING ERRCODE = '23514', CONSTRAINT = 'seat_limit';
    END IF;
    UPDATE agents a SET open_seats = a.open_seats + c.seats
      FROM (SELECT u.tenant, u.agent, sum(u.seats)::integer AS seats FROM unnest(changes) u GROUP BY 1, 2) c
     WHERE a.tenant = c.tenant AND a.id = c.agent AND c.seats <> 0;
END $$;

CREATE TRIGGER count_seats_insert AFTER INSERT ON visits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_seats();
CREATE TRIGGER count_seats_update AFTER UPDATE ON visits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_seats();
CREATE TRIGGER count_seats_delete AFTER DELETE ON visits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_seats();

-- A visit that is being assigned stays reserved, and its seat taken, until the call has a definite answer (H14): whoever
-- takes it out of `reserved` names the attempt that was answered.
CREATE FUNCTION refuse_unanswered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'visit % is being assigned: attempt % has no answer yet', OLD.id, OLD.attempt
          USING ERRCODE = '23514', CONSTRAINT = 'reserved_until_answered';
END $$;

CREATE TRIGGER reserved_until_answered BEFORE UPDATE OF state ON visits FOR EACH ROW
    WHEN (OLD.state = 'reserved' AND NEW.state <> 'reserved' AND NEW.answered IS DISTINCT FROM OLD.attempt)
    EXECUTE FUNCTION refuse_unanswered();

-- Our own chat: people without Qiscus, in the same line. A session is one stay of a customer; its `room` is the visit's.

-- Who may log in. Everybody here has a row in `agents`, which counts their seats.
CREATE TABLE accounts (
    tenant         text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    agent          text NOT NULL,
    email          text NOT NULL,
    name           text NOT NULL,
    password_hash  text NOT NULL,
    role           text NOT NULL DEFAULT 'agent' CHECK (role IN ('agent', 'supervisor', 'admin')),
    disabled       boolean NOT NULL DEFAULT false,
    wish           text NOT NULL DEFAULT 'online' CHECK (wish IN ('online', 'away')),  -- counts while a page is connected
    absent_since   timestamptz DEFAULT clock_timestamp(),  -- no page is connected since then; NULL: one is
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    divisions      text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant, agent),
    FOREIGN KEY (tenant, agent) REFERENCES agents ON DELETE CASCADE
);
CREATE UNIQUE INDEX one_account_an_email ON accounts (tenant, lower(email));

-- Whoever runs the installation: they see every tenant on /ops, and have no chats.
CREATE TABLE operators (
    id             text PRIMARY KEY,
    email          text NOT NULL,
    name           text NOT NULL,
    password_hash  text NOT NULL,
    disabled       boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX one_operator_an_email ON operators (lower(email));

CREATE TABLE tokens (
    digest      bytea PRIMARY KEY,                    -- sha-256 of the token
    tenant      text,
    agent       text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    operator    text REFERENCES operators ON DELETE CASCADE,  -- else an account's
    FOREIGN KEY (tenant, agent) REFERENCES accounts ON DELETE CASCADE,
    CONSTRAINT token_of_one CHECK (num_nonnulls(agent, operator) = 1 AND num_nonnulls(agent, tenant) <> 1)
);
CREATE INDEX tokens_by_agent ON tokens (tenant, agent);
CREATE INDEX tokens_by_operator ON tokens (operator) WHERE operator IS NOT NULL;

-- Running sidecars, and which agents' pages are connected to them. A row that was not renewed counts for nothing.
CREATE TABLE sidecars (
    id          text PRIMARY KEY,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE presence (
    tenant   text NOT NULL,
    agent    text NOT NULL,
    sidecar  text NOT NULL REFERENCES sidecars ON DELETE CASCADE,
    until    timestamptz NOT NULL,
    PRIMARY KEY (tenant, agent, sidecar),
    FOREIGN KEY (tenant, agent) REFERENCES accounts ON DELETE CASCADE
);

CREATE TABLE customers (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    email       text NOT NULL,
    name        text NOT NULL,
    proved      boolean NOT NULL DEFAULT false,       -- by userHash; else they only say so
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX one_customer_an_email ON customers (tenant, lower(email), proved);

CREATE TABLE sessions (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant          text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    room            text NOT NULL,                    -- session_id of the API, and visits.room
    key_digest      bytea NOT NULL UNIQUE,            -- sha-256 of the customer's session key
    customer        bigint NOT NULL REFERENCES customers,
    status          text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'active', 'ended')),
    agent           text,                             -- who has it; kept after the end
    last_seq        bigint NOT NULL DEFAULT 0,
    customer_got    bigint NOT NULL DEFAULT 0,        -- delivered to a page of the customer, up to this seq
    customer_read   bigint NOT NULL DEFAULT 0,
    agent_got       bigint NOT NULL DEFAULT 0,
    agent_read      bigint NOT NULL DEFAULT 0,
    answered        boolean NOT NULL DEFAULT false,   -- its present agent has written
    wants_person    boolean NOT NULL DEFAULT false,   -- the bot keeps quiet
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at      timestamptz,                      -- its first agent came
    ended_at        timestamptz,
    ended_by        text,                             -- customer, agent:<id>, system
    rating          integer CHECK (rating BETWEEN 1 AND 5),
    rating_comment  text,
    customer_name   text NOT NULL,                    -- as given for this chat
    picked          boolean NOT NULL DEFAULT false,   -- its agent took it by themselves, perhaps while away
    seen_at         timestamptz NOT NULL DEFAULT clock_timestamp(),  -- its customer's last page closed; see customer_seen_s
    gone_at         timestamptz,                      -- waiting, but out of the line: its customer is gone
    keeps_place     boolean NOT NULL DEFAULT false,   -- a message that was left for later: its customer may be away
    origin          bytea,                            -- keyed digest of the address that began it
    language        text CHECK (language IN ('en', 'id')),  -- of the page that began it, where it told
    facts           jsonb,                            -- what the rules ask about its customer, until it has ended
    topic           jsonb,                            -- what they chose, by language; until it has ended
    UNIQUE (tenant, room),
    FOREIGN KEY (tenant, agent) REFERENCES accounts (tenant, agent),
    CONSTRAINT active_has_agent CHECK (status <> 'active' OR agent IS NOT NULL),
    CONSTRAINT waiting_has_none CHECK (status <> 'waiting' OR agent IS NULL),
    CONSTRAINT ended_has_time CHECK ((status = 'ended') = (ended_at IS NOT NULL)),
    CONSTRAINT gone_waits CHECK (gone_at IS NULL OR status = 'waiting')
) WITH (fillfactor = 70);
CREATE INDEX sessions_open ON sessions (tenant, id) WHERE status <> 'ended';
CREATE INDEX sessions_of_origin ON sessions (tenant, origin) WHERE status <> 'ended';
CREATE INDEX sessions_by_customer ON sessions (customer, id);
CREATE INDEX sessions_by_agent ON sessions (tenant, agent, id);
CREATE INDEX sessions_over ON sessions (tenant, ended_at) WHERE status = 'ended';

CREATE FUNCTION forget_session_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.facts = NULL;
    NEW.topic = NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER facts_while_open BEFORE UPDATE OF status ON sessions FOR EACH ROW
    WHEN (NEW.status = 'ended' AND (NEW.facts IS NOT NULL OR NEW.topic IS NOT NULL))
    EXECUTE FUNCTION forget_session_facts();

-- Pages of customers, by the sidecar that they are connected to, while that lives. `until`: infinity for a socket; of a
-- page that asks from time to time, how long it counts.
CREATE TABLE customer_pages (
    session  bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    sidecar  text NOT NULL REFERENCES sidecars ON DELETE CASCADE,
    until    timestamptz NOT NULL,
    PRIMARY KEY (session, sidecar)
);
CREATE INDEX customer_pages_of ON customer_pages (sidecar);

-- Seconds since a page of the customer was surely open; next to nothing while one is. `left_at`: sessions.seen_at.
CREATE FUNCTION customer_seen_s(of_session bigint, left_at timestamptz) RETURNS float8 LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN (SELECT least(seconds_since(left_at), min(seconds_since(least(p.until, c.beat_at))))
              FROM customer_pages p JOIN sidecars c ON c.id = p.sidecar WHERE p.session = of_session);

-- What everybody in a room sees, in one gapless order. Happenings with a meaning (assigned, transferred, ended) are rows
-- too, from the sender `system`, so that state and rows together are the whole truth.
CREATE TABLE messages (
    session      bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    seq          bigint NOT NULL,
    id           text NOT NULL UNIQUE,
    tenant       text NOT NULL,
    sender_type  text NOT NULL CHECK (sender_type IN ('customer', 'agent', 'bot', 'system')),
    sender_id    text NOT NULL DEFAULT '',            -- the agent's id, else ''
    sender_name  text NOT NULL DEFAULT '',
    client_id    text,                                -- the sender's own, so that a repeated send is one message
    body         text NOT NULL,
    event        jsonb,                               -- system: {"type": "assigned", "agent_id": …, "name": …}
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session, seq)
);
CREATE UNIQUE INDEX one_message_a_send ON messages (session, sender_type, sender_id, client_id) WHERE client_id IS NOT NULL;

-- The words of a text, with the parts of what is written in one: INV-2024-001 and IMG0001 have `001` and `0001`.
-- PostgreSQL's own parser takes these for one word each, and the square of the length of some texts in time.
CREATE FUNCTION words_of(written text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('simple', regexp_replace(translate(written, '._-/@:&<+~', '          '),
                                                '(?<=[0-9])(?=[^0-9\s])|(?<=[^0-9\s])(?=[0-9])', ' ', 'g'))
$$;
CREATE INDEX messages_by_words ON messages USING gin (words_of(body));

CREATE TABLE attachments (
    id          text PRIMARY KEY,                     -- unguessable; also the file's name on disk
    tenant      text NOT NULL,
    session     bigint NOT NULL,
    seq         bigint NOT NULL,
    name        text NOT NULL,                        -- as the sender called it, cleaned
    type        text NOT NULL,                        -- by content
    size        bigint NOT NULL,
    preview_width   integer,                          -- of a picture's preview, in pixels; NULL: none was made yet,
    preview_height  integer,                          -- 0: none can be made
    FOREIGN KEY (session, seq) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX attachments_by_message ON attachments (session, seq);
CREATE INDEX attachments_of_tenant ON attachments (tenant) INCLUDE (size);
CREATE INDEX attachments_by_words ON attachments USING gin (words_of(name));

-- Private to agents.
CREATE TABLE notes (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL,
    session     bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    agent       text NOT NULL,
    agent_name  text NOT NULL,
    body        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX notes_by_session ON notes (session, id);

CREATE TABLE canned_replies (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    shortcut  text NOT NULL,
    body      text NOT NULL,
    UNIQUE (tenant, shortcut)
);

CREATE TABLE faq (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    question  text NOT NULL,
    answer    text NOT NULL,
    UNIQUE (tenant, question)
);
CREATE INDEX faq_by_text ON faq USING gin (to_tsvector('simple', question || ' ' || answer));

-- Logins that failed lately, so that passwords can't be guessed: in PostgreSQL, since any sidecar may be asked.
CREATE TABLE login_tries (
    subject  bytea PRIMARY KEY,                       -- keyed digest of an account, an address, or both together
    failed   timestamptz[] NOT NULL,                  -- the latest ones, oldest first
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    tenant   text,                                    -- whose they are, where there is such an account
    agent    text,
    most     integer NOT NULL DEFAULT 10              -- so many lock the subject
) WITH (fillfactor = 50);
CREATE INDEX login_tries_by_time ON login_tries (last_at);
CREATE INDEX login_tries_by_account ON login_tries (tenant, agent) WHERE agent IS NOT NULL;

-- From where an account logged in lately: there only its failures at that very address lock it out.
CREATE TABLE login_addresses (
    subject  bytea PRIMARY KEY,                       -- keyed digest of the account and the address together
    tenant   text,
    agent    text,
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    operator text REFERENCES operators ON DELETE CASCADE,
    FOREIGN KEY (tenant, agent) REFERENCES accounts ON DELETE CASCADE,
    CONSTRAINT address_of_one CHECK (num_nonnulls(agent, operator) = 1 AND num_nonnulls(agent, tenant) <> 1)
);
CREATE INDEX login_addresses_by_account ON login_addresses (tenant, agent);
CREATE INDEX login_addresses_by_time ON login_addresses (last_at);

-- Who changed what by hand, on /ops or by the admin tool. Never a secret, a password or a key.
CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   text REFERENCES tenants ON DELETE CASCADE,  -- NULL: of the installation
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    who      text NOT NULL,                              -- an e-mail, or `giliran:` and the account of the system
    what     text NOT NULL,
    subject  text NOT NULL DEFAULT '',                   -- a room, an agent, a key
    before   jsonb,
    after    jsonb,
    address  text                                        -- where the request came from
);
CREATE INDEX audit_of_tenant ON audit (tenant, id);
CREATE INDEX audit_by_time ON audit (at);

-- What happened in each minute, for charts and reports: written by workers after the minute, once. A minute in which
-- nothing happened and nobody was there has no row.
CREATE TABLE minutes (
    tenant       text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    at           timestamptz NOT NULL,               -- its beginning
    queue        text NOT NULL,                      -- '': all together
    waiting      integer NOT NULL,                   -- at its end
    arrived      integer NOT NULL,
    assigned     integer NOT NULL,
    resolved     integer NOT NULL,
    abandoned    integer NOT NULL,                   -- closed, and no agent ever had them
    waits        real[] NOT NULL,                    -- seconds, of the assigned ones, in order; of many a part, evenly
    seats_taken  integer NOT NULL,                   -- at its end
    seats_free   integer,                            -- at its end, of agents online; NULL: written too late to know
    PRIMARY KEY (tenant, at, queue)
);

-- Who is told of a tenant's events: docs/operations.md, events out.
CREATE TABLE hooks (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    url         text NOT NULL,
    secret      text NOT NULL,                         -- whsec_ and the key in base64
    events      text[] NOT NULL,                       -- the kinds that it gets
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant, url)
);

-- What happened, once for each hook that gets it: written with what it tells, posted by workers, kept for a day more.
CREATE TABLE outbox (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hook     bigint NOT NULL REFERENCES hooks ON DELETE CASCADE,
    event    text NOT NULL,                            -- its id, the same for all hooks and tries
    body     text NOT NULL,
    due_at   timestamptz NOT NULL DEFAULT clock_timestamp(),  -- the next try; while one is under way, its lease
    tries    integer NOT NULL DEFAULT 0,
    why      text,                                     -- what was in the way of the last try
    outcome  text CHECK (outcome IN ('delivered', 'given_up', 'dropped')),  -- NULL: to be delivered
    over_at  timestamptz,
    CONSTRAINT over_has_outcome CHECK ((outcome IS NULL) = (over_at IS NULL))
);
CREATE INDEX outbox_due ON outbox (hook, due_at) WHERE outcome IS NULL;
CREATE INDEX outbox_over ON outbox (over_at) WHERE over_at IS NOT NULL;
