-- Which customers have a page open, since when the others have not, and who has left the line for it.
CREATE TABLE customer_pages (
    session  bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    sidecar  text NOT NULL REFERENCES sidecars ON DELETE CASCADE,
    until    timestamptz NOT NULL,
    PRIMARY KEY (session, sidecar)
);
CREATE INDEX customer_pages_of ON customer_pages (sidecar);

ALTER TABLE sessions ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sessions ALTER COLUMN seen_at SET DEFAULT clock_timestamp();
ALTER TABLE sessions ADD COLUMN gone_at timestamptz;
ALTER TABLE sessions ADD COLUMN keeps_place boolean NOT NULL DEFAULT false;
ALTER TABLE sessions ADD CONSTRAINT gone_waits CHECK (gone_at IS NULL OR status = 'waiting');

CREATE FUNCTION customer_seen_s(of_session bigint, left_at timestamptz) RETURNS float8 LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN (SELECT least(seconds_since(left_at), min(seconds_since(least(p.until, c.beat_at))))
              FROM customer_pages p JOIN sidecars c ON c.id = p.sidecar WHERE p.session = of_session);

CREATE FUNCTION is_attended(of_tenant text) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN EXISTS (SELECT FROM presence p JOIN accounts a ON a.tenant = p.tenant AND a.agent = p.agent
                    WHERE p.tenant = of_tenant AND p.until > clock_timestamp() AND a.wish = 'online' AND a.role = 'agent'
                      AND NOT a.disabled);
