-- What a decision costs hardly grows with the number of agents: the limits are read as a digest, and agents.max_load is
-- right while it stays the same.

ALTER TABLE tenants ADD COLUMN limits_digest text NOT NULL DEFAULT '';

CREATE FUNCTION forget_limits_digest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET limits_digest = '' WHERE id IN (SELECT tenant FROM new_rows) AND limits_digest <> '';
    RETURN NULL;
END $$;

CREATE TRIGGER forget_limits_digest AFTER INSERT ON agents
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION forget_limits_digest();

CREATE INDEX eligible_by_agent ON eligible (tenant, agent);

-- Joining all agents to the one whose seat changes made each change cost more, the more agents there are.
ALTER FUNCTION change_seats(seat_change[]) SET enable_nestloop = on;
ALTER FUNCTION change_seats(seat_change[]) SET enable_hashjoin = off;
ALTER FUNCTION change_seats(seat_change[]) SET enable_mergejoin = off;
ALTER FUNCTION change_seats(seat_change[]) SET enable_seqscan = off;
