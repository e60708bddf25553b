-- Events out: hooks, and the outbox of what they are still to be told. Beside the path of a room, but for `write`.

-- name: write
-- What happened, for each hook that gets such events, under one id. Of visits, as the turn leaves them: ids and seconds
-- alone, no name and no text.
WITH happened AS MATERIALIZED (
    SELECT e.kind, e.visit, e.nth, 'evt_' || replace(gen_random_uuid()::text, '-', '') AS id
      FROM unnest(%(kinds)s::text[], %(visits)s::bigint[]) WITH ORDINALITY AS e(kind, visit, nth))
INSERT INTO outbox (hook, event, body)
SELECT h.id, e.id, json_strip_nulls(json_build_object(
           'type', e.kind,
           'timestamp', $utc_now,
           'data', json_build_object(
               'tenant', h.tenant, 'room', v.room, 'visit', v.id, 'queue', coalesce(v.queue, 'channel:' || v.channel),
               'agent', v.agent, 'waited_s', round(v.waited_s::numeric, 1),
               'handled_s', round(v.handled_s::numeric, 1))))::text
  FROM happened e
  LEFT JOIN LATERAL (
       SELECT id, room, queue, channel, CASE WHEN settled_at IS NOT NULL THEN last_agent END AS agent,
              extract(epoch FROM closed_at - settled_at) AS handled_s,
              greatest(0, extract(epoch FROM coalesce(settled_at, closed_at, clock_timestamp())) - arrived_us / 1e6)
                  AS waited_s
         FROM visits WHERE id = e.visit LIMIT 1) v ON true
  JOIN hooks h ON h.tenant = %(tenant)s AND e.kind = ANY(h.events)
 ORDER BY e.nth, h.id

-- name: write_test
INSERT INTO outbox (hook, event, body)
SELECT id, 'evt_' || replace(gen_random_uuid()::text, '-', ''), json_build_object(
           'type', %(kind)s, 'timestamp', $utc_now,
           'data', json_build_object('tenant', tenant))::text
  FROM hooks WHERE id = %(hook)s
RETURNING id

-- name: due
-- Hooks that have something to be posted now.
SELECT h.id FROM hooks h
 WHERE EXISTS (SELECT FROM outbox o WHERE o.hook = h.id AND o.outcome IS NULL AND o.due_at <= statement_timestamp())

-- name: claim
-- One event of a hook, for so long as a try can take: if its worker dies, another one tries it then. Who comes at the same
-- moment gets the next one.
UPDATE outbox o SET tries = o.tries + 1, due_at = clock_timestamp() + %(lease_s)s * interval '1 second'
  FROM hooks h
 WHERE h.id = o.hook
   AND o.id = (SELECT id FROM outbox
                WHERE hook = %(hook)s AND outcome IS NULL AND due_at <= statement_timestamp()
                ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING o.id, o.hook, o.event, o.tries, o.body, h.tenant, h.url, h.secret

-- name: tried
-- What came of a try, unless another worker took it over meanwhile.
UPDATE outbox
   SET outcome = %(outcome)s, over_at = CASE WHEN %(outcome)s::text IS NOT NULL THEN clock_timestamp() END, why = %(why)s,
       due_at = clock_timestamp() + %(wait_s)s * interval '1 second'
 WHERE id = %(id)s AND tries = %(tries)s AND outcome IS NULL

-- name: drop
-- More than so many wait for one receiver: the oldest are given up.
UPDATE outbox d SET outcome = 'dropped', over_at = clock_timestamp()
  FROM hooks t
 WHERE t.id = d.hook
   AND d.id IN (SELECT o.id FROM hooks h
                 CROSS JOIN LATERAL (SELECT id FROM outbox WHERE hook = h.id AND outcome IS NULL
                                      ORDER BY id DESC OFFSET %(most)s LIMIT 10000 FOR UPDATE SKIP LOCKED) o)
RETURNING t.tenant, d.hook

-- name: mend
-- What lies further ahead than so many tries can have set it is due now: a clock was stepped back.
UPDATE outbox SET due_at = clock_timestamp()
 WHERE outcome IS NULL
   AND due_at > statement_timestamp()
   AND is_due(due_at, coalesce((%(longest_s)s::float8[])[tries + 1], %(lease_s)s) * interval '1 second')

-- name: prune
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE over_at < statement_timestamp() - interval '1 day'
     ORDER BY over_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)

-- name: target_tenants
SELECT DISTINCT tenant FROM hooks WHERE %(kind)s = ANY(events) ORDER BY tenant

-- name: miss_targets
-- Visits without an agent that have waited for longer than their queue's target: each once. Written outside the tenant's
-- lock: waits for nobody.
UPDATE visits SET target_missed = true
 WHERE id IN (SELECT v.id FROM visits v
                LEFT JOIN unnest(%(queues)s::text[], %(targets)s::integer[]) AS t(queue, target_s) ON t.queue = v.queue
               WHERE v.tenant = %(tenant)s AND v.state IN ('waiting', 'reserved') AND NOT v.target_missed
                 AND extract(epoch FROM clock_timestamp()) - v.arrived_us / 1e6 > coalesce(t.target_s, %(target_s)s)
               ORDER BY v.id LIMIT %(most)s FOR NO KEY UPDATE OF v SKIP LOCKED)
RETURNING id

-- name: add
-- No row: the tenant has it, or has as many as it may.
INSERT INTO hooks (tenant, url, secret, events)
SELECT %(tenant)s, %(url)s, %(secret)s, %(events)s::text[]
 WHERE (SELECT count(*) FROM hooks WHERE tenant = %(tenant)s) < %(most)s
    ON CONFLICT DO NOTHING
RETURNING id

-- name: hooks
-- Of one tenant, or of all (NULL), with what became of their events within a day.
SELECT h.id, h.tenant, h.url, h.events, h.created_at, o.waiting, o.delivered, o.lost, o.why
  FROM hooks h
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE outcome IS NULL)::integer AS waiting,
              count(*) FILTER (WHERE outcome = 'delivered')::integer AS delivered,
              count(*) FILTER (WHERE outcome IN ('given_up', 'dropped'))::integer AS lost,
              (array_agg(why ORDER BY id DESC) FILTER (WHERE why IS NOT NULL))[1] AS why
         FROM outbox WHERE hook = h.id) o
 WHERE %(tenant)s::text IS NULL OR h.tenant = %(tenant)s
 ORDER BY h.tenant, h.id

-- name: hook
SELECT id, tenant, url, events FROM hooks WHERE id = %(hook)s

-- name: remove
DELETE FROM hooks WHERE id = %(hook)s

-- name: state
SELECT tries, outcome, why FROM outbox WHERE id = %(id)s

-- name: forget
DELETE FROM outbox WHERE id = %(id)s AND outcome IS NULL
