-- What supervisors do by hand with rooms and desks. Under the tenant's lock.

-- name: open_visit
SELECT id, room, state, agent, aside, retry_at, look_at, refusals, arrived_us, queue, channel, source, rule, priority,
       base_priority, serve_from, sticky_until
  FROM visits WHERE tenant = %(tenant)s AND room = %(room)s AND state <> 'closed' FOR NO KEY UPDATE

-- name: try_again
-- The desk is asked first whether the room is still open; then it stands in the line with its old place.
UPDATE visits SET aside = NULL, retry_at = NULL, refusals = 0, look_at = clock_timestamp(), looks = 0, suspect = NULL
 WHERE id = %(visit)s AND state = 'waiting'

-- name: forget_refusals
DELETE FROM refusals WHERE visit = %(visit)s

-- name: place
-- Where its rules, or somebody by hand, put a waiting room. Its place in time stays.
UPDATE visits SET class = %(class_)s, queue = %(queue)s, step = %(step)s, priority = %(priority)s,
       base_priority = %(base_priority)s, change_at = %(change_at)s
 WHERE id = %(visit)s AND state = 'waiting'

-- name: drain
UPDATE tenants SET draining = %(draining)s WHERE id = %(tenant)s

-- name: chats_of
-- Chats of an agent of our own chat, oldest first.
SELECT s.room FROM sessions s JOIN visits v ON v.tenant = s.tenant AND v.room = s.room AND v.state = 'held'
 WHERE s.tenant = %(tenant)s AND s.agent = %(agent)s AND s.status = 'active' ORDER BY v.arrived_us

-- name: add_rules
-- Under the tenant's lock. A worker then leads the waiting rooms by them.
WITH added AS (
    INSERT INTO rule_files (tenant, version, content, applied_by)
    SELECT id, rules_version + 1, %(content)s, %(who)s FROM tenants WHERE id = %(tenant)s RETURNING version)
UPDATE tenants SET rules_version = added.version, rerouting = true,
                   rules_digest = CASE WHEN %(content)s = '' THEN '' ELSE md5(%(content)s) END
  FROM added WHERE id = %(tenant)s
RETURNING added.version

-- name: forget_copies
-- The admin takes a key away while Redis may just have lost it: nobody shall restore it.
DELETE FROM limits WHERE scope = %(scope)s AND (%(tenant)s::text IS NULL OR tenant = %(tenant)s)

-- name: agent_known
SELECT id, name FROM agents WHERE tenant = %(tenant)s AND id = %(agent)s

-- name: before_pause
-- The limit of an agent before the last pause, as it was written down.
SELECT before FROM audit WHERE tenant = %(tenant)s AND what = 'pause' AND subject = %(agent)s ORDER BY id DESC LIMIT 1

-- name: log_out
UPDATE tokens SET revoked_at = clock_timestamp()
 WHERE tenant = %(tenant)s AND agent = %(agent)s AND revoked_at IS NULL
