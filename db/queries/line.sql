-- The line: taking webhooks over, reserving seats. All of it runs under the tenant's row lock (block `lock`).
--
-- A tenant's open visits may be ten or a hundred thousand, and grow faster than PostgreSQL's statistics, which then call
-- them one. So no block leaves a choice of plan that is only good for one: what is known by its key is looked up by its
-- key alone, either in a LATERAL with LIMIT or with the other conditions inside a CASE, where no index and no estimate
-- is taken from them.

-- name: lock
-- The lock that serialises every decision of a tenant, and the cursor into the inbox.
SELECT inbox_epoch AS epoch, inbox_seen AS seen, rev, last_place_us, limits_digest,
       extract(epoch FROM clock_timestamp())::float8 AS now_s,
       NOT is_due(paused_until, paused_for) AS paused, desk_failures,
       desk_failures > 0 OR desk_trouble IS NOT NULL AS troubled,
       is_doubted(id) AS doubted, EXISTS (SELECT FROM hooks h WHERE h.tenant = t.id) AS hooked,
       rules_version, rules_digest, rerouting, shut_until, draining
  FROM tenants t WHERE id = %(tenant)s FOR NO KEY UPDATE

-- name: recall
-- What is remembered of the rooms that a batch of webhooks speaks of.
SELECT w.room, r.closed_service, r.closed_with_service, v.id, v.state, v.arrived_us, v.base, v.base_proved,
       v.channel, v.source, v.first_comment_id, v.agent, v.suspect, v.again_us, v.again_latest, v.again_facts,
       v.resolved_comment, coalesce(v.state = 'reserved' AND v.parked AND v.unclear_at IS NULL, false) AS unsent,
       v.look_at IS NOT NULL AS look, v.aside IS NOT NULL AS aside,
       coalesce(v.learned AND v.retry_at IS NOT NULL, false) AS learned,
       coalesce(seconds_since(v.settled_at) > %(lag_s)s, false) AS settled_long_ago
  FROM unnest(%(rooms)s::text[]) AS w(room)
  LEFT JOIN LATERAL (SELECT * FROM rooms WHERE tenant = %(tenant)s AND id = w.room LIMIT 1) r ON true
  LEFT JOIN LATERAL (SELECT * FROM visits WHERE tenant = %(tenant)s AND room = w.room AND state <> 'closed' LIMIT 1) v
         ON true

-- name: remember
INSERT INTO rooms (tenant, id, closed_service, closed_with_service)
SELECT %(tenant)s, * FROM unnest(%(id)s::text[], %(closed_service)s::bigint[], %(closed_with_service)s::boolean[])
    ON CONFLICT (tenant, id) DO UPDATE
   SET closed_service = EXCLUDED.closed_service, closed_with_service = EXCLUDED.closed_with_service,
       seen_at = clock_timestamp()

-- name: close
-- Not a visit whose assign call may still be applied. `exact`: of our own chat, where the session ends in this very
-- transaction, so that no call can be applied after it.
UPDATE visits v
   SET state = 'closed', agent = NULL, service_id = c.service, reason = c.reason, closed_at = clock_timestamp(),
       look_at = NULL, retry_at = NULL, aside = NULL, parked = false, answered = v.attempt
  FROM unnest(%(visits)s::bigint[], %(services)s::bigint[], %(reasons)s::text[]) AS c(visit, service, reason)
 WHERE v.id = c.visit
   AND CASE WHEN v.state IN ('waiting', 'held') THEN v.tenant = %(tenant)s
            WHEN v.state = 'reserved' AND (%(exact)s OR (v.parked AND v.unclear_at IS NULL)) THEN v.tenant = %(tenant)s END
RETURNING v.id, v.room, v.last_agent, extract(epoch FROM v.closed_at - v.settled_at)::float8 AS handled_s

-- name: open
-- New visits in the order of their arrival; some are over already when their resolve came in the same batch. A learned
-- one pauses first: its webhook may be under way, and brings the true place.
INSERT INTO visits (tenant, room, channel, source, learned, arrived_us, base, base_proved, facts, class, queue, rule,
                    rules_version, step, priority, base_priority, serve_from, change_at, sticky_agent, sticky_until,
                    state, look_at, suspect, retry_at, service_id, reason, closed_at)
SELECT %(tenant)s, n.room, n.channel, n.source, n.learned, n.arrived_us, n.base, n.base_proved,
       CASE WHEN n.reason IS NULL THEN n.facts END, n.class, n.queue, n.rule, n.rules_version, n.step, n.priority,
       n.base_priority, n.serve_from, n.change_at, n.sticky_agent, n.sticky_until,
       CASE WHEN n.reason IS NULL THEN 'waiting' ELSE 'closed' END,
       CASE WHEN n.look THEN clock_timestamp() END, n.suspect,
       CASE WHEN n.learned THEN clock_timestamp() + %(learned_wait_s)s * interval '1 second' END,
       n.service, n.reason, CASE WHEN n.reason IS NOT NULL THEN clock_timestamp() END
  FROM unnest(%(room)s::text[], %(channel)s::text[], %(source)s::text[], %(learned)s::boolean[],
              %(arrived_us)s::bigint[], %(base)s::bigint[], %(base_proved)s::boolean[], %(look)s::boolean[],
              %(suspect)s::text[], %(service)s::bigint[], %(reason)s::text[], %(facts)s::jsonb[],
              %(class_)s::text[], %(queue)s::text[], %(rule)s::text[], %(rules_version)s::integer[],
              %(step)s::smallint[], %(priority)s::integer[], %(base_priority)s::integer[],
              %(serve_from)s::timestamptz[], %(change_at)s::timestamptz[], %(sticky_agent)s::text[],
              %(sticky_until)s::timestamptz[])
       WITH ORDINALITY AS n(room, channel, source, learned, arrived_us, base, base_proved, look, suspect,
                            service, reason, facts, class, queue, rule, rules_version, step, priority, base_priority,
                            serve_from, change_at, sticky_agent, sticky_until, ord)
 ORDER BY n.ord
RETURNING id, state = 'closed' AS over

-- name: revise
-- Visits of which a webhook told something new: proof of their base, a question to the desk, or a sign of life of a
-- room that was set aside.
UPDATE visits v
   SET base = r.base, base_proved = r.proved, suspect = r.suspect, again_us = r.again_us,
       again_latest = r.again_latest, resolved_comment = r.resolved_comment,
       again_at = CASE WHEN r.again_us IS NOT DISTINCT FROM v.again_us THEN v.again_at ELSE clock_timestamp() END,
       look_at = CASE WHEN NOT r.look THEN NULL
                      WHEN v.look_at IS NULL OR v.suspect IS DISTINCT FROM r.suspect THEN clock_timestamp()
                      ELSE v.look_at END,
       aside = CASE WHEN r.aside THEN v.aside END,
       refusals = CASE WHEN r.aside OR v.aside IS NULL THEN v.refusals ELSE 0 END,
       retry_at = CASE WHEN (r.aside OR v.aside IS NULL) AND r.arrived_us = v.arrived_us THEN v.retry_at END,
       learned = v.learned AND r.arrived_us = v.arrived_us, arrived_us = r.arrived_us
  FROM unnest(%(id)s::bigint[], %(base)s::bigint[], %(base_proved)s::boolean[], %(suspect)s::text[],
              %(again_us)s::bigint[], %(again_latest)s::bigint[], %(resolved_comment)s::text[], %(look)s::boolean[],
              %(aside)s::boolean[], %(arrived_us)s::bigint[])
       AS r(visit, base, proved, suspect, again_us, again_latest, resolved_comment, look, aside, arrived_us)
 WHERE v.id = r.visit AND CASE WHEN v.state <> 'closed' THEN v.tenant = %(tenant)s END

-- name: refuse
INSERT INTO refused (tenant, entry_id, reason) VALUES (%(tenant)s, %(entry)s, %(reason)s) ON CONFLICT DO NOTHING

-- name: lift_retries
-- Rooms whose pause is over stand in the line again, with their old place.
UPDATE visits SET retry_at = NULL
 WHERE tenant = %(tenant)s AND state = 'waiting' AND is_due(retry_at, interval '61 s') AND aside IS NULL

-- name: classes
-- The classes that have waiting rooms, and the oldest room of each. A skip scan of line_order.
WITH RECURSIVE found AS (
    (SELECT class FROM visits WHERE tenant = %(tenant)s AND state = 'waiting' ORDER BY class LIMIT 1)
    UNION ALL
    SELECT (SELECT v.class FROM visits v
             WHERE v.tenant = %(tenant)s AND v.state = 'waiting' AND v.class > f.class ORDER BY v.class LIMIT 1)
      FROM found f WHERE f.class IS NOT NULL)
SELECT f.class AS class_, head.room, head.source, head.id AS visit, head.arrived_us, head.priority, head.queue,
       head.step, head.serve_from, head.channel,
       seconds_since(head.opened_at) AS waited_s, seconds_since(nullif(r.read_at, '-infinity')) AS age_s,
       coalesce(is_due(r.due_at, %(retry_s)s * interval '1 s'), true) AS due,
       CASE WHEN seconds_since(r.ask_after - interval '1 s') <= %(roster_s)s THEN r.suggested END AS suggested,
       coalesce(is_due(r.ask_after, interval '5 s'), true) AS may_ask
  FROM found f
  LEFT JOIN rosters r ON r.tenant = %(tenant)s AND r.class = f.class
  CROSS JOIN LATERAL (SELECT v.room, v.source, v.id, v.arrived_us, v.priority, v.opened_at, v.queue, v.step, v.serve_from, v.channel
                        FROM visits v
                       WHERE v.tenant = %(tenant)s AND v.class = f.class AND v.state = 'waiting'
                         AND v.look_at IS NULL AND v.aside IS NULL AND v.retry_at IS NULL
                       ORDER BY v.priority DESC, v.arrived_us, v.id LIMIT 1) head
 WHERE f.class IS NOT NULL

-- name: heads
-- The oldest rooms of each class that may be chosen now.
SELECT w.id AS visit, w.room, w.class AS class_, w.arrived_us, w.priority, w.queue, w.sticky_agent AS sticky,
       w.sticky_until IS NOT NULL AND NOT is_due(w.sticky_until, interval '1 day') AS waits
  FROM unnest(%(classes)s::text[]) AS c(class)
  CROSS JOIN LATERAL (SELECT v.id, v.room, v.class, v.arrived_us, v.priority, v.queue, v.sticky_agent, v.sticky_until
                        FROM visits v
                       WHERE v.tenant = %(tenant)s AND v.class = c.class AND v.state = 'waiting'
                         AND v.look_at IS NULL AND v.aside IS NULL AND v.retry_at IS NULL
                       ORDER BY v.priority DESC, v.arrived_us, v.id LIMIT %(most)s) w

-- name: candidates
-- Who may be given rooms of these classes, and of which: of each class the first `most` by the policy, as `choose` ranks
-- them, those with a free seat before those whose seat is closed by an estimate only. `everybody`: also who is full.
-- `also`: agents who are wanted in any case, online as all. `shut`: who has as many chats of a class's queue as one may.
-- The line of `team` that says so is the policy's (see `line.candidates`); here stands the default's.
WITH team AS MATERIALIZED (
    SELECT id, open_seats, load, max_load, owed AND load = 1 AS owed,
           load AS rank, last_assigned_at AS since FROM agents a
     WHERE a.tenant = %(tenant)s AND available
       AND (%(everybody)s OR open_seats < max_load OR id = ANY(%(also)s::text[]))),
first AS (
    SELECT DISTINCT ON (f.id) f.* FROM (
    SELECT t.* FROM team t WHERE t.id = ANY(%(also)s::text[])
     UNION ALL
    SELECT f.*
      FROM unnest(%(classes)s::text[]) AS c(class)
     CROSS JOIN LATERAL (
           SELECT t.* FROM team t
            CROSS JOIN LATERAL (SELECT FROM eligible e
                                 WHERE e.tenant = %(tenant)s AND e.class = c.class AND e.agent = t.id LIMIT 1) e
            WHERE %(shut_classes)s::text[] = '{}'
               OR NOT EXISTS (SELECT FROM unnest(%(shut_classes)s::text[], %(shut_agents)s::text[]) AS x(class, agent)
                               WHERE x.class = c.class AND x.agent = t.id)
            ORDER BY t.load >= t.max_load, t.rank, t.since, t.id COLLATE "C"
            LIMIT CASE WHEN %(everybody)s THEN NULL ELSE %(most)s::bigint END) f) f ORDER BY f.id)
SELECT id, open_seats, load, max_load, owed,
       CASE WHEN since = '-infinity' THEN 0 ELSE extract(epoch FROM since)::float8 END AS idle_since_s,
       ARRAY(SELECT e.class FROM eligible e
              WHERE e.tenant = %(tenant)s AND e.agent = f.id AND e.class = ANY(%(classes)s::text[])) AS classes
  FROM first f

-- name: crew
-- How many agents there are; supervisors are none.
SELECT count(*) FILTER (WHERE available)::integer AS online,
       count(*) FILTER (WHERE available AND max_load > 0 AND load >= max_load)::integer AS "full",
       count(*) FILTER (WHERE available AND max_load = 0)::integer AS paused,
       count(*) FILTER (WHERE NOT available AND NOT EXISTS (
           SELECT FROM accounts c WHERE c.tenant = a.tenant AND c.agent = a.id AND c.role <> 'agent'))::integer AS offline
  FROM agents a WHERE tenant = %(tenant)s

-- name: full_agents
SELECT id, load, max_load FROM agents WHERE tenant = %(tenant)s AND available AND load >= max_load
 ORDER BY id LIMIT %(most)s

-- name: online_for
SELECT e.class AS class_, count(*)::integer AS agents
  FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
 WHERE e.tenant = %(tenant)s AND e.class = ANY(%(classes)s::text[]) AND a.available GROUP BY e.class

-- name: reserve
-- The seat guard refuses by itself what would be one chat too many.
UPDATE visits v
   SET state = 'reserved', agent = p.agent, last_agent = p.agent, seat_limit = p.seat_limit, owner = %(owner)s,
       attempt = v.attempt + 1, lease_until = clock_timestamp() + %(lease_s)s * interval '1 second',
       parked = false, unclear_at = NULL, tries = 0, reserved_at = clock_timestamp(), settled_at = NULL,
       suspect = NULL, resolved_comment = NULL
  FROM unnest(%(visit)s::bigint[], %(agent)s::text[], %(limit)s::integer[]) AS p(visit, agent, seat_limit)
 WHERE v.id = p.visit AND CASE WHEN v.state = 'waiting' THEN v.tenant = %(tenant)s END
RETURNING v.id, v.attempt

-- name: record
-- Why these seats: the candidates at the start of the round, the picks in their order, and who was served when. Gives
-- the seats that the agents have now.
WITH round AS (
    INSERT INTO rounds (tenant, policy, candidates, passed_over, crew)
    VALUES (%(tenant)s, %(policy)s, %(candidates)s, %(passed_over)s, %(crew)s) RETURNING id),
picks AS (
    SELECT * FROM unnest(%(visit)s::bigint[], %(agent)s::text[], %(load_before)s::integer[], %(limit)s::integer[])
             WITH ORDINALITY AS p(visit, agent, load_before, seat_limit, ord)),
written AS (
    INSERT INTO decisions (tenant, round, visit, agent, load_before, seat_limit)
    SELECT %(tenant)s, round.id, p.visit, p.agent, p.load_before, p.seat_limit FROM picks p, round ORDER BY p.ord)
UPDATE agents a SET last_assigned_at = greatest(clock_timestamp(), t.served_at) + s.ord * interval '1 microsecond',
       owed = s.first
  FROM (SELECT agent, max(ord) AS ord, (array_agg(load_before ORDER BY ord DESC))[1] = 0 AS first
          FROM picks GROUP BY agent) s, tenants t
 WHERE t.id = %(tenant)s AND a.tenant = %(tenant)s AND a.id = s.agent
RETURNING a.id, a.open_seats

-- name: mark_limits
UPDATE agents a SET max_load = l.value
  FROM unnest(%(agents)s::text[], %(values)s::integer[]) AS l(agent, value)
 WHERE a.tenant = %(tenant)s AND a.id = l.agent AND a.max_load <> l.value

-- name: freed
-- Of rooms that waited when the last chat of the agent who gets them ended, a minute ago at most: how long ago. Never more
-- than the last thousand chats that ended are read, and none where the rooms have only just come.
WITH p AS (
    SELECT v.id, p.agent, v.opened_at
      FROM unnest(%(visit)s::bigint[], %(agent)s::text[]) AS p(visit, agent)
     CROSS JOIN LATERAL (SELECT id, opened_at FROM visits WHERE id = p.visit LIMIT 1) v),
recent AS MATERIALIZED (
    SELECT last_agent, closed_at FROM visits
     WHERE tenant = %(tenant)s AND state = 'closed'
       -- a clock that moves within a statement bounds no index
       AND closed_at > greatest((SELECT min(opened_at) FROM p), statement_timestamp() - interval '1 minute')
     ORDER BY closed_at DESC LIMIT 1000),
last AS (SELECT last_agent, max(closed_at) AS closed_at FROM recent GROUP BY last_agent)
SELECT p.id AS visit, seconds_since(last.closed_at) AS idle_s
  FROM p JOIN last ON last.last_agent = p.agent
 WHERE last.closed_at > p.opened_at

-- name: use_suggestions
UPDATE rosters SET suggested = NULL,
       ask_after = CASE WHEN class = ANY(%(used)s::text[]) THEN '-infinity'
                        ELSE clock_timestamp() + %(wait_s)s * interval '1 second' END
 WHERE tenant = %(tenant)s AND class = ANY(%(classes)s::text[]) AND suggested IS NOT NULL

-- name: ask_again
-- A seat got free: what the desk suggested before says nothing any more.
UPDATE rosters SET ask_after = '-infinity' WHERE tenant = %(tenant)s AND NOT is_due(ask_after, interval '5 s')

-- name: move_cursor
UPDATE tenants SET inbox_epoch = %(epoch)s, inbox_seen = %(seen)s, rev = rev + 1, limits_digest = %(limits_digest)s,
       last_place_us = greatest(last_place_us, %(place_us)s),
       served_at = CASE WHEN %(served)s = 0 THEN served_at
                        ELSE greatest(clock_timestamp(), served_at) + %(served)s * interval '1 microsecond' END,
       swept_at = CASE WHEN %(flushed)s THEN '-infinity' ELSE swept_at END
 WHERE id = %(tenant)s

-- name: next_place
-- A place at the end of the line: now, by a clock that only rises. Under the tenant's lock.
UPDATE tenants SET last_place_us = greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, last_place_us + 1)
 WHERE id = %(tenant)s RETURNING last_place_us

-- name: bump
UPDATE tenants SET rev = rev + 1 WHERE id = %(tenant)s

-- name: seats_of
SELECT id, open_seats FROM agents WHERE tenant = %(tenant)s AND id = ANY(%(agents)s::text[])

-- name: claim_rosters
-- One reader at a time for each class; whoever gets it back reads. A dead reader's claim is none, and one who does not
-- answer until its claim ends leaves the roster due.
INSERT INTO rosters (tenant, class, claimed_until, claimed_by)
SELECT %(tenant)s, c, clock_timestamp() + %(lease_s)s * interval '1 second', %(owner)s
  FROM unnest(%(classes)s::text[]) AS c ORDER BY c
    ON CONFLICT (tenant, class) DO UPDATE
   SET claimed_until = EXCLUDED.claimed_until, claimed_by = EXCLUDED.claimed_by,
       due_at = CASE WHEN %(roster)s THEN '-infinity' ELSE rosters.due_at END
 WHERE is_due(rosters.claimed_until, interval '5 s')
    OR rosters.claimed_by NOT IN (
       SELECT objid::integer FROM pg_locks
        WHERE locktype = 'advisory' AND classid = %(lock_class)s AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
RETURNING class AS class_

-- name: rooms_to_ask
-- Of classes with rooms that the desk does not know: the oldest and the newest others. Forged rooms are many, and a real
-- one may stand before or behind all of them.
SELECT c.class AS class_, o.rooms || n.rooms AS rooms
  FROM unnest(%(classes)s::text[]) AS c(class)
  CROSS JOIN LATERAL (SELECT array(
        SELECT v.room FROM visits v
         WHERE v.tenant = %(tenant)s AND v.class = c.class AND v.state = 'waiting'
           AND v.look_at IS NULL AND v.aside IS NULL AND v.retry_at IS NULL
         ORDER BY v.priority DESC, v.arrived_us, v.id LIMIT %(most)s) AS rooms) o
  CROSS JOIN LATERAL (SELECT array(
        SELECT v.room FROM visits v
         WHERE v.tenant = %(tenant)s AND v.class = c.class AND v.state = 'waiting'
           AND v.look_at IS NULL AND v.aside IS NULL AND v.retry_at IS NULL
         ORDER BY v.priority, v.arrived_us DESC, v.id DESC LIMIT %(most)s) AS rooms) n
 WHERE EXISTS (SELECT FROM visits v
                WHERE v.look_at IS NOT NULL
                  AND CASE WHEN v.suspect = 'unknown' THEN v.tenant = %(tenant)s AND v.class = c.class END)

-- name: hasten_rosters
-- A seat is closed by an estimate of chats that are not ours: check the estimate sooner than the roster.
UPDATE rosters SET due_at = read_at + %(after_s)s * interval '1 second'
 WHERE tenant = %(tenant)s AND class = ANY(%(classes)s::text[]) AND due_at > read_at + %(after_s)s * interval '1 second'

-- name: scopes
-- What limits are looked for: those of the known agents, and those of which there is a copy.
SELECT scope, value, invalid, true AS is_copy FROM limits WHERE tenant = %(tenant)s
 UNION ALL
SELECT 'agent:' || id, NULL, NULL, false FROM agents WHERE tenant = %(tenant)s

-- name: keep_limits
INSERT INTO limits (tenant, scope, value, invalid)
SELECT %(tenant)s, * FROM unnest(%(scopes)s::text[], %(values)s::integer[], %(invalids)s::text[])
    ON CONFLICT (tenant, scope) DO UPDATE SET value = EXCLUDED.value, invalid = EXCLUDED.invalid

-- name: forget_limits
DELETE FROM limits WHERE tenant = %(tenant)s AND scope = ANY(%(scopes)s::text[])
