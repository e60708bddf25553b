-- Our own chat: people without Qiscus, in the same line. A session is one stay of a customer; its `room` is the visit's.
--
-- Lock order, everywhere: tenants -> agents (by id) -> visits (by id) -> sessions (by id).

ALTER TABLE tenants
    ADD COLUMN desk text NOT NULL DEFAULT 'qiscus' CHECK (desk IN ('qiscus', 'native')),
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN identity_secret text;                  -- key of userHash (HMAC-SHA256 of the e-mail); NULL: not used

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
    PRIMARY KEY (tenant, agent),
    FOREIGN KEY (tenant, agent) REFERENCES agents ON DELETE CASCADE
);
CREATE UNIQUE INDEX one_account_an_email ON accounts (tenant, lower(email));

CREATE TABLE tokens (
    digest      bytea PRIMARY KEY,                    -- sha-256 of the token
    tenant      text NOT NULL,
    agent       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    FOREIGN KEY (tenant, agent) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX tokens_by_agent ON tokens (tenant, agent);

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
    UNIQUE (tenant, room),
    FOREIGN KEY (tenant, agent) REFERENCES accounts (tenant, agent),
    CONSTRAINT active_has_agent CHECK (status <> 'active' OR agent IS NOT NULL),
    CONSTRAINT waiting_has_none CHECK (status <> 'waiting' OR agent IS NULL),
    CONSTRAINT ended_has_time CHECK ((status = 'ended') = (ended_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX sessions_open ON sessions (tenant, id) WHERE status <> 'ended';
CREATE INDEX sessions_by_customer ON sessions (customer, id);
CREATE INDEX sessions_by_agent ON sessions (tenant, agent, id);

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
CREATE INDEX messages_by_text ON messages USING gin (to_tsvector('simple', body));

CREATE TABLE attachments (
    id          text PRIMARY KEY,                     -- unguessable; also the file's name on disk
    tenant      text NOT NULL,
    session     bigint NOT NULL,
    seq         bigint NOT NULL,
    name        text NOT NULL,                        -- as the sender called it, cleaned
    type        text NOT NULL,                        -- by content
    size        bigint NOT NULL,
    FOREIGN KEY (session, seq) REFERENCES messages ON DELETE CASCADE
);
CREATE INDEX attachments_by_message ON attachments (session, seq);

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
