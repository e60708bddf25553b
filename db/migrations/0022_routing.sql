-- Routing: who may serve whom, by a rules file of the tenant (docs/routing.md).

-- Each version that was applied, as it was typed; '' took the rules away.
CREATE TABLE rule_files (
    tenant      text NOT NULL REFERENCES tenants ON DELETE CASCADE,
    version     integer NOT NULL CHECK (version > 0),
    content     text NOT NULL CHECK (octet_length(content) <= 262144),
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by  text NOT NULL,
    PRIMARY KEY (tenant, version)
);

ALTER TABLE tenants
    ADD COLUMN rules_version integer NOT NULL DEFAULT 0,   -- in force; 0: there were never any
    ADD COLUMN rules_digest text NOT NULL DEFAULT '',      -- of its file, md5; '': none. Here: a row that was waited for is new
    ADD COLUMN rerouting boolean NOT NULL DEFAULT false,   -- some rooms still wait where an earlier version put them
    ADD COLUMN shut_until timestamptz;                     -- outside the hours: when to look again, a day ahead at most

-- `class` is who may serve the room: its channel, or a queue of the rules, its step and perhaps the channel.
ALTER TABLE visits
    ADD COLUMN channel text NOT NULL DEFAULT '',           -- the desk's: the channel's id, else the source
    ADD COLUMN queue text,                                 -- of the rules; NULL: the channel's own
    ADD COLUMN rule text,                                  -- the one that decided; NULL: the default, a topic, or none
    ADD COLUMN rules_version integer NOT NULL DEFAULT 0,   -- by which it was routed
    ADD COLUMN step smallint NOT NULL DEFAULT 0,           -- how many steps of its queue have come
    ADD COLUMN base_priority integer NOT NULL DEFAULT 0,   -- as routed; steps lift `priority`
    ADD COLUMN serve_from timestamptz,                     -- steps count from here; NULL: from the arrival, or never
    ADD COLUMN change_at timestamptz,                      -- waiting: the next step, or the end of the wait for one agent
    ADD COLUMN sticky_agent text,                          -- who served the room last
    ADD COLUMN sticky_until timestamptz,                   -- it waits for them until then
    ADD COLUMN facts jsonb,                                -- what the rules ask about, as long as it waits
    ADD COLUMN again_facts jsonb;                          -- the same, of the webhook of again_us

UPDATE visits SET channel = class WHERE state <> 'closed';

CREATE INDEX changes_due ON visits (tenant, change_at) WHERE state = 'waiting' AND change_at IS NOT NULL;
CREATE INDEX seats_of_queue ON visits (tenant, queue, agent) WHERE state IN ('reserved', 'held') AND queue IS NOT NULL;

CREATE FUNCTION forget_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.facts = NULL;
    IF NEW.state = 'closed' THEN NEW.again_facts = NULL; END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER facts_while_waiting BEFORE UPDATE OF state ON visits FOR EACH ROW
    WHEN ((NEW.facts IS NOT NULL OR NEW.again_facts IS NOT NULL) AND NEW.state NOT IN ('waiting', 'reserved'))
    EXECUTE FUNCTION forget_facts();

ALTER TABLE rosters ADD COLUMN missing text[] NOT NULL DEFAULT '{}';  -- what the rules name and the desk doesn't have

-- The divisions of an agent of our own chat.
ALTER TABLE accounts ADD COLUMN divisions text[] NOT NULL DEFAULT '{}';

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
