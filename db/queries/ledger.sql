-- The ledger: what desk callers report about seats, looks and rosters, and what the sweep and the admin ask.

-- name: live
-- Says that this worker lives, for as long as its session does. No row: this session says it already.
SELECT pg_try_advisory_lock(%(lock_class)s, %(owner)s)
 WHERE NOT EXISTS (SELECT FROM pg_locks
                    WHERE locktype = 'advisory' AND classid = %(lock_class)s AND objid = %(owner)s AND granted
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                      AND pid = pg_backend_pid())

-- name: claim_seats
-- Reservations whose caller is gone, or whose next try is due. Finished by whoever claims them, never undone: the pair
-- stays. An owner whose advisory lock is free is a dead process, unless it lost its connection this moment (`gone`: who
-- has been dead for a while; NULL: believe the locks); a living one is left alone until its lease ends.
WITH live AS (
    SELECT objid::integer AS id FROM pg_locks
     WHERE locktype = 'advisory' AND classid = %(lock_class)s AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
due AS (
    SELECT id, CASE WHEN parked THEN unclear_at ELSE coalesce(unclear_at, clock_timestamp()) END AS unclear_at
      FROM visits
     WHERE tenant = %(tenant)s AND state = 'reserved'
       AND (is_due(lease_until, interval '61 s')
            OR (NOT parked AND owner NOT IN (SELECT id FROM live)
                AND (%(gone)s::integer[] IS NULL OR owner = ANY(%(gone)s::integer[]))))
     ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED)
UPDATE visits v
   SET attempt = v.attempt + 1, owner = %(owner)s, parked = false, unclear_at = due.unclear_at,
       lease_until = clock_timestamp() + %(lease_s)s * interval '1 second'
  FROM due WHERE v.id = due.id
RETURNING v.id, v.room, v.agent, v.attempt,
          seconds_since(v.unclear_at) AS unclear_s

-- name: dead_owners
-- Workers that have reservations or looks under way and whose advisory lock is free.
SELECT owner AS id FROM (
    SELECT owner FROM visits WHERE state = 'reserved' AND NOT parked
     UNION
    SELECT owner FROM visits WHERE look_at IS NOT NULL AND state IN ('waiting', 'held') AND owner <> 0) busy
 WHERE owner NOT IN (
       SELECT objid::integer FROM pg_locks
        WHERE locktype = 'advisory' AND classid = %(lock_class)s AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))

-- name: renew_leases
-- Pairs whose outcome is known but can't be written as yet. Written outside the tenant's lock: waits for nobody.
UPDATE visits SET lease_until = clock_timestamp() + %(lease_s)s * interval '1 second'
 WHERE id IN (SELECT v.id FROM visits v
                JOIN unnest(%(visits)s::bigint[], %(attempts)s::integer[]) AS p(visit, attempt) ON v.id = p.visit
               WHERE v.tenant = %(tenant)s AND v.state = 'reserved' AND v.attempt = p.attempt AND NOT v.parked
                 FOR NO KEY UPDATE OF v SKIP LOCKED)

-- name: claim_looks
-- Visits about which the desk has to be asked now; a lease and its owner keep others away meanwhile, as in claim_seats. One
-- that waits for its time has no owner. What the desk says of a visit that is being assigned would be about the time before
-- the call. `waited_s`: where no webhook proved this stay, since the room's stay before last waited; so long the desk may
-- be late with it.
WITH live AS (
    SELECT objid::integer AS id FROM pg_locks
     WHERE locktype = 'advisory' AND classid = %(lock_class)s AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
UPDATE visits v SET look_at = clock_timestamp() + %(lease_s)s * interval '1 second', owner = %(owner)s
 WHERE v.id IN (SELECT id FROM visits
                 WHERE tenant = %(tenant)s AND look_at IS NOT NULL AND state IN ('waiting', 'held')
                   AND (is_due(look_at, interval '61 s')
                        OR (owner <> 0 AND owner NOT IN (SELECT id FROM live)
                            AND (%(gone)s::integer[] IS NULL OR owner = ANY(%(gone)s::integer[]))))
                 ORDER BY look_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING v.id, v.attempt, v.room, v.state, v.agent, v.suspect, v.looks,
          seconds_since(coalesce(v.settled_at, v.reserved_at, v.opened_at)) AS age_s,
          (SELECT seconds_since(coalesce(p.settled_at, p.closed_at)) FROM visits p
            WHERE v.state = 'waiting' AND NOT v.base_proved
              AND p.tenant = v.tenant AND p.room = v.room AND p.state = 'closed' AND p.id < v.id
            ORDER BY p.id DESC LIMIT 1) AS waited_s

-- name: hold
-- What webhooks said while the call was under way is asked about now.
UPDATE visits v
   SET state = 'held', agent = h.agent, last_agent = h.agent, first_comment_id = h.first_comment_id,
       unconfirmed = h.unconfirmed, settled_at = clock_timestamp(), looked_at = clock_timestamp(),
       lease_until = NULL, unclear_at = NULL, tries = 0, refusals = 0, aside = NULL, answered = v.attempt,
       look_at = CASE WHEN v.suspect IS NOT NULL THEN clock_timestamp() END, looks = 0
  FROM unnest(%(visits)s::bigint[], %(attempts)s::integer[], %(agent)s::text[], %(first_comment_id)s::text[],
              %(unconfirmed)s::boolean[]) AS h(visit, attempt, agent, first_comment_id, unconfirmed)
 WHERE v.id = h.visit  -- alone: see the head of line.sql
   AND CASE WHEN v.state = 'reserved' THEN v.tenant = %(tenant)s AND v.attempt = h.attempt END
RETURNING v.id, v.attempt, v.suspect IS NOT NULL AS marked, coalesce(v.queue, 'channel:' || v.channel) AS queue,
          greatest(0, extract(epoch FROM v.settled_at) - v.arrived_us / 1e6)::float8 AS waited_s

-- name: know_agents
INSERT INTO agents (tenant, id) SELECT %(tenant)s, * FROM (SELECT DISTINCT a FROM unnest(%(agents)s::text[]) a ORDER BY a) s
    ON CONFLICT DO NOTHING

-- name: park
-- The pair stays; the next try comes at its time.
UPDATE visits
   SET parked = true, lease_until = clock_timestamp() + %(wait_s)s * interval '1 second',
       unclear_at = CASE WHEN %(unclear)s THEN coalesce(unclear_at, clock_timestamp()) END, tries = tries + %(taken)s
 WHERE id = %(visit)s AND tenant = %(tenant)s AND state = 'reserved' AND attempt = %(attempt)s
RETURNING tries

-- name: give_back
-- Refused for good: back to the line with the old place.
UPDATE visits
   SET state = 'waiting', agent = NULL, lease_until = NULL, unclear_at = NULL, parked = false, tries = 0,
       answered = attempt, refusals = refusals + 1, look_at = NULL, suspect = NULL, looks = 0,
       change_at = (SELECT clock_timestamp() FROM tenants t WHERE t.id = %(tenant)s AND t.rules_version > 0)
 WHERE id = %(visit)s AND tenant = %(tenant)s AND state = 'reserved' AND attempt = %(attempt)s
RETURNING id, room, arrived_us, last_agent, refusals, class AS class_

-- name: set_wait
-- How long a room that was refused has to wait depends on how often it was refused.
UPDATE visits SET retry_at = clock_timestamp() + %(wait_s)s * interval '1 second' WHERE id = %(visit)s

-- name: lift_asides
-- The reason may be gone: one more try, with the desk asked first.
UPDATE visits SET aside = NULL, retry_at = NULL, refusals = 0, look_at = clock_timestamp(), looks = 0, suspect = NULL
 WHERE tenant = %(tenant)s AND state = 'waiting' AND aside IS NOT NULL AND is_due(retry_at, interval '301 s')

-- name: stay
-- A visit, and whether its stay is over by what webhooks told: a service closed since it opened; if it was opened with
-- proof, that was its own. `doubted`: nobody had it, and the webhook that opened it may have been of a stay before.
SELECT v.id, v.room, v.state, v.attempt, v.agent, v.arrived_us, v.again_us, v.again_latest, v.again_facts, v.channel, v.source,
       v.suspect, v.first_comment_id, v.resolved_comment, r.closed_service,
       extract(epoch FROM clock_timestamp() - v.again_at)::float8 AS again_age_s,
       v.last_agent IS NULL AND NOT v.base_proved AND v.base IS NOT NULL AS doubted,
       coalesce(r.closed_service > coalesce(v.base, -1), false) AS service_closed,
       v.base_proved AND coalesce(r.closed_service > v.base, false) AS over
  FROM visits v LEFT JOIN rooms r ON r.tenant = v.tenant AND r.id = v.room
 WHERE v.id = %(visit)s AND v.tenant = %(tenant)s AND v.state <> 'closed' AND v.attempt = %(attempt)s
   FOR NO KEY UPDATE OF v

-- name: end_visit
-- One that is being assigned ends by the answer of its attempt only.
UPDATE visits SET state = 'closed', agent = NULL, reason = %(reason)s, closed_at = clock_timestamp(), look_at = NULL,
                  retry_at = NULL, aside = NULL, parked = false, service_id = %(service)s, answered = attempt
 WHERE id = %(visit)s AND attempt = %(attempt)s AND state <> 'closed'
RETURNING extract(epoch FROM closed_at - settled_at)::float8 AS handled_s

-- name: unseat
-- Surely not applied, though a webhook says that the room is over or open again: the seat is free, and the desk is asked
-- before anybody else gets the room. Nobody refused it.
UPDATE visits
   SET state = 'waiting', agent = NULL, lease_until = NULL, unclear_at = NULL, parked = false, tries = 0,
       answered = attempt, look_at = clock_timestamp(), looks = 0, suspect = nullif(suspect, 'waiting'),
       change_at = (SELECT clock_timestamp() FROM tenants t WHERE t.id = %(tenant)s AND t.rules_version > 0)
 WHERE id = %(visit)s AND attempt = %(attempt)s AND state = 'reserved'

-- name: go_on
-- The next stay of a room, with the agent whom the desk names: learned from the desk, not decided. Seats in use are
-- facts, so the guard does not ask.
INSERT INTO visits (tenant, room, class, channel, queue, rule, rules_version, source, priority, base_priority, learned,
                    arrived_us, base, base_proved, state, agent, last_agent, first_comment_id, reserved_at, settled_at)
SELECT %(tenant)s, v.room, v.class, v.channel, v.queue, v.rule, v.rules_version, v.source, v.base_priority, v.base_priority,
       true, %(arrived_us)s, %(base)s, %(base_proved)s, 'held', %(agent)s, %(agent)s, %(first)s, clock_timestamp(),
       clock_timestamp()
  FROM visits v WHERE v.id = %(visit)s
RETURNING id

-- name: remember_close
INSERT INTO rooms (tenant, id, closed_with_service) VALUES (%(tenant)s, %(room)s, %(with_service)s)
    ON CONFLICT (tenant, id) DO UPDATE SET closed_with_service = EXCLUDED.closed_with_service, seen_at = clock_timestamp()

-- name: look_anew
-- What was seen is about a state that is gone: ask again now, instead of when the lease ends.
UPDATE visits SET look_at = clock_timestamp()
 WHERE id = %(visit)s AND tenant = %(tenant)s AND state <> 'closed' AND look_at > clock_timestamp()

-- name: seen_fine
UPDATE visits SET look_at = NULL, suspect = NULL, again_us = NULL, again_facts = NULL, looks = 0, looked_at = clock_timestamp(),
                  unconfirmed = unconfirmed AND NOT %(confirmed)s
 WHERE id = %(visit)s

-- name: lower_service
-- The newest closed service was told wrongly: else every resolve of this room would be asked about for ever.
UPDATE rooms r SET closed_service = v.base
  FROM visits v WHERE v.id = %(visit)s AND r.tenant = %(tenant)s AND r.id = v.room AND r.closed_service > v.base
   AND NOT v.base_proved

-- name: look_again
UPDATE visits SET look_at = clock_timestamp() + %(wait_s)s * interval '1 second', owner = 0, suspect = %(suspect)s,
                  looks = looks + %(count)s, looked_at = clock_timestamp()
 WHERE id = %(visit)s

-- name: set_aside
UPDATE visits SET aside = %(reason)s, retry_at = clock_timestamp() + %(wait_s)s * interval '1 second', look_at = NULL,
                  suspect = NULL, looks = 0
 WHERE id = %(visit)s AND state = 'waiting'

-- name: adopt
-- The desk says that this agent has the room: a fact, above the limit or not, so the guard does not ask.
UPDATE visits SET state = 'held', agent = %(agent)s, last_agent = %(agent)s, settled_at = clock_timestamp(),
                  look_at = NULL, suspect = NULL, again_us = NULL, again_facts = NULL, looks = 0,
                  looked_at = clock_timestamp(), lease_until = NULL,
                  unclear_at = NULL, parked = false, aside = NULL, retry_at = NULL, unconfirmed = false,
                  reserved_at = coalesce(reserved_at, clock_timestamp()), attempt = attempt + 1
 WHERE id = %(visit)s

-- name: release
-- Nobody is in the room any more: it waits again, at its old place. What is known of the customer of a session is known
-- again.
UPDATE visits SET state = 'waiting', agent = NULL, look_at = NULL, suspect = NULL, again_us = NULL, again_facts = NULL,
                  looks = 0, first_comment_id = NULL, settled_at = NULL,
                  facts = (SELECT s.facts FROM sessions s WHERE s.tenant = visits.tenant AND s.room = visits.room),
                  change_at = (SELECT clock_timestamp() FROM tenants t WHERE t.id = %(tenant)s AND t.rules_version > 0)
 WHERE id = %(visit)s AND state = 'held'

-- name: event
INSERT INTO events (visit, what, detail) VALUES (%(visit)s, %(what)s, %(detail)s)

-- name: events
INSERT INTO events (visit, what, detail)
SELECT e.visit, %(what)s, left(e.detail, 200) FROM unnest(%(visits)s::bigint[], %(details)s::text[]) AS e(visit, detail)

-- name: count_drift
INSERT INTO drifts (tenant, kind, healed) VALUES (%(tenant)s, %(kind)s, %(n)s)
    ON CONFLICT (tenant, kind) DO UPDATE SET healed = drifts.healed + EXCLUDED.healed, last_at = clock_timestamp()

-- name: desk_works
-- The failures that it ends, if there were any. A pause that the desk asked for goes on: what answers now was perhaps sent
-- before. One of a circuit that was open is over.
UPDATE tenants t SET desk_failures = 0, desk_trouble = NULL,
       paused_until = CASE WHEN was.desk_failures >= %(open)s THEN '-infinity' ELSE t.paused_until END
  FROM (SELECT id, desk_failures FROM tenants WHERE id = %(tenant)s) was
 WHERE t.id = was.id AND (was.desk_failures > 0 OR t.desk_trouble IS NOT NULL)
RETURNING was.desk_failures AS failures

-- name: desk_fails
UPDATE tenants SET desk_failures = desk_failures + %(failures)s, desk_trouble = %(trouble)s
 WHERE id = %(tenant)s RETURNING desk_failures

-- name: desk_pauses
UPDATE tenants SET paused_until = clock_timestamp() + %(wait_s)s * interval '1 second', paused_for = %(wait_s)s * interval '1 second'
 WHERE id = %(tenant)s
   AND (is_due(paused_until, paused_for) OR paused_until < clock_timestamp() + %(wait_s)s * interval '1 second')

-- name: unpark
-- The desk answers again: what was parked meanwhile is tried now.
UPDATE visits SET lease_until = clock_timestamp()
 WHERE tenant = %(tenant)s AND state = 'reserved' AND parked AND unclear_at IS NULL

-- name: has_room
SELECT EXISTS (SELECT FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
                WHERE e.tenant = %(tenant)s AND e.class = %(class_)s AND a.available AND a.open_seats < a.max_load) AS has_room

-- name: steady
-- Our chats that the desk's count must know of, whatever moment since then it speaks of.
SELECT agent, count(*)::integer AS seats FROM visits
 WHERE tenant = %(tenant)s AND state = 'held'
   AND is_due(settled_at + %(window_s)s * interval '1 s', %(window_s)s * interval '1 s') GROUP BY agent

-- name: stays
-- Our seats that the desk's count may speak of, in unix seconds.
SELECT last_agent AS agent, %(now_s)s - seconds_since(reserved_at) AS reserved_s,
       %(now_s)s - seconds_since(settled_at) AS settled_s, %(now_s)s - seconds_since(closed_at) AS ended_s
  FROM visits
 WHERE tenant = %(tenant)s AND last_agent = ANY(%(agents)s::text[]) AND reserved_at IS NOT NULL
   AND (state IN ('reserved', 'held') OR (state = 'closed' AND closed_at >= to_timestamp(%(since_s)s) AND seconds_since(closed_at) < 1000000))

-- name: now
SELECT extract(epoch FROM clock_timestamp())::float8 AS now_s

-- name: lows
SELECT id, foreign_lows FROM agents WHERE tenant = %(tenant)s AND foreign_lows <> '[]'

-- name: put_agents
-- Only those of whom something is new; `seen_at` is right to the day.
INSERT INTO agents (tenant, id, name, available, desk_count, foreign_est, foreign_lows)
SELECT %(tenant)s, r.row ->> 0, r.row ->> 1, (r.row -> 2)::boolean, (r.row ->> 3)::integer, (r.row -> 4)::integer, r.row -> 5
  FROM jsonb_array_elements(%(rows)s::jsonb) AS r(row)
  LEFT JOIN agents a ON a.tenant = %(tenant)s AND a.id = r.row ->> 0
 WHERE a.id IS NULL OR is_due(a.seen_at + interval '1 day', interval '1 day')
    OR (a.name, a.available, a.desk_count, a.foreign_est, a.foreign_lows) IS DISTINCT FROM
       (r.row ->> 1, (r.row -> 2)::boolean, (r.row ->> 3)::integer, (r.row -> 4)::integer, r.row -> 5)
 ORDER BY r.row ->> 0
    ON CONFLICT (tenant, id) DO UPDATE
   SET name = EXCLUDED.name, available = EXCLUDED.available, desk_count = EXCLUDED.desk_count,
       foreign_est = EXCLUDED.foreign_est, foreign_lows = EXCLUDED.foreign_lows, seen_at = clock_timestamp()
RETURNING id

-- name: put_roster
-- Asked for `asked_s` ago, counts as `age_s` old. None: a reader who asked more than a moment later has answered already.
INSERT INTO rosters AS r (tenant, class, read_at, due_at, claimed_until, missing)
VALUES (%(tenant)s, %(class_)s, clock_timestamp() - %(age_s)s * interval '1 second',
        clock_timestamp() + %(again_s)s * interval '1 second', '-infinity', %(missing)s::text[])
    ON CONFLICT (tenant, class) DO UPDATE
   SET read_at = EXCLUDED.read_at, due_at = EXCLUDED.due_at, claimed_until = '-infinity', missing = EXCLUDED.missing
 WHERE r.read_at <= clock_timestamp() + (1 - %(asked_s)s) * interval '1 second' OR r.read_at > clock_timestamp()
RETURNING r.class AS class_

-- name: eligible
SELECT agent FROM eligible WHERE tenant = %(tenant)s AND class = %(class_)s

-- name: drop_eligible
DELETE FROM eligible WHERE tenant = %(tenant)s AND class = %(class_)s AND agent = ANY(%(agents)s::text[])

-- name: put_eligible
INSERT INTO eligible (tenant, class, agent) SELECT %(tenant)s, %(class_)s, a FROM unnest(%(agents)s::text[]) a ORDER BY a
    ON CONFLICT DO NOTHING

-- name: nobody_names
-- Agents whom no class names any more are not online for anybody. NULL: of all.
UPDATE agents a SET available = false, seen_at = clock_timestamp()
 WHERE a.tenant = %(tenant)s AND (%(agents)s::text[] IS NULL OR a.id = ANY(%(agents)s::text[])) AND a.available
   AND NOT EXISTS (SELECT FROM eligible e WHERE e.tenant = a.tenant AND e.agent = a.id)

-- name: roster_failed
-- Nobody asks again before the pause is over. Nothing where another room's answer has come meanwhile.
UPDATE rosters SET claimed_until = clock_timestamp() + %(wait_s)s * interval '1 second', due_at = '-infinity',
                   ask_after = clock_timestamp() + %(wait_s)s * interval '1 second'
 WHERE tenant = %(tenant)s AND class = %(class_)s AND (claimed_until > '-infinity' OR %(wait_s)s > 0)

-- name: doubt_room
-- A waiting room that the desk does not speak of as of one that waits: out of the way while the desk is asked again.
UPDATE visits SET look_at = clock_timestamp() + %(wait_s)s * interval '1 second', owner = 0, suspect = %(suspect)s,
                  looks = 1
 WHERE tenant = %(tenant)s AND room = %(room)s AND state = 'waiting' AND aside IS NULL AND look_at IS NULL
RETURNING id

-- name: pause_room
-- The desk refuses to name agents for it though it waits: the others first.
UPDATE visits SET refusals = refusals + 1, retry_at = clock_timestamp() + %(wait_s)s * interval '1 second'
 WHERE tenant = %(tenant)s AND room = %(room)s AND state = 'waiting' AND look_at IS NULL AND aside IS NULL
RETURNING id

-- name: put_suggestion
UPDATE rosters SET suggested = %(agent)s, claimed_until = '-infinity',
       ask_after = clock_timestamp() + %(wait_s)s * interval '1 second'
 WHERE tenant = %(tenant)s AND class = %(class_)s

-- name: known_rooms
-- Rooms of the desk's unserved list that are ours already, or closed or settled too recently to be believed, or were
-- closed by hand and have written nothing since.
SELECT DISTINCT l.room FROM unnest(%(rooms)s::text[], %(wrote_s)s::float8[]) AS l(room, wrote_s)
  JOIN visits v ON v.tenant = %(tenant)s AND v.room = l.room
 WHERE v.state <> 'closed' OR seconds_since(v.closed_at) < %(lag_s)s
    OR (v.reason = 'not needed' AND coalesce(l.wrote_s, 0) <= extract(epoch FROM v.closed_at))

-- name: claim_sweep
-- Those that are free; who is locked, or comes after `most` others, has its turn at one of the next looks.
UPDATE tenants SET swept_at = clock_timestamp()
 WHERE id IN (SELECT id FROM tenants
               WHERE seconds_since(swept_at) > %(idle_s)s AND is_due(paused_until, paused_for)
               ORDER BY swept_at LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id

-- name: ask_looks
-- Held rooms whose resolve or reassignment may have been missed: first those of agents with fewer chats at the desk
-- than with us, then those not looked at for longest.
UPDATE visits SET look_at = clock_timestamp()
 WHERE id IN (SELECT v.id FROM visits v JOIN agents a ON a.tenant = v.tenant AND a.id = v.agent
               WHERE v.tenant = %(tenant)s AND v.state = 'held' AND v.look_at IS NULL
                 AND seconds_since(v.settled_at) > %(lag_s)s AND seconds_since(v.looked_at) > %(lag_s)s
               ORDER BY coalesce(a.desk_count < a.open_seats, false) DESC, v.looked_at LIMIT %(most)s
                 FOR NO KEY UPDATE OF v SKIP LOCKED)  -- written outside the tenant's lock: waits for nobody

-- name: due
-- Tenants with work that no webhook will ask for: leases, looks, pauses that are over, rosters to be read again.
WITH live AS (
    SELECT objid::integer AS id FROM pg_locks
     WHERE locktype = 'advisory' AND classid = %(lock_class)s AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
pairs AS (
    SELECT DISTINCT tenant FROM visits
     WHERE state = 'reserved' AND (is_due(lease_until, interval '61 s') OR (NOT parked AND owner NOT IN (SELECT id FROM live)))),
looks AS (
    SELECT DISTINCT tenant FROM visits
     WHERE look_at IS NOT NULL AND state IN ('waiting', 'held')
       AND (is_due(look_at, interval '61 s') OR (owner <> 0 AND owner NOT IN (SELECT id FROM live))))
SELECT t.id, (is_due(t.paused_until, t.paused_for) AND (
       t.id IN (SELECT tenant FROM pairs) OR t.id IN (SELECT tenant FROM looks)
    OR EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.state = 'waiting'
                  AND is_due(v.retry_at, CASE WHEN v.aside IS NULL THEN interval '61 s' ELSE interval '301 s' END))
    OR t.rerouting OR is_due(t.shut_until, interval '1 day')
    OR EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.state = 'waiting' AND is_due(v.change_at, interval '1 day'))
    OR t.shut_until IS NULL AND NOT t.draining AND EXISTS (SELECT FROM rosters r WHERE r.tenant = t.id
                  AND (is_due(r.claimed_until, interval '5 s') OR r.claimed_by NOT IN (SELECT id FROM live))
                  AND (is_due(r.due_at, %(retry_s)s * interval '1 s') OR (%(asks_desk)s AND is_due(r.ask_after, interval '5 s')))
                  AND EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.class = r.class AND v.state = 'waiting'
                                 AND v.aside IS NULL AND v.look_at IS NULL AND v.retry_at IS NULL))
    OR EXISTS (SELECT FROM doubts d WHERE d.tenant = t.id AND d.out_until > '-infinity' AND is_due(d.out_until, interval '301 s'))
    OR EXISTS (SELECT FROM rosters r WHERE r.tenant = t.id AND r.assign_after > '-infinity'
                  AND is_due(r.assign_after, interval '16 s'))
    OR (t.desk_failures > 0 AND EXISTS (SELECT FROM agents a
                                         WHERE a.tenant = t.id AND a.available AND a.load < a.max_load)
                            AND EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.state = 'waiting'
                                           AND v.aside IS NULL AND v.look_at IS NULL))
    -- Our own chat has no inbox: a ticket that was lost after the commit would be missed by nobody else.
    OR (t.desk = 'native' AND t.shut_until IS NULL AND NOT t.draining AND EXISTS (SELECT FROM visits v WHERE v.tenant = t.id AND v.state = 'waiting'
                                         AND v.aside IS NULL AND v.look_at IS NULL AND v.retry_at IS NULL)
                          AND (EXISTS (SELECT FROM agents a
                                        WHERE a.tenant = t.id AND a.available AND a.load < a.max_load)
                               OR NOT EXISTS (SELECT FROM rosters r WHERE r.tenant = t.id))))) AS due
  FROM tenants t ORDER BY t.id

-- name: tenants
SELECT id, desk, base_url, secret_key, webhook_digest FROM tenants ORDER BY id

-- name: free_tenants
SELECT id FROM tenants WHERE id = ANY(%(tenants)s::text[]) FOR NO KEY UPDATE SKIP LOCKED

-- name: all_agents
-- Those whose limit may matter now.
SELECT tenant, id FROM agents WHERE available OR open_seats > 0 ORDER BY tenant, id

-- name: make_installation
INSERT INTO installation (id) VALUES (%(id)s) ON CONFLICT DO NOTHING

-- name: installation
SELECT id FROM installation

-- name: rename_installation
UPDATE installation SET id = %(id)s

-- name: next_worker
SELECT nextval('worker_ids')::integer AS id

-- name: put_tenant
INSERT INTO tenants (id, base_url, secret_key) VALUES (%(tenant)s, %(base_url)s, %(secret_key)s)
    ON CONFLICT (id) DO UPDATE SET base_url = EXCLUDED.base_url, secret_key = EXCLUDED.secret_key
 WHERE tenants.desk = 'qiscus' AND (tenants.base_url, tenants.secret_key) <> (EXCLUDED.base_url, EXCLUDED.secret_key)

-- name: snapshot
SELECT rev FROM tenants WHERE id = %(tenant)s FOR NO KEY UPDATE

-- name: open_rooms
SELECT room, state, arrived_us FROM visits WHERE tenant = %(tenant)s AND state <> 'closed'

-- name: open_rooms_of
SELECT room, state, arrived_us FROM visits
WHERE tenant = %(tenant)s AND state <> 'closed' AND room = ANY(%(rooms)s)

-- name: cached_seats
SELECT id, open_seats FROM agents WHERE tenant = %(tenant)s AND (available OR open_seats > 0)

-- name: figures
-- Of one tenant, or of all (NULL).
SELECT t.id AS tenant,
       coalesce(t.desk_trouble, (SELECT min(r.refused_alike) FROM rosters r WHERE r.tenant = t.id)) AS desk_trouble,
       (SELECT count(DISTINCT d.agent) FROM doubts d WHERE d.tenant = t.id) AS agents_refused,
       NOT is_due(t.paused_until, t.paused_for) AS paused,
       count(v.id) FILTER (WHERE v.state = 'waiting' AND v.aside IS NULL) AS waiting,
       count(v.id) FILTER (WHERE v.aside IS NOT NULL) AS aside,
       count(v.id) FILTER (WHERE v.state = 'reserved') AS reserved,
       count(v.id) FILTER (WHERE v.state = 'held') AS held,
       coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(v.opened_at) FILTER (WHERE v.state = 'waiting'))), 0)::float8
           AS oldest_wait_s,
       (SELECT count(*) FROM agents a WHERE a.tenant = t.id AND a.available) AS agents_online,
       (SELECT coalesce(sum(greatest(0, a.max_load - a.load)), 0) FROM agents a WHERE a.tenant = t.id AND a.available)
           AS seats_free
  FROM tenants t LEFT JOIN visits v ON v.tenant = t.id AND v.state <> 'closed'
 WHERE %(tenant)s::text IS NULL OR t.id = %(tenant)s
 GROUP BY t.id ORDER BY t.id

-- name: queue_figures
-- Of each queue of the rules, or else channel, whose rooms are open. A tenant without any has one row, without a queue.
SELECT t.id AS tenant, coalesce(v.queue, 'channel:' || v.channel, '') AS queue,
       count(v.id) FILTER (WHERE v.state = 'waiting' AND v.aside IS NULL) AS waiting,
       count(v.id) FILTER (WHERE v.aside IS NOT NULL) AS aside,
       count(v.id) FILTER (WHERE v.state = 'reserved') AS reserved,
       count(v.id) FILTER (WHERE v.state = 'held') AS held,
       coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(v.opened_at) FILTER (WHERE v.state = 'waiting'))), 0)::float8
           AS oldest_wait_s
  FROM tenants t LEFT JOIN visits v ON v.tenant = t.id AND v.state <> 'closed'
 GROUP BY 1, 2 ORDER BY 1, 2

-- name: webhook_figures
-- Of tenants that get webhooks: when the last one came that was taken over, in unix seconds. NULL: Redis has been emptied
-- since, or none ever came.
SELECT id AS tenant, nullif(split_part(inbox_seen, '-', 1)::float8, 0) / 1000 AS last_at
  FROM tenants WHERE desk <> %(native)s ORDER BY id

-- name: drift_figures
SELECT tenant, kind, healed FROM drifts

-- name: claim_prune
UPDATE tenants SET pruned_at = clock_timestamp()
 WHERE id IN (SELECT id FROM tenants WHERE seconds_since(pruned_at) > 3600
               ORDER BY pruned_at LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id

-- name: prune
DELETE FROM visits WHERE id IN (
    SELECT id FROM visits WHERE tenant = %(tenant)s AND state = 'closed'
       AND closed_at < clock_timestamp() - %(keep_days)s * interval '1 day' ORDER BY closed_at LIMIT %(most)s
       FOR UPDATE SKIP LOCKED)

-- name: prune_chats
-- Chats of our own that were over so long ago, with their messages, notes, and the rows of their files, which a
-- sidecar then takes off its shelf.
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE tenant = %(tenant)s AND status = 'ended'
       AND ended_at < clock_timestamp() - %(keep_days)s * interval '1 day' ORDER BY ended_at LIMIT %(most)s)
RETURNING customer

-- name: prune_customers
-- Of whom nothing is left.
DELETE FROM customers c WHERE c.id = ANY(%(customers)s::bigint[])
   AND NOT EXISTS (SELECT FROM sessions s WHERE s.customer = c.id)

-- name: prune_again
UPDATE tenants SET pruned_at = '-infinity'
 WHERE id IN (SELECT id FROM tenants WHERE id = %(tenant)s FOR NO KEY UPDATE SKIP LOCKED)

-- name: prune_rounds
-- Rounds and their decisions, once no visit of theirs is left.
WITH old AS (
    SELECT r.id FROM rounds r
     WHERE r.tenant = %(tenant)s AND r.at < clock_timestamp() - %(keep_days)s * interval '1 day'
       AND NOT EXISTS (SELECT FROM decisions d JOIN visits v ON v.id = d.visit WHERE d.round = r.id)
     ORDER BY r.at LIMIT 5000),
gone AS (DELETE FROM decisions WHERE round IN (SELECT id FROM old))
DELETE FROM rounds WHERE id IN (SELECT id FROM old)

-- name: prune_audit
DELETE FROM audit WHERE id IN (
    SELECT id FROM audit WHERE (tenant = %(tenant)s OR tenant IS NULL)
       AND at < clock_timestamp() - %(keep_days)s * interval '1 day' ORDER BY at LIMIT %(most)s FOR UPDATE SKIP LOCKED)

-- name: prune_rooms
-- Of which nothing was heard for so long, and no visit is left.
DELETE FROM rooms r WHERE r.tenant = %(tenant)s AND r.id IN (
    SELECT id FROM rooms o WHERE o.tenant = %(tenant)s
       AND o.seen_at < clock_timestamp() - %(keep_days)s * interval '1 day'
       AND NOT EXISTS (SELECT FROM visits v WHERE v.tenant = o.tenant AND v.room = o.id AND v.state <> 'closed')
       AND NOT EXISTS (SELECT FROM visits v WHERE v.tenant = o.tenant AND v.room = o.id AND v.state = 'closed')
     LIMIT %(most)s)

-- name: unused_classes
-- Nobody has asked who serves them for so long.
SELECT r.class AS class_ FROM rosters r JOIN tenants t ON t.id = r.tenant
 WHERE r.tenant = %(tenant)s AND t.desk = 'qiscus' AND isfinite(r.read_at)
   AND r.read_at < clock_timestamp() - %(keep_days)s * interval '1 day'
   AND NOT EXISTS (SELECT FROM visits v WHERE v.tenant = r.tenant AND v.class = r.class AND v.state = 'waiting')
 LIMIT %(most)s

-- name: prune_rosters
DELETE FROM rosters WHERE tenant = %(tenant)s AND class = ANY(%(classes)s::text[])

-- name: prune_agents
-- Whom no class names any more, and of whose rooms nothing is kept. Few at once: each is looked for among all visits.
DELETE FROM agents a WHERE a.tenant = %(tenant)s AND a.id IN (
    SELECT id FROM agents o WHERE o.tenant = %(tenant)s AND NOT o.available AND o.open_seats = 0
       AND o.seen_at < clock_timestamp() - %(keep_days)s * interval '1 day'
       AND NOT EXISTS (SELECT FROM eligible e WHERE e.tenant = o.tenant AND e.agent = o.id)
       AND NOT EXISTS (SELECT FROM accounts c WHERE c.tenant = o.tenant AND c.agent = o.id)
       AND NOT EXISTS (SELECT FROM visits v WHERE v.tenant = o.tenant AND v.last_agent = o.id)
     LIMIT %(most)s)

-- name: prune_refused
DELETE FROM refused WHERE tenant = %(tenant)s AND at < clock_timestamp() - %(keep_days)s * interval '1 day'
