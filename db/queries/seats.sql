-- Seats of our own chat that are given, passed on and given back by hand. All of it runs under the tenant's row lock.

-- name: account
SELECT a.agent, a.name, s.load, s.open_seats FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent
 WHERE a.tenant = %(tenant)s AND a.agent = %(agent)s AND NOT a.disabled

-- name: name
SELECT name FROM accounts WHERE tenant = %(tenant)s AND agent = %(agent)s

-- name: copies
-- What the ledger remembers of the limits that may hold for an agent, and the life of Redis that it knows.
SELECT t.inbox_epoch AS epoch, l.scope, l.value, l.invalid
  FROM tenants t LEFT JOIN limits l ON l.tenant = t.id AND l.scope = ANY(%(scopes)s::text[])
 WHERE t.id = %(tenant)s

-- name: served_now
UPDATE agents SET last_assigned_at = greatest(clock_timestamp(), (SELECT served_at FROM tenants WHERE id = %(tenant)s)),
       owed = false
 WHERE tenant = %(tenant)s AND id = %(agent)s

-- name: pass_on
-- An open seat, to another agent: through `reserved`, so that the guard counts it.
UPDATE visits SET state = 'reserved', agent = %(agent)s, last_agent = %(agent)s, seat_limit = %(limit)s, owner = 0,
       attempt = attempt + 1, lease_until = clock_timestamp() + %(lease_s)s * interval '1 second', parked = false,
       unclear_at = NULL, tries = 0, reserved_at = clock_timestamp(), settled_at = NULL
 WHERE id = %(visit)s AND tenant = %(tenant)s AND state IN ('reserved', 'held')
RETURNING id, attempt

-- name: give
UPDATE sessions SET status = 'active', agent = %(agent)s, started_at = coalesce(started_at, clock_timestamp()),
       answered = false, picked = %(picked)s
 WHERE id = %(session)s AND status <> 'ended'

-- name: take_back
UPDATE sessions SET status = 'waiting', agent = NULL, answered = false WHERE id = %(session)s AND status = 'active'
