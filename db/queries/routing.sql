-- Routing: rules in force, rooms that rules or time move, seats by queue. Under the tenant's row lock.

-- name: rule_digests
-- Of the tenants that have rules, or had.
SELECT id AS tenant, rules_version AS version, rules_digest AS digest FROM tenants WHERE rules_version > 0 ORDER BY id

-- name: rule_file
SELECT content FROM rule_files WHERE tenant = %(tenant)s AND version = %(version)s

-- name: served_by
-- Who served each room last, if that was not too long ago. A customer of our own chat has another room each time: there,
-- who has or had the last of their other sessions that anybody served.
SELECT w.room, v.agent
  FROM unnest(%(rooms)s::text[]) AS w(room)
 CROSS JOIN LATERAL (
       SELECT f.agent, f.at FROM (
           (SELECT last_agent AS agent, closed_at AS at FROM visits
             WHERE tenant = %(tenant)s AND room = w.room AND state = 'closed' AND settled_at IS NOT NULL
             ORDER BY id DESC LIMIT 1)
            UNION ALL
           (SELECT o.agent, coalesce(o.ended_at, clock_timestamp())
              FROM (SELECT id, customer FROM sessions WHERE tenant = %(tenant)s AND room = w.room LIMIT 1) s
             CROSS JOIN LATERAL (SELECT agent, ended_at FROM sessions
                                  WHERE customer = s.customer AND id <> s.id AND agent IS NOT NULL
                                  ORDER BY id DESC LIMIT 1) o)) f
        ORDER BY f.at DESC LIMIT 1) v
 WHERE v.agent IS NOT NULL AND seconds_since(v.at) <= %(within_s)s

-- name: session_facts
-- What is known of the customers of these sessions.
SELECT w.room, s.facts FROM unnest(%(rooms)s::text[]) AS w(room)
 CROSS JOIN LATERAL (SELECT facts FROM sessions WHERE tenant = %(tenant)s AND room = w.room LIMIT 1) s

-- name: hasten_queues
-- Who is online has changed: who serves the queues of the rules is read anew at once.
UPDATE rosters SET due_at = '-infinity' WHERE tenant = %(tenant)s AND class <> 'native'

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
-- Classes of other versions of the rules, in which nobody waits any more.
SELECT r.class AS class_ FROM rosters r
 WHERE r.tenant = %(tenant)s AND r.class <> 'native'  -- kept by the sidecars
   AND NOT EXISTS (SELECT FROM visits v WHERE v.tenant = r.tenant AND v.class = r.class AND v.state = 'waiting')
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

-- name: to_tell
-- Rooms that wait, each with its place in its queue and what its customer was told. Those who have waited for less than
-- a moment are perhaps being given to somebody.
SELECT w.id AS visit, w.room, w.position::integer, w.language, q.nth, q.position AS told_position, q.at AS told_at,
       EXISTS (SELECT FROM notices c WHERE c.visit = w.id AND c.kind = 'closed') AS told_closed
  FROM (SELECT id, room, facts ->> 'language' AS language, opened_at, aside, look_at,
               row_number() OVER (PARTITION BY queue, CASE WHEN queue IS NULL THEN channel END
                                  ORDER BY priority DESC, arrived_us, id) AS position
          FROM visits WHERE tenant = %(tenant)s AND state = 'waiting') w
  LEFT JOIN LATERAL (SELECT nth, position, at FROM notices n WHERE n.visit = w.id AND n.kind = 'queued'
                      ORDER BY nth DESC LIMIT 1) q ON true
 WHERE seconds_since(w.opened_at) >= %(least_s)s AND w.aside IS NULL AND w.look_at IS NULL
   AND (q.at IS NULL OR %(shut)s OR (q.position <> w.position AND seconds_since(q.at) >= %(again_s)s))
   AND NOT (%(shut)s AND EXISTS (SELECT FROM notices c WHERE c.visit = w.id AND c.kind = 'closed'))
 ORDER BY w.position, w.id LIMIT %(most)s

-- name: add_notices
INSERT INTO notices (visit, kind, nth, tenant, position, body)
SELECT n.visit, n.kind, n.nth, %(tenant)s, n.position, n.body
  FROM unnest(%(visit)s::bigint[], %(kind)s::text[], %(nth)s::integer[], %(position)s::integer[], %(body)s::text[])
       AS n(visit, kind, nth, position, body)
  JOIN visits v ON v.id = n.visit ORDER BY n.visit
    ON CONFLICT DO NOTHING

-- name: claim_notices
-- Claimed before they are sent: who dies in between has not sent it twice. Not to a room that was given away meanwhile,
-- nor what is old: a place of minutes ago is none.
UPDATE notices n SET claimed_at = clock_timestamp(),
       outcome = CASE WHEN v.state <> 'waiting' OR seconds_since(n.at) > %(old_s)s THEN 'not needed any more' END
  FROM visits v
 WHERE v.id = n.visit
   AND (n.visit, n.kind, n.nth) IN (SELECT visit, kind, nth FROM notices WHERE tenant = %(tenant)s AND claimed_at IS NULL
                                     ORDER BY at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING n.visit, n.kind, n.nth, v.room, n.body, n.outcome IS NULL AS wanted

-- name: still_waits
SELECT EXISTS (SELECT FROM visits WHERE id = %(visit)s AND tenant = %(tenant)s AND state = 'waiting') AS waits

-- name: told
UPDATE notices SET outcome = %(outcome)s WHERE visit = %(visit)s AND kind = %(kind)s AND nth = %(nth)s

-- name: desk_pace
-- Seats of those who are waited for, and how long the last 50 chats took that were served and ended within a week.
SELECT here.*, past.*
  FROM (SELECT count(*) AS online, coalesce(sum(max_load), 0)::integer AS seats,
               coalesce(sum(greatest(0, max_load - load)), 0)::integer AS free
          FROM agents s WHERE tenant = %(tenant)s AND available AND $who_is_waited_for) here,
       ($last_lengths) past

-- name: rules_of
SELECT rules_version, rules_digest, extract(epoch FROM clock_timestamp())::float8 AS now_s
  FROM tenants WHERE id = %(tenant)s
