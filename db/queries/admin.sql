-- What the admin tool asks, and the little that it writes. Reading runs in one REPEATABLE READ transaction, so that a
-- table's rows belong together. Times that never were are NULL here, not '-infinity'.

-- name: now
SELECT clock_timestamp() AS at

-- name: tenant_ids
SELECT id FROM tenants ORDER BY id

-- name: tenants
SELECT t.id, t.desk, t.name, t.base_url, t.webhook_digest <> '' AS own_webhook_secret, t.created_at, t.desk_failures,
       coalesce(t.desk_trouble, (SELECT min(r.refused_alike) FROM rosters r WHERE r.tenant = t.id)) AS desk_trouble,
       CASE WHEN NOT is_due(t.paused_until, t.paused_for) THEN t.paused_until END AS paused_until,
       (SELECT count(*) FROM agents a WHERE a.tenant = t.id) AS agents,
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

-- name: workers
-- Living worker processes of this database: each holds the advisory lock of its number.
SELECT count(DISTINCT objid) AS alive FROM pg_locks
 WHERE locktype = 'advisory' AND classid = %(lock_class)s AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: agents
-- `presence` as in console.sql, NULL for whom the desk of Qiscus names: of them only `online` is known.
SELECT a.tenant, a.id, a.name, a.available AS online, a.open_seats, a.foreign_est, a.desk_count,
       greatest(a.seen_at, (SELECT max(r.read_at) FROM eligible e JOIN rosters r ON r.tenant = e.tenant AND r.class = e.class
                             WHERE e.tenant = a.tenant AND e.agent = a.id)) AS seen_at,
       nullif(a.last_assigned_at, '-infinity') AS last_assigned_at, coalesce(s.reserved, 0) AS reserved,
       coalesce(s.parked, 0) AS parked, coalesce(s.held, 0) AS held,
       d.why AS refused, d.again_at AS refused_until,
       coalesce(c.email, '') AS email, coalesce(c.role, '') AS role, coalesce(c.disabled, false) AS disabled,
       coalesce(c.divisions, '{}') AS divisions,
       CASE WHEN c.agent IS NULL THEN NULL
            WHEN c.disabled OR NOT EXISTS (SELECT FROM presence p WHERE p.tenant = a.tenant AND p.agent = a.id
                                              AND p.until > clock_timestamp()) THEN 'offline'
            ELSE c.wish END AS presence,
       (SELECT max(recent.first + %(window_s)s * interval '1 second') FROM login_tries t
         CROSS JOIN LATERAL (SELECT min(at) AS first, count(*) AS n FROM unnest(t.failed) at
                              WHERE seconds_since(at) < %(window_s)s) recent
         WHERE t.tenant = a.tenant AND t.agent = a.id AND recent.n >= t.most) AS locked_until
  FROM agents a
  LEFT JOIN accounts c ON c.tenant = a.tenant AND c.agent = a.id
  LEFT JOIN (SELECT agent, max(why) AS why, max(nullif(out_until, '-infinity')) AS again_at
               FROM doubts WHERE tenant = %(tenant)s GROUP BY agent) d ON d.agent = a.id
  LEFT JOIN (SELECT agent, count(*) FILTER (WHERE state = 'reserved') AS reserved,
                    count(*) FILTER (WHERE state = 'reserved' AND parked) AS parked,
                    count(*) FILTER (WHERE state = 'held') AS held
               FROM visits WHERE tenant = %(tenant)s AND state IN ('reserved', 'held') GROUP BY agent) s ON s.agent = a.id
 WHERE a.tenant = %(tenant)s ORDER BY a.available DESC, a.id

-- name: agents_called
-- By id or, in our own chat, e-mail. `tenant` NULL: of any tenant.
SELECT a.tenant, a.id AS agent, coalesce(c.email, '') AS email
  FROM agents a LEFT JOIN accounts c ON c.tenant = a.tenant AND c.agent = a.id
 WHERE (%(tenant)s::text IS NULL OR a.tenant = %(tenant)s) AND (a.id = %(who)s OR lower(c.email) = lower(%(who)s))
 ORDER BY a.tenant

-- name: epoch
-- The life of Redis that the ledger has read in.
SELECT inbox_epoch AS epoch FROM tenants WHERE id = %(tenant)s

-- name: copies
SELECT scope, value, invalid FROM limits WHERE tenant = %(tenant)s

-- name: forget_copies
-- The admin takes a key away while Redis may just have lost it: nobody shall restore it.
DELETE FROM limits WHERE scope = %(scope)s AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)

-- name: waiting
-- `queues`: of these alone, as people name them; NULL: of all. `position` and `of` count the whole tenant's.
SELECT w.*, count(*) OVER () AS matching FROM (
    SELECT v.id, v.room, v.class AS class_, v.learned, v.priority, v.arrived_us, v.aside, v.retry_at, v.look_at,
           v.suspect, v.refusals, v.queue, v.channel, v.rule, v.rules_version, v.step, v.serve_from, v.sticky_agent,
           CASE WHEN NOT is_due(v.sticky_until, interval '1 day') THEN v.sticky_until END AS sticky_until,
           row_number() OVER (ORDER BY v.priority DESC, v.arrived_us, v.id) AS position,
           count(*) FILTER (WHERE v.aside IS NULL AND v.look_at IS NULL AND v.retry_at IS NULL)
               OVER (PARTITION BY v.class ORDER BY v.priority DESC, v.arrived_us, v.id
                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ahead_in_class,
           count(*) OVER () AS of
      FROM visits v WHERE v.tenant = %(tenant)s AND v.state = 'waiting') w
 WHERE (%(room)s::text IS NULL OR w.room = %(room)s)
   AND (%(queues)s::text[] IS NULL OR lower(coalesce(w.queue, 'channel:' || w.channel)) = ANY(%(queues)s::text[]))
 ORDER BY w.position LIMIT %(most)s

-- name: open_queues
SELECT DISTINCT coalesce(queue, 'channel:' || channel) AS queue FROM visits
 WHERE tenant = %(tenant)s AND state <> 'closed' ORDER BY 1

-- name: seats_of_queues
-- How many chats of each queue an agent has.
SELECT queue, agent, count(*) AS seats FROM visits
 WHERE tenant = %(tenant)s AND state IN ('reserved', 'held') AND queue = ANY(%(queues)s::text[]) GROUP BY queue, agent

-- name: classes
-- Rosters of the classes given: when they were read, and who is online for each.
SELECT c.class AS class_, nullif(r.read_at, '-infinity') AS read_at, nullif(r.due_at, '-infinity') AS due_at,
       r.suggested, coalesce(r.missing, '{}') AS missing,
       ARRAY(SELECT e.agent FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
              WHERE e.tenant = %(tenant)s AND e.class = c.class AND a.available ORDER BY e.agent) AS online,
       ARRAY(SELECT e.agent FROM eligible e
              WHERE e.tenant = %(tenant)s AND e.class = c.class ORDER BY e.agent) AS named
  FROM unnest(%(classes)s::text[]) AS c(class)
  LEFT JOIN rosters r ON r.tenant = %(tenant)s AND r.class = c.class

-- name: rules_in_force
-- Also where there were never any (version 0) or they were taken away: the content is empty then.
SELECT t.desk, t.base_url, t.secret_key, t.rules_version AS version, coalesce(f.content, '') AS content,
       f.applied_at, f.applied_by
  FROM tenants t LEFT JOIN rule_files f ON f.tenant = t.id AND f.version = t.rules_version WHERE t.id = %(tenant)s

-- name: rule_file
SELECT version, content, applied_at, applied_by FROM rule_files WHERE tenant = %(tenant)s AND version = %(version)s

-- name: rule_files
SELECT version, content, applied_at, applied_by, count(*) OVER () AS of
  FROM rule_files WHERE tenant = %(tenant)s ORDER BY version DESC LIMIT %(most)s

-- name: led
-- Waiting rooms: where each stands, and what is known of it; those alike together, unless the time of arrival counts.
SELECT min(room) AS room, channel, source, min(arrived_us) AS arrived_us, facts, queue, rule, count(*) AS rooms
  FROM visits WHERE tenant = %(tenant)s AND state = 'waiting'
 GROUP BY channel, source, facts, queue, rule, CASE WHEN %(by_time)s THEN arrived_us END

-- name: add_rules
-- Under the tenant's lock. A worker then leads the waiting rooms by them.
WITH added AS (
    INSERT INTO rule_files (tenant, version, content, applied_by)
    SELECT id, rules_version + 1, %(content)s, %(who)s FROM tenants WHERE id = %(tenant)s RETURNING version)
UPDATE tenants SET rules_version = added.version, rerouting = true,
                   rules_digest = CASE WHEN %(content)s = '' THEN '' ELSE md5(%(content)s) END
  FROM added WHERE id = %(tenant)s
RETURNING added.version

-- name: drifts
SELECT kind, healed, last_at FROM drifts WHERE tenant = %(tenant)s ORDER BY kind

-- name: room_tenants
-- Asked tenant by tenant, so that the indexes serve.
SELECT t.id AS tenant FROM tenants t
 WHERE EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.room = %(room)s AND v.state <> 'closed')
    OR EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.room = %(room)s AND v.state = 'closed')
    OR EXISTS (SELECT FROM rooms r WHERE r.tenant = t.id AND r.id = %(room)s)
 ORDER BY t.id

-- name: remembered
SELECT closed_service, closed_with_service FROM rooms WHERE tenant = %(tenant)s AND id = %(room)s

-- name: visits
-- Open and closed ones apart, so that the partial indexes serve.
SELECT id, class AS class_, queue, channel, rule, rules_version, step, serve_from, sticky_agent, sticky_until, source,
       learned, priority, base_priority, arrived_us, state, agent, last_agent, seat_limit, attempt,
       lease_until, parked, unclear_at, refusals, retry_at, aside, look_at, suspect, unconfirmed, service_id, reason,
       opened_at, reserved_at, settled_at, closed_at, count(*) OVER () AS of
  FROM (SELECT * FROM visits WHERE tenant = %(tenant)s AND room = %(room)s AND state <> 'closed'
        UNION ALL
        SELECT * FROM visits WHERE tenant = %(tenant)s AND room = %(room)s AND state = 'closed') v
 ORDER BY id DESC LIMIT %(most)s

-- name: decisions
-- `earlier`: to whom this round had given seats before this one, in order.
SELECT d.id, d.visit, d.agent, d.load_before, d.seat_limit, r.at, r.policy, r.candidates, r.crew,
       ARRAY(SELECT e.agent FROM decisions e WHERE e.round = d.round AND e.id < d.id ORDER BY e.id) AS earlier
  FROM decisions d JOIN rounds r ON r.id = d.round
 WHERE d.visit = ANY(%(visits)s::bigint[]) ORDER BY d.id

-- name: events
SELECT visit, at, what, detail FROM events WHERE visit = ANY(%(visits)s::bigint[]) ORDER BY id

-- name: open_visit
SELECT id, room, state, agent, aside, retry_at, look_at, refusals FROM visits
 WHERE tenant = %(tenant)s AND room = %(room)s AND state <> 'closed' FOR NO KEY UPDATE

-- name: try_again
-- The desk is asked first whether the room is still open; then it stands in the line with its old place.
UPDATE visits SET aside = NULL, retry_at = NULL, refusals = 0, look_at = clock_timestamp(), looks = 0, suspect = NULL
 WHERE id = %(visit)s AND state = 'waiting'

-- name: forget_refusals
DELETE FROM refusals WHERE visit = %(visit)s

-- name: note
INSERT INTO events (visit, what, detail) VALUES (%(visit)s, %(what)s, %(detail)s)

-- name: ask_sweep
UPDATE tenants SET swept_at = '-infinity' WHERE id = %(tenant)s RETURNING rev

-- name: sweep_state
SELECT swept_at > '-infinity' AS claimed, rev,
       coalesce(desk_trouble, (SELECT min(r.refused_alike) FROM rosters r WHERE r.tenant = t.id)) AS desk_trouble,
       CASE WHEN NOT is_due(paused_until, paused_for) THEN paused_until END AS paused_until, clock_timestamp() AS at,
       (SELECT count(*) FROM visits v WHERE v.tenant = t.id AND v.look_at IS NOT NULL AND v.state <> 'closed') AS looks
  FROM tenants t WHERE t.id = %(tenant)s

-- name: counts
SELECT t.desk_failures,
       coalesce(t.desk_trouble, (SELECT min(r.refused_alike) FROM rosters r WHERE r.tenant = t.id)) AS desk_trouble,
       CASE WHEN NOT is_due(t.paused_until, t.paused_for) THEN t.paused_until END AS paused_until,
       count(v.id) FILTER (WHERE v.state = 'waiting') AS waiting,
       count(v.id) FILTER (WHERE v.state = 'waiting' AND v.aside IS NOT NULL) AS aside,
       count(v.id) FILTER (WHERE v.state = 'reserved') AS reserved,
       count(v.id) FILTER (WHERE v.state = 'held') AS held,
       min(v.arrived_us) FILTER (WHERE v.state = 'waiting') AS oldest_us
  FROM tenants t LEFT JOIN visits v ON v.tenant = t.id AND v.state <> 'closed'
 WHERE t.id = %(tenant)s GROUP BY t.id

-- name: names
SELECT id, name FROM agents WHERE tenant = %(tenant)s

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
