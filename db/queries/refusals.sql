-- Whose fault is a refusal (H13)? Rows exist only while something is unjudged, so all of this is small.

-- name: note
-- `fresh`: the first refusal of this room, by anybody; forgiven ones do not count.
INSERT INTO refusals AS r (visit, agent, tenant, why) VALUES (%(visit)s, %(agent)s, %(tenant)s, %(why)s)
    ON CONFLICT (visit, agent) DO UPDATE SET times = r.times + 1, why = EXCLUDED.why
RETURNING r.times = 1 AND NOT EXISTS (
              SELECT FROM refusals o WHERE o.visit = r.visit AND o.agent <> r.agent AND o.times > 0) AS fresh

-- name: doubt
-- A refused agent. `in_row`: rooms refused with no room given between, of this class or of any.
INSERT INTO doubts AS d (tenant, class, agent, why) VALUES (%(tenant)s, %(class_)s, %(agent)s, %(why)s)
    ON CONFLICT (tenant, class, agent) DO UPDATE
   SET refused = d.refused + %(strike)s, why = EXCLUDED.why, unproved = true
RETURNING d.outs, NOT is_due(d.out_until, interval '301 s') AS is_out,
          d.refused + (SELECT coalesce(sum(o.refused), 0) FROM doubts o
                        WHERE o.tenant = d.tenant AND o.agent = d.agent AND o.class <> d.class AND o.unproved)::integer
              AS in_row

-- name: leave_out
UPDATE doubts SET outs = outs + 1, out_until = clock_timestamp() + %(wait_s)s * interval '1 second'
 WHERE tenant = %(tenant)s AND agent = %(agent)s AND (class = %(class_)s OR unproved)

-- name: ask_roster
-- Perhaps the desk does not list the agent any more.
UPDATE rosters SET due_at = '-infinity' WHERE tenant = %(tenant)s AND class = %(class_)s

-- name: others
-- Agents with whom the room has not been tried and who are not left out.
SELECT count(*) AS n
  FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
 WHERE e.tenant = %(tenant)s AND e.class = %(class_)s AND a.available AND a.max_load > 0
   AND NOT EXISTS (SELECT FROM refusals r WHERE r.visit = %(visit)s AND r.agent = e.agent)
   AND NOT EXISTS (SELECT FROM doubts d WHERE d.tenant = e.tenant AND d.class = e.class AND d.agent = e.agent
                      AND NOT is_due(d.out_until, interval '301 s'))

-- name: alike
-- Classes of which every agent is under doubt, after refusals of more than one room: no row where it is not so.
SELECT c AS class_, r.alike_tries AS tries
  FROM unnest(%(classes)s::text[]) AS c
  JOIN rosters r ON r.tenant = %(tenant)s AND r.class = c
 WHERE (SELECT count(DISTINCT f.visit) FROM refusals f JOIN visits v ON v.id = f.visit
         WHERE f.tenant = %(tenant)s AND v.class = c AND v.state = 'waiting' AND v.aside IS NULL
           AND f.times > 0) > 1
   AND NOT EXISTS (SELECT FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
                    WHERE e.tenant = %(tenant)s AND e.class = c AND a.available AND a.max_load > 0
                      AND NOT EXISTS (SELECT FROM doubts d
                                       WHERE d.tenant = e.tenant AND d.class = c AND d.agent = e.agent))

-- name: stop_class
-- The desk's trouble, no agent's: nobody of the class is left out, but its rooms are tried one at a time.
WITH free AS (
    UPDATE doubts SET outs = 0, out_until = '-infinity' WHERE tenant = %(tenant)s AND class = %(class_)s)
UPDATE rosters SET refused_alike = %(why)s, alike_tries = alike_tries + 1,
       assign_after = clock_timestamp() + %(wait_s)s * interval '1 second'
 WHERE tenant = %(tenant)s AND class = %(class_)s

-- name: resume_classes
-- The desk has given a room of the class to somebody. Until now it was in trouble: what it refused meanwhile is forgiven.
WITH resumed AS (
    UPDATE rosters SET refused_alike = NULL, alike_tries = 0, assign_after = '-infinity'
     WHERE tenant = %(tenant)s AND refused_alike IS NOT NULL
       AND class IN (SELECT class FROM visits WHERE id = ANY(%(visits)s::bigint[]) AND state IN ('held', 'closed'))
    RETURNING class),
rooms AS (
    UPDATE visits v SET retry_at = NULL FROM resumed r
     WHERE v.tenant = %(tenant)s AND v.class = r.class AND v.state = 'waiting' AND v.aside IS NULL AND v.refusals > 0),
forgiven AS (
    UPDATE refusals f SET forgiven = true, times = 0 FROM visits v, resumed r
     WHERE v.id = f.visit AND v.tenant = %(tenant)s AND v.class = r.class AND v.state = 'waiting'
       AND NOT f.forgiven AND NOT f.accepted),
again AS (
    UPDATE doubts d SET refused = 1, outs = 0 FROM resumed r WHERE d.tenant = %(tenant)s AND d.class = r.class)
SELECT class AS class_ FROM resumed

-- name: accepted
-- Visits that were given: their agents are good for the class, their rooms for the agent, and whatever else those
-- agents were refused for is nearer to being the room's fault.
WITH held AS (
    SELECT id, class, last_agent AS agent FROM visits
     WHERE id = ANY(%(visits)s::bigint[]) AND state IN ('held', 'closed')),
cleared AS (
    DELETE FROM doubts d USING held h WHERE d.tenant = %(tenant)s AND d.class = h.class AND d.agent = h.agent
    RETURNING d.class, d.agent),
proved AS (
    UPDATE doubts d SET unproved = false
     WHERE d.tenant = %(tenant)s AND d.unproved AND d.agent IN (SELECT agent FROM held)
       AND NOT EXISTS (SELECT FROM held h WHERE h.class = d.class AND h.agent = d.agent)
    RETURNING d.class, d.agent),
forgotten AS (
    DELETE FROM refusals WHERE visit IN (SELECT id FROM held)),
told AS (
    UPDATE refusals r SET accepted = true
     WHERE r.tenant = %(tenant)s AND NOT r.accepted AND r.times > 0 AND r.agent IN (SELECT agent FROM held)
       AND r.visit NOT IN (SELECT id FROM held))
SELECT class AS class_, agent FROM cleared UNION SELECT class, agent FROM proved ORDER BY 1, 2

-- name: judge_rooms
-- The room's fault: two of the agents who were refused for it were given another room since; or one was, who was
-- refused for it three times, and nobody else may serve it.
WITH judged AS (
    SELECT r.visit, (array_agg(r.why ORDER BY r.at DESC))[1] AS why
      FROM refusals r JOIN visits v ON v.id = r.visit
     WHERE r.tenant = %(tenant)s AND v.state = 'waiting' AND v.aside IS NULL AND v.refusals > 0
     GROUP BY r.visit, v.class
    HAVING count(*) FILTER (WHERE r.accepted) >= 2
        OR max(r.times) FILTER (WHERE r.accepted) >= 3
           AND NOT EXISTS (SELECT FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
                            WHERE e.tenant = %(tenant)s AND e.class = v.class AND a.available AND a.max_load > 0
                              AND NOT EXISTS (SELECT FROM refusals o WHERE o.visit = r.visit AND o.agent = e.agent)
                              AND NOT EXISTS (SELECT FROM doubts d WHERE d.tenant = e.tenant AND d.class = e.class
                                                 AND d.agent = e.agent)))
UPDATE visits v SET aside = j.why, retry_at = clock_timestamp() + %(wait_s)s * interval '1 second', look_at = NULL,
       suspect = NULL, looks = 0
  FROM judged j WHERE v.id = j.visit
RETURNING v.id, v.room, v.aside

-- name: lift
-- What time alone ends.
WITH in_again AS (
    UPDATE doubts SET out_until = '-infinity'
     WHERE tenant = %(tenant)s AND out_until > '-infinity' AND is_due(out_until, interval '301 s'))
UPDATE rosters SET assign_after = '-infinity'
 WHERE tenant = %(tenant)s AND assign_after > '-infinity' AND is_due(assign_after, interval '16 s')

-- name: withdraw
-- Of rooms that are over. Where one was never given, it was perhaps over already when an agent was refused for it: that
-- says nothing of the agent. Other doubts stay: the next room shows whether they are right.
WITH gone AS (
    DELETE FROM refusals r USING visits v WHERE r.tenant = %(tenant)s AND v.id = r.visit AND v.state = 'closed'
    RETURNING r.visit, r.agent, r.at, v.class, v.settled_at IS NULL AS never_given),
rooms AS (
    SELECT class, agent, at = min(at) OVER (PARTITION BY visit) AS counted FROM gone WHERE never_given),
mine AS (
    SELECT d.class, d.agent, d.refused - count(*) FILTER (WHERE m.counted) AS rest,
           EXISTS (SELECT FROM refusals o JOIN visits v ON v.id = o.visit
                    WHERE o.tenant = d.tenant AND o.agent = d.agent AND v.class = d.class AND v.state <> 'closed') AS others
      FROM rooms m JOIN doubts d ON d.tenant = %(tenant)s AND d.class = m.class AND d.agent = m.agent
     GROUP BY d.tenant, d.class, d.agent),
cleared AS (
    DELETE FROM doubts d USING mine m
     WHERE d.tenant = %(tenant)s AND d.class = m.class AND d.agent = m.agent AND m.rest <= 0 AND NOT m.others)
UPDATE doubts d SET refused = greatest(0, m.rest) FROM mine m
 WHERE d.tenant = %(tenant)s AND d.class = m.class AND d.agent = m.agent AND (m.rest > 0 OR m.others)

-- name: doubted
-- `busy`: a room of theirs is under way.
SELECT d.class AS class_, d.agent, d.unproved, NOT is_due(d.out_until, interval '301 s') AS is_out,
       EXISTS (SELECT FROM visits v WHERE v.tenant = d.tenant AND v.agent = d.agent AND v.state = 'reserved') AS busy
  FROM doubts d WHERE d.tenant = %(tenant)s

-- name: refused
SELECT r.visit, r.agent FROM refusals r JOIN visits v ON v.id = r.visit
 WHERE r.tenant = %(tenant)s AND v.state = 'waiting'

-- name: stopped
-- `waits`: the next room's time has not come, or the answer for the one before is not there.
SELECT r.class AS class_, NOT is_due(r.assign_after, interval '16 s') OR EXISTS (
           SELECT FROM visits v WHERE v.tenant = r.tenant AND v.class = r.class AND v.state = 'reserved' AND NOT v.parked
       ) AS waits
  FROM rosters r WHERE r.tenant = %(tenant)s AND r.refused_alike IS NOT NULL

-- name: listed
-- A roster was read: who is not in it any more is tried anew when the desk names them again, and so is who is offline.
WITH gone AS (
    DELETE FROM doubts WHERE tenant = %(tenant)s AND class = %(class_)s AND agent <> ALL(%(agents)s::text[]))
UPDATE doubts SET out_until = '-infinity'
 WHERE tenant = %(tenant)s AND class = %(class_)s AND agent = ANY(%(offline)s::text[]) AND out_until > '-infinity'
