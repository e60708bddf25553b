-- What the admin tool asks, and the little that it writes. Reading runs in one REPEATABLE READ transaction, so that a
-- table's rows belong together. Times that never were are NULL here, not '-infinity'.

-- name: tenants
SELECT t.id, t.desk, t.name, t.base_url, t.webhook_digest <> '' AS own_webhook_secret, t.created_at, t.desk_failures,
       coalesce(t.desk_trouble, (SELECT min(r.refused_alike) FROM rosters r WHERE r.tenant = t.id)) AS desk_trouble,
       CASE WHEN NOT is_due(t.paused_until, t.paused_for) THEN t.paused_until END AS paused_until,
       (SELECT count(*) FROM agents a WHERE a.tenant = t.id AND NOT EXISTS (
            SELECT FROM accounts c WHERE c.tenant = a.tenant AND c.agent = a.id AND c.role <> 'agent')) AS agents,
       (SELECT count(*) FROM agents a WHERE a.tenant = t.id AND a.available) AS online,
       (SELECT count(*) FROM visits v WHERE v.tenant = t.id AND v.state = 'waiting') AS waiting,
       (SELECT count(*) FROM visits v WHERE v.tenant = t.id AND v.state IN ('reserved', 'held')) AS seated
  FROM tenants t ORDER BY t.id

-- name: put_tenant
-- An unset webhook digest (NULL) keeps the one that is there.
INSERT INTO tenants (id, base_url, secret_key, webhook_digest)
VALUES (%(tenant)s, %(base_url)s, %(secret_key)s, coalesce(%(digest)s, ''))
    ON CONFLICT (id) DO UPDATE
   SET base_url = EXCLUDED.base_url, secret_key = EXCLUDED.secret_key,
       webhook_digest = coalesce(%(digest)s, tenants.webhook_digest),
       desk_failures = 0, desk_trouble = NULL, paused_until = '-infinity'
 WHERE tenants.desk = 'qiscus'
RETURNING xmax = 0 AS added

-- name: put_native_tenant
-- No row: a Qiscus app has this id. An unset name (NULL) keeps the one that is there, a new tenant is called by its id.
-- An unset identity secret or colour (NULL) keeps the one that is there, '' takes it away.
INSERT INTO tenants AS t (id, desk, name, base_url, secret_key, identity_secret, color)
VALUES (%(tenant)s, 'native', coalesce(%(name)s, %(tenant)s), '', '', nullif(%(identity_secret)s, ''),
        nullif(%(color)s, ''))
    ON CONFLICT (id) DO UPDATE
   SET name = coalesce(%(name)s, t.name),
       identity_secret = CASE WHEN %(identity_secret)s::text IS NULL THEN t.identity_secret
                              ELSE EXCLUDED.identity_secret END,
       color = CASE WHEN %(color)s::text IS NULL THEN t.color ELSE EXCLUDED.color END
 WHERE t.desk = 'native'
RETURNING xmax = 0 AS added, name, identity_secret IS NOT NULL AS proves, color

-- name: native_tenants
SELECT id FROM tenants WHERE desk = 'native' ORDER BY id

-- name: not_available
UPDATE agents SET available = false WHERE tenant = %(tenant)s AND id = %(agent)s RETURNING open_seats

-- name: session_tenants
SELECT tenant FROM sessions WHERE room = %(room)s ORDER BY tenant

-- name: lock_tenant
-- Decisions of the tenant wait meanwhile; the lock order is tenants -> agents -> visits.
SELECT id FROM tenants WHERE id = %(tenant)s FOR NO KEY UPDATE

-- name: retire
-- Locks the tenant that is being removed; nothing is given to agents meanwhile, also between two steps of the removal.
UPDATE tenants SET paused_until = clock_timestamp() + interval '1 hour' WHERE id = %(tenant)s

-- name: remove_rounds
WITH first AS (SELECT id FROM rounds WHERE tenant = %(tenant)s ORDER BY at LIMIT %(most)s),
gone AS (DELETE FROM decisions WHERE round IN (SELECT id FROM first))
DELETE FROM rounds WHERE id IN (SELECT id FROM first)

-- name: remove_sessions
DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE tenant = %(tenant)s LIMIT %(most)s)

-- name: remove_customers
DELETE FROM customers WHERE id IN (SELECT id FROM customers WHERE tenant = %(tenant)s LIMIT %(most)s)

-- name: remove_closed
DELETE FROM visits WHERE id IN (
    SELECT id FROM visits WHERE tenant = %(tenant)s AND state = 'closed' ORDER BY closed_at LIMIT %(most)s)

-- name: remove_visits
DELETE FROM visits WHERE id IN (SELECT id FROM visits WHERE tenant = %(tenant)s LIMIT %(most)s)

-- name: remove_rooms
DELETE FROM rooms WHERE tenant = %(tenant)s AND id IN (SELECT id FROM rooms WHERE tenant = %(tenant)s LIMIT %(most)s)

-- name: remove_refused
DELETE FROM refused WHERE id IN (SELECT id FROM refused WHERE tenant = %(tenant)s LIMIT %(most)s)

-- name: remove_tenant
DELETE FROM tenants WHERE id = %(tenant)s

-- name: agents_called
-- By id or, in our own chat, e-mail. `tenant` NULL: of any tenant.
SELECT a.tenant, a.id AS agent, coalesce(c.email, '') AS email
  FROM agents a LEFT JOIN accounts c ON c.tenant = a.tenant AND c.agent = a.id
 WHERE (%(tenant)s::text IS NULL OR a.tenant = %(tenant)s) AND (a.id = %(who)s OR lower(c.email) = lower(%(who)s))
 ORDER BY a.tenant

-- name: ask_sweep
UPDATE tenants SET swept_at = '-infinity' WHERE id = %(tenant)s RETURNING rev

-- name: sweep_state
SELECT swept_at > '-infinity' AS claimed, rev,
       coalesce(desk_trouble, (SELECT min(r.refused_alike) FROM rosters r WHERE r.tenant = t.id)) AS desk_trouble,
       CASE WHEN NOT is_due(paused_until, paused_for) THEN paused_until END AS paused_until, clock_timestamp() AS at,
       (SELECT count(*) FROM visits v WHERE v.tenant = t.id AND v.look_at IS NOT NULL AND v.state <> 'closed') AS looks
  FROM tenants t WHERE t.id = %(tenant)s

-- name: customer_records
-- Everybody who chatted under this e-mail address: once proved (by userHash), once as they said themselves.
SELECT id, email, name, proved, created_at FROM customers
 WHERE tenant = %(tenant)s AND lower(email) = lower(%(email)s) ORDER BY id

-- name: customer_sessions
SELECT id, room, status, rating, rating_comment, facts, topic FROM sessions WHERE customer = ANY(%(customers)s::bigint[]) ORDER BY id

-- name: customer_notes
SELECT agent_name, body, created_at FROM notes WHERE session = %(session)s ORDER BY id

-- name: erase_sessions
-- With messages, notes and the rows of files. A chat that is not over is left: its visit holds a place or a seat.
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE customer = ANY(%(customers)s::bigint[]) AND status = 'ended' ORDER BY id LIMIT %(most)s)
RETURNING id

-- name: erase_customers
DELETE FROM customers c WHERE c.id = ANY(%(customers)s::bigint[])
   AND NOT EXISTS (SELECT FROM sessions s WHERE s.customer = c.id)

-- name: server_settings
-- PostgreSQL's own, as they hold for this session.
SELECT name, setting FROM pg_settings WHERE name = ANY(%(names)s::text[])

-- name: denied_tables
-- Tables of ours that this user may not write to.
SELECT relname AS name FROM pg_class
 WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'migrations'::regclass) AND relkind = 'r'
   AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
 ORDER BY relname

-- name: desks_of_tenants
SELECT id, desk FROM tenants ORDER BY id

-- name: people_who_watch
-- Accounts that may sign in to a page: operators, supervisors, admins, agents.
SELECT (SELECT count(*) FROM operators) + (SELECT count(*) FROM accounts) AS number

-- name: doors_of_tenants
-- How each tenant of Qiscus is called, and whether its webhooks need a secret of its own.
SELECT id, base_url, secret_key, webhook_digest <> '' AS own_webhook_secret FROM tenants WHERE desk = 'qiscus' ORDER BY id
