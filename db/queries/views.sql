-- What supervisors and operators see, in the terminal and on the page: queues, agents, stories of rooms. Nothing here writes.

-- name: now
SELECT clock_timestamp() AS at

-- name: tenant_ids
SELECT id FROM tenants ORDER BY id

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

-- name: epoch
-- The life of Redis that the ledger has read in.
SELECT inbox_epoch AS epoch FROM tenants WHERE id = %(tenant)s

-- name: copies
SELECT scope, value, invalid FROM limits WHERE tenant = %(tenant)s

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
   AND (%(state)s::text IS NULL OR %(state)s::text = CASE WHEN w.aside IS NOT NULL THEN 'quarantined'
                                                          WHEN w.look_at IS NOT NULL THEN 'verified' ELSE 'waiting' END)
   AND (%(pattern)s::text IS NULL OR w.room ILIKE %(pattern)s::text
        OR EXISTS (SELECT FROM sessions s JOIN customers c ON c.id = s.customer
                    WHERE s.tenant = %(tenant)s AND s.room = w.room
                      AND (s.customer_name ILIKE %(pattern)s::text OR c.email ILIKE %(pattern)s::text)))
 ORDER BY w.position OFFSET %(skip)s LIMIT %(most)s

-- name: waiting_queues
-- Each queue in which rooms wait: how many, since when, whether anybody who may serve one of its rooms is there, and
-- what its rules name in vain.
SELECT coalesce(v.queue, 'channel:' || v.channel) AS queue, sum(v.n)::int AS waiting, min(v.arrived_us) AS oldest_us,
       bool_or(r.read_at > '-infinity' AND NOT EXISTS (
           SELECT FROM eligible e JOIN agents a ON a.tenant = e.tenant AND a.id = e.agent
            WHERE e.tenant = r.tenant AND e.class = r.class AND a.available)) AS nobody,
       coalesce(string_agg(DISTINCT array_to_string(r.missing, '; '), '; ') FILTER (WHERE r.missing <> '{}'), '') AS missing
  FROM (SELECT queue, channel, class, count(*) AS n, min(arrived_us) AS arrived_us FROM visits
         WHERE tenant = %(tenant)s AND state = 'waiting' AND aside IS NULL GROUP BY 1, 2, 3) v
  LEFT JOIN rosters r ON r.tenant = %(tenant)s AND r.class = v.class
 GROUP BY 1 ORDER BY 1

-- name: customers_of
-- Of rooms that are sessions of our own chat.
SELECT room, customer_name AS name FROM sessions WHERE tenant = %(tenant)s AND room = ANY(%(rooms)s::text[])

-- name: handling
-- How long the last 50 chats took that were served and ended within a week; and the agents who are waited for.
SELECT past.lengths,
       ARRAY(SELECT s.id FROM agents s WHERE s.tenant = %(tenant)s AND s.available AND $who_is_waited_for) AS waited_for
  FROM ($last_lengths) past

-- name: tenant
SELECT id, name, desk, draining, rules_version, created_at FROM tenants WHERE id = %(tenant)s

-- name: postgres
SELECT split_part(current_setting('server_version'), ' ', 1) AS version, current_setting('max_connections')::integer AS most,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer AS connections

-- name: desks
-- How each desk does, and what was healed there.
SELECT t.id AS tenant, t.desk_failures, t.desk_trouble,
       CASE WHEN NOT is_due(t.paused_until, t.paused_for) THEN t.paused_until END AS paused_until,
       coalesce((SELECT jsonb_object_agg(d.kind, d.healed) FROM drifts d WHERE d.tenant = t.id), '{}') AS drift,
       coalesce((SELECT jsonb_object_agg(reason, n) FROM (SELECT reason, count(*) AS n FROM refused r
                  WHERE r.tenant = t.id GROUP BY reason ORDER BY n DESC LIMIT 10) x), '{}') AS refused
  FROM tenants t WHERE t.desk = 'qiscus' ORDER BY t.id

-- name: revs
-- Which tenants have changed.
SELECT id, rev FROM tenants

-- name: seated
-- The chats of agents, oldest first, some of each.
SELECT agent, room, queue, channel, class_, state, since FROM (
    SELECT agent, room, queue, channel, class AS class_, state, coalesce(settled_at, reserved_at) AS since,
           row_number() OVER (PARTITION BY agent ORDER BY coalesce(settled_at, reserved_at)) AS nth
      FROM visits WHERE tenant = %(tenant)s AND state IN ('reserved', 'held')) v
 WHERE nth <= %(most)s ORDER BY agent, nth

-- name: agents_today
-- Since then: how many chats each agent was given, and how long half of those took that have ended.
SELECT last_agent AS agent, count(*) AS answered,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY $handled_s) AS median_s
  FROM ($visits_since) v WHERE settled_at >= %(since)s AND last_agent IS NOT NULL GROUP BY 1

-- name: midnight
SELECT date_trunc('day', clock_timestamp(), 'UTC') AS at

-- name: presence_since
SELECT agent, absent_since FROM accounts WHERE tenant = %(tenant)s

-- name: quarantined
SELECT count(*) AS rooms, min(opened_at) AS since FROM visits
 WHERE tenant = %(tenant)s AND state = 'waiting' AND aside IS NOT NULL

-- name: stream
-- Decisions, newest first. Every filter may be NULL.
SELECT d.id, d.visit, d.agent, d.load_before, d.seat_limit, r.at, r.policy, r.candidates, r.crew,
       v.room, v.queue, v.channel, v.class AS class_, v.arrived_us,
       ARRAY(SELECT e.agent FROM decisions e WHERE e.round = d.round AND e.id < d.id ORDER BY e.id) AS earlier
  FROM (SELECT * FROM rounds WHERE tenant = %(tenant)s AND (%(policy)s::text IS NULL OR policy = %(policy)s::text)
         ORDER BY at DESC LIMIT %(rounds)s) r
  JOIN decisions d ON d.round = r.id LEFT JOIN visits v ON v.id = d.visit
 WHERE (%(before)s::bigint IS NULL OR d.id < %(before)s::bigint)
   AND (%(agent)s::text IS NULL OR d.agent = %(agent)s::text)
   AND (%(queue)s::text IS NULL OR lower(coalesce(v.queue, 'channel:' || v.channel)) = %(queue)s::text)
 ORDER BY d.id DESC LIMIT %(most)s

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

-- name: counts
SELECT t.desk_failures, t.draining,
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

-- name: led
-- Waiting rooms: where each stands, and what is known of it; those alike together, unless the time of arrival counts.
SELECT min(room) AS room, channel, source, min(arrived_us) AS arrived_us, facts, queue, rule, count(*) AS rooms
  FROM visits WHERE tenant = %(tenant)s AND state = 'waiting'
 GROUP BY channel, source, facts, queue, rule, CASE WHEN %(by_time)s THEN arrived_us END

-- name: rule_files
SELECT version, content, applied_at, applied_by, count(*) OVER () AS of
  FROM rule_files WHERE tenant = %(tenant)s ORDER BY version DESC LIMIT %(most)s
