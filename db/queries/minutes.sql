-- What happened by the minute: written by workers, read by charts.

-- name: due
-- Tenants whose last minutes are not written yet. One whose clock was stepped back goes on from now.
SELECT id AS tenant FROM tenants
 WHERE seconds_since(minutes_to) >= 60
 ORDER BY minutes_to LIMIT %(most)s

-- name: write
-- Every whole minute since the last one that is written, an hour back at most, from the times of visits: who writes late
-- writes the same. A visit that moved counts where it is now. Twice is once.
WITH span AS (
    SELECT CASE WHEN seconds_since(minutes_to) < 3600 THEN minutes_to
                ELSE date_trunc('minute', clock_timestamp()) - interval '60 minutes' END AS since,
           date_trunc('minute', clock_timestamp()) AS until
      FROM tenants WHERE id = %(tenant)s),
v AS MATERIALIZED (
    SELECT coalesce(x.queue, 'channel:' || x.channel) AS queue, x.opened_at, x.closed_at,
           CASE WHEN x.state <> 'waiting' THEN x.settled_at END AS settled_at,
           ($waited_s)::real AS waited_s
      FROM (SELECT * FROM visits WHERE tenant = %(tenant)s AND state <> 'closed'
             UNION ALL
            SELECT o.* FROM span, visits o WHERE o.tenant = %(tenant)s AND o.state = 'closed' AND o.closed_at >= span.since) x),
steps AS (  -- what was before, is in the minute before the first
    SELECT queue, greatest(date_trunc('minute', e.moment), span.since - interval '1 minute') AS at, e.*
      FROM span, v CROSS JOIN LATERAL (VALUES
           (v.opened_at, 1, 1, 0, 0, 0, 0, NULL),
           (v.settled_at, -1, 0, 1, 0, 0, 1, v.waited_s),
           (CASE WHEN v.settled_at IS NOT NULL THEN v.closed_at END, 0, 0, 0, 1, 0, -1, NULL),
           (CASE WHEN v.settled_at IS NULL THEN v.closed_at END, -1, 0, 0, 0, 1, 0, NULL))
           AS e(moment, waiting, arrived, assigned, resolved, abandoned, taken, wait)
     WHERE e.moment < span.until),
minutes_of AS (SELECT at, at + interval '1 minute' AS over FROM span, generate_series(since - interval '1 minute', until - interval '1 minute', '1 minute') at),
sums AS (
    SELECT at, CASE WHEN GROUPING(queue) = 1 THEN '' ELSE queue END AS queue, sum(waiting) AS waiting, sum(arrived) AS arrived,
           sum(assigned) AS assigned, sum(resolved) AS resolved, sum(abandoned) AS abandoned, sum(taken) AS taken,
           array_agg(wait ORDER BY wait) FILTER (WHERE wait IS NOT NULL) AS waits
      FROM steps GROUP BY at, GROUPING SETS ((), (queue))),
counted AS (
    SELECT m.at, q.queue, coalesce(s.arrived, 0) AS arrived, coalesce(s.assigned, 0) AS assigned,
           coalesce(s.resolved, 0) AS resolved, coalesce(s.abandoned, 0) AS abandoned, s.waits,
           sum(coalesce(s.waiting, 0)) OVER past AS waiting, sum(coalesce(s.taken, 0)) OVER past AS taken
      FROM minutes_of m CROSS JOIN (SELECT DISTINCT queue FROM sums) q
      LEFT JOIN sums s ON s.at = m.at AND s.queue = q.queue
    WINDOW past AS (PARTITION BY q.queue ORDER BY m.at)),
here AS (
    SELECT coalesce(sum(greatest(0, max_load - load)) FILTER (WHERE available), 0)::integer AS free,
           bool_or(available) AS any FROM agents WHERE tenant = %(tenant)s),
written AS (
    INSERT INTO minutes (tenant, at, queue, waiting, arrived, assigned, resolved, abandoned, waits, seats_taken, seats_free)
    SELECT %(tenant)s, m.at, coalesce(c.queue, ''), coalesce(c.waiting, 0), coalesce(c.arrived, 0), coalesce(c.assigned, 0),
           coalesce(c.resolved, 0), coalesce(c.abandoned, 0),
           coalesce((SELECT array_agg(w ORDER BY n) FROM unnest(c.waits) WITH ORDINALITY u(w, n)
                      WHERE n %% greatest(1, ceil(cardinality(c.waits) / %(waits)s::float8)::integer) = 0
                         OR cardinality(c.waits) <= %(waits)s), '{}'),
           coalesce(c.taken, 0), CASE WHEN m.over = span.until AND coalesce(c.queue, '') = '' THEN here.free END
      FROM span CROSS JOIN here CROSS JOIN minutes_of m LEFT JOIN counted c ON c.at = m.at
     WHERE m.at >= span.since AND (c.waiting + c.arrived + c.assigned + c.resolved + c.abandoned + c.taken > 0
        OR (coalesce(c.queue, '') = '' AND here.any AND m.over = span.until))
        ON CONFLICT DO NOTHING
    RETURNING 1)
SELECT span.until, (SELECT count(*) FROM written) AS rows FROM span

-- name: written
-- Not waiting for who has the tenant's row: the next look writes the same minutes again, into nothing.
UPDATE tenants SET minutes_to = %(until)s
 WHERE id IN (SELECT id FROM tenants WHERE id = %(tenant)s FOR NO KEY UPDATE SKIP LOCKED)

-- name: series
-- Points of equal steps up to now; the last one is not over yet. Before the tenant was added, and where nothing is
-- written yet, nothing is known.
WITH steps AS (
    SELECT at, at + %(step_s)s * interval '1 s' AS over
      FROM generate_series(to_timestamp(floor(extract(epoch FROM clock_timestamp() - %(range_s)s * interval '1 s') / %(step_s)s) * %(step_s)s),
                           clock_timestamp(), %(step_s)s * interval '1 s') at)
SELECT s.at, coalesce(m.waiting, k.nothing) AS waiting, coalesce(m.arrived, k.nothing)::integer AS arrived,
       coalesce(m.assigned, k.nothing)::integer AS assigned, coalesce(m.abandoned, k.nothing)::integer AS abandoned,
       w.p50 AS wait_p50_s, w.p95 AS wait_p95_s, coalesce(m.seats_taken, k.nothing) AS seats_taken,
       coalesce(m.seats_free, k.nothing) AS seats_free
  FROM steps s
  LEFT JOIN (SELECT created_at, minutes_to, 0 AS nothing FROM tenants WHERE id = %(tenant)s) k
    ON s.over > k.created_at AND s.at < k.minutes_to
  LEFT JOIN LATERAL (
       SELECT (array_agg(waiting ORDER BY at DESC))[1] AS waiting, sum(arrived) AS arrived, sum(assigned) AS assigned,
              sum(abandoned) AS abandoned, (array_agg(seats_taken ORDER BY at DESC))[1] AS seats_taken,
              (array_agg(seats_free ORDER BY at DESC) FILTER (WHERE seats_free IS NOT NULL))[1] AS seats_free
         FROM minutes WHERE tenant = %(tenant)s AND queue = %(queue)s AND at >= s.at AND at < s.over) m ON true
  LEFT JOIN LATERAL (
       SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait)::numeric, 1)::float8 AS p50,
              round(percentile_cont(0.95) WITHIN GROUP (ORDER BY wait)::numeric, 1)::float8 AS p95
         FROM minutes, unnest(waits) AS wait
        WHERE tenant = %(tenant)s AND queue = %(queue)s AND at >= s.at AND at < s.over) w ON true
 ORDER BY s.at

-- name: queues
SELECT DISTINCT queue FROM minutes
 WHERE tenant = %(tenant)s AND at > clock_timestamp() - %(range_s)s * interval '1 s' AND queue <> '' ORDER BY 1

-- name: marks
-- What changed in that time: limits, rules, drains, and a desk that failed.
SELECT at, what, who, subject, before, after FROM audit
 WHERE tenant = %(tenant)s AND at > clock_timestamp() - %(range_s)s * interval '1 s'
   AND what IN ('limit', 'pause', 'resume', 'routing apply', 'routing reset', 'drain', 'desk down', 'desk up')
 ORDER BY at DESC LIMIT %(most)s

-- name: today
-- Since then, by the ledger itself: who was served, in time, and who left before.
SELECT count(settled_at) AS served,
       count(settled_at) FILTER (WHERE ($waited_s) <= %(target_s)s) AS in_time,
       count(*) FILTER (WHERE $is_abandoned) AS abandoned
  FROM ($visits_since) v
 WHERE settled_at >= %(since)s OR settled_at IS NULL

-- name: silence
-- Whole hours since somebody came, a day at most; and how many came on average in these hours of each of the last seven
-- days of which something is known. Who came just now is in no minute yet.
WITH last AS (
    SELECT least(24, floor(seconds_since(greatest(
               (SELECT max(at) FROM minutes WHERE tenant = %(tenant)s AND queue = '' AND arrived > 0),
               (SELECT max(opened_at) FROM visits WHERE tenant = %(tenant)s AND state <> 'closed')
           )) / 3600))::integer AS hours)
SELECT last.hours, coalesce(past.arrived / nullif(past.days, 0), 0)::integer AS usual
  FROM last CROSS JOIN LATERAL (
       SELECT sum(m.arrived) AS arrived, count(DISTINCT d.day) AS days
         FROM generate_series(1, 7) d(day) JOIN minutes m ON m.tenant = %(tenant)s AND m.queue = ''
          AND m.at >= clock_timestamp() - d.day * interval '1 day' - last.hours * interval '1 hour'
          AND m.at < clock_timestamp() - d.day * interval '1 day') past
 WHERE last.hours IS NOT NULL

-- name: stays
-- Visits of the last days, by their arrival.
SELECT opened_at AS opened, CASE WHEN state <> 'waiting' THEN settled_at END AS settled, closed_at AS closed
  FROM visits WHERE tenant = %(tenant)s AND seconds_since(opened_at) < %(days)s * 86400.0 ORDER BY opened_at

-- name: seats
-- At the end of each minute, where it is known.
SELECT at + interval '1 minute' AS at, seats_taken AS taken, seats_free AS free FROM minutes
 WHERE tenant = %(tenant)s AND queue = '' AND seats_free IS NOT NULL
   AND seconds_since(at) < %(days)s * 86400.0 ORDER BY at

-- name: prune
DELETE FROM minutes WHERE (tenant, at, queue) IN (
    SELECT tenant, at, queue FROM minutes
     WHERE tenant = %(tenant)s AND at < clock_timestamp() - %(keep_days)s * interval '1 day' ORDER BY at LIMIT %(most)s)
