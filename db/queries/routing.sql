-- Routing: rules in force, rooms that rules or time move, seats by queue. Under the tenant's row lock.

-- name: rule_digests
-- Of the tenants that have rules.
SELECT f.tenant, f.version, f.digest FROM tenants t JOIN rule_files f ON f.tenant = t.id AND f.version = t.rules_version
 WHERE t.rules_version > 0 AND f.content <> '' ORDER BY f.tenant

-- name: rule_file
SELECT content FROM rule_files WHERE tenant = %(tenant)s AND version = %(version)s

-- name: served_by
-- Who served each room last, if that was not too long ago.
SELECT w.room, v.last_agent AS agent
  FROM unnest(%(rooms)s::text[]) AS w(room)
 CROSS JOIN LATERAL (SELECT last_agent, closed_at FROM visits
                      WHERE tenant = %(tenant)s AND room = w.room AND state = 'closed' AND settled_at IS NOT NULL
                      ORDER BY id DESC LIMIT 1) v
 WHERE v.last_agent IS NOT NULL AND seconds_since(v.closed_at) <= %(within_s)s

-- name: know_facts
-- What the webhooks of a batch told of rooms that stand in the ledger already. A room that waits and of whom something
-- else is known now is routed anew; of one that is served it is about the stay that may come next.
UPDATE visits v
   SET facts = CASE WHEN v.state IN ('waiting', 'reserved') THEN f.facts END,
       again_facts = CASE WHEN v.again_us IS NOT NULL THEN f.facts END
  FROM unnest(%(rooms)s::text[], %(facts)s::jsonb[]) AS f(room, facts)
 CROSS JOIN LATERAL (SELECT id FROM visits WHERE tenant = %(tenant)s AND room = f.room AND state <> 'closed' LIMIT 1) o
 WHERE v.id = o.id
   AND CASE WHEN v.state IN ('waiting', 'reserved') THEN v.facts IS DISTINCT FROM f.facts ELSE v.again_us IS NOT NULL END
RETURNING v.id, v.state

-- name: to_reroute
-- Rooms that wait by another version of the rules, some at a time.
SELECT id, room, channel, source, arrived_us, facts, queue, rule FROM visits
 WHERE tenant = %(tenant)s AND state = 'waiting' AND rules_version <> %(version)s ORDER BY id LIMIT %(most)s

-- name: of_visits
SELECT id, room, channel, source, arrived_us, facts, queue, rule FROM visits
 WHERE tenant = %(tenant)s AND id = ANY(%(visits)s::bigint[]) AND state = 'waiting' ORDER BY id

-- name: reroute
-- Their place in time stays.
UPDATE visits v
   SET class = r.class, queue = r.queue, rule = r.rule, rules_version = r.rules_version, step = r.step,
       priority = r.priority, base_priority = r.base_priority, serve_from = r.serve_from, change_at = r.change_at,
       sticky_agent = r.sticky_agent, sticky_until = r.sticky_until
  FROM unnest(%(visits)s::bigint[], %(class_)s::text[], %(queue)s::text[], %(rule)s::text[], %(rules_version)s::integer[],
              %(step)s::smallint[], %(priority)s::integer[], %(base_priority)s::integer[], %(serve_from)s::timestamptz[],
              %(change_at)s::timestamptz[], %(sticky_agent)s::text[], %(sticky_until)s::timestamptz[])
       AS r(visit, class, queue, rule, rules_version, step, priority, base_priority, serve_from, change_at,
            sticky_agent, sticky_until)
 WHERE v.id = r.visit AND CASE WHEN v.state = 'waiting' THEN v.tenant = %(tenant)s END

-- name: rerouted
UPDATE tenants SET rerouting = false WHERE id = %(tenant)s

-- name: old_classes
-- Classes of other versions of the rules, in which nobody waits any more, with the agents whom they name.
SELECT r.class AS class_, ARRAY(SELECT e.agent FROM eligible e WHERE e.tenant = r.tenant AND e.class = r.class) AS agents
  FROM rosters r
 WHERE r.tenant = %(tenant)s AND r.class NOT IN (
       SELECT DISTINCT class FROM visits WHERE tenant = %(tenant)s AND state = 'waiting')
   AND CASE WHEN %(ruled)s THEN NOT starts_with(r.class, 'channel:') AND NOT starts_with(r.class, %(version)s || '/')
            ELSE starts_with(r.class, 'channel:') OR r.class ~ '^[0-9]+/[^/]+/[0-9]+(/|$)' END

-- name: drop_doubts
DELETE FROM doubts WHERE tenant = %(tenant)s AND class = ANY(%(classes)s::text[])

-- name: changes
-- Rooms of which time changes something now. A day is the furthest that a change is ever set ahead.
SELECT id, room, channel, queue, step, base_priority, rules_version, serve_from, sticky_until FROM visits
 WHERE tenant = %(tenant)s AND state = 'waiting' AND is_due(change_at, interval '1 day') ORDER BY change_at LIMIT %(most)s

-- name: change
UPDATE visits v SET class = c.class, step = c.step, priority = c.priority, change_at = c.change_at
  FROM unnest(%(visits)s::bigint[], %(class_)s::text[], %(step)s::smallint[], %(priority)s::integer[],
              %(change_at)s::timestamptz[]) AS c(visit, class, step, priority, change_at)
 WHERE v.id = c.visit AND CASE WHEN v.state = 'waiting' THEN v.tenant = %(tenant)s END

-- name: shut
UPDATE tenants SET shut_until = %(until)s WHERE id = %(tenant)s

-- name: waiting_for_one
-- How many rooms wait for the agent who served them last.
SELECT count(*)::integer AS rooms FROM visits
 WHERE tenant = %(tenant)s AND state = 'waiting' AND change_at IS NOT NULL AND sticky_agent IS NOT NULL
   AND NOT is_due(sticky_until, interval '1 day')

-- name: seats_of_queues
SELECT agent, queue, count(*)::integer AS seats FROM visits
 WHERE tenant = %(tenant)s AND state IN ('reserved', 'held') AND queue = ANY(%(queues)s::text[]) GROUP BY agent, queue
