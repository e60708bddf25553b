-- Whose fault a refusal is, the room's, the agent's or the desk's, is judged before anybody pays for it.

-- Definite refusals of a pair, while the room waits. `accepted`: the desk has given the agent another room since.
CREATE TABLE refusals (
    visit     bigint NOT NULL REFERENCES visits ON DELETE CASCADE,
    agent     text NOT NULL,
    tenant    text NOT NULL,
    times     integer NOT NULL DEFAULT 1,
    why       text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (visit, agent)
);
CREATE INDEX refusals_by_agent ON refusals (tenant, agent);

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

-- All agents of a class are refused alike: the desk's trouble. One room is tried at a time, so seldom.
ALTER TABLE rosters ADD COLUMN refused_alike text;
ALTER TABLE rosters ADD COLUMN alike_tries integer NOT NULL DEFAULT 0;
ALTER TABLE rosters ADD COLUMN assign_after timestamptz NOT NULL DEFAULT '-infinity';
