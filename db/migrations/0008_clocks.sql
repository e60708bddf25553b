-- Clocks step. A due time that lies further ahead than it can have been set is due now; a time in the future is long ago; a
-- place in the line only rises.
CREATE FUNCTION is_due(at timestamptz, longest interval) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN at <= clock_timestamp() OR at > clock_timestamp() + longest + interval '1 s';

CREATE FUNCTION seconds_since(at timestamptz) RETURNS float8 LANGUAGE sql VOLATILE PARALLEL SAFE
    RETURN CASE WHEN NOT isfinite(at) OR at > clock_timestamp() + interval '1 s' THEN 1000000000
                WHEN at IS NOT NULL THEN greatest(0, extract(epoch FROM clock_timestamp() - at))::float8 END;

ALTER TABLE tenants ADD COLUMN paused_for interval NOT NULL DEFAULT '301 s';
ALTER TABLE tenants ADD COLUMN last_place_us bigint NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN served_at timestamptz NOT NULL DEFAULT '-infinity';

UPDATE tenants t
   SET last_place_us = coalesce((SELECT max(v.arrived_us) FROM visits v WHERE v.tenant = t.id AND v.state <> 'closed'), 0),
       served_at = coalesce((SELECT max(a.last_assigned_at) FROM agents a WHERE a.tenant = t.id), '-infinity');
