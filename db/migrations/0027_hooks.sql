-- Events out: who is told of a tenant's events, and what is still to be posted.
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

-- Whether a visit's target was told to be missed: once each. No row is rewritten.
ALTER TABLE visits ADD COLUMN target_missed boolean NOT NULL DEFAULT false;
