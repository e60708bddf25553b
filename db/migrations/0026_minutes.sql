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
ALTER TABLE tenants ADD COLUMN minutes_to timestamptz NOT NULL DEFAULT '-infinity';  -- so far they are written
