-- A report of a tenant over a time: what its figures are made of. The visits themselves, for minutes keep only a part of
-- the waits of a busy one; read in order by a cursor, since a month may have a million.

-- name: known
-- Since when anything is known: of the first visit that is kept, the first minute, or what is open. And until when a
-- worker has written its minutes; NULL: none ever did.
SELECT least((SELECT opened_at FROM visits WHERE tenant = %(tenant)s AND state = 'closed' ORDER BY closed_at LIMIT 1),
             (SELECT min(opened_at) FROM visits WHERE tenant = %(tenant)s AND state <> 'closed'),
             (SELECT at FROM minutes WHERE tenant = %(tenant)s ORDER BY at LIMIT 1)) AS since,
       clock_timestamp() AS now,
       (SELECT nullif(minutes_to, '-infinity') FROM tenants WHERE id = %(tenant)s) AS until

-- name: first_since
-- The first id of a visit that was opened at that time or later, whosever it is: ids rise as visits are opened, so it is
-- found by halves, in a few steps. NULL: there is no visit at all.
WITH RECURSIVE search(low, high) AS (
    SELECT min(id), max(id) + 1 FROM visits
     UNION ALL
    SELECT CASE WHEN found.opened_at < %(at)s THEN found.id + 1 ELSE low END,
           CASE WHEN found.opened_at < %(at)s THEN high ELSE half.id END
      FROM search CROSS JOIN LATERAL (SELECT low + (high - low) / 2 AS id) half
     CROSS JOIN LATERAL (SELECT id, opened_at FROM visits WHERE id >= half.id ORDER BY id LIMIT 1) found
     WHERE low < high)
SELECT max(low) AS id FROM search

-- name: visits
-- That were opened, assigned or over in the time: those that are open, those that were over in it, and those that were
-- over after it. Of the last ones as many as were opened shortly before, `first` to `last`: an index finds them.
-- Times are unix seconds.
SELECT coalesce(queue, 'channel:' || coalesce(nullif(channel, ''), regexp_replace(class, '^channel:', ''))) AS queue,
       coalesce(last_agent, '') AS agent,
       extract(epoch FROM opened_at)::float8 AS opened_s,
       CASE WHEN state <> 'waiting' THEN extract(epoch FROM settled_at)::float8 END AS settled_s,
       extract(epoch FROM closed_at)::float8 AS closed_s,
       CASE WHEN state <> 'waiting' THEN ($waited_s)::float8 END AS waited_s,
       ($handled_s)::float8 AS handled_s, $is_abandoned AS is_abandoned
  FROM (SELECT * FROM visits WHERE tenant = %(tenant)s AND state <> 'closed' AND opened_at < %(until)s
         UNION ALL
        SELECT * FROM visits WHERE tenant = %(tenant)s AND state = 'closed'
           AND closed_at >= %(since)s AND closed_at < %(until)s
         UNION ALL
        SELECT * FROM visits WHERE tenant = %(tenant)s AND state = 'closed' AND closed_at >= %(until)s
           AND opened_at < %(until)s AND id >= %(first)s AND id < %(last)s) v

-- name: ratings
-- Of native chats that ended in the time, by the agent who had them last.
SELECT coalesce(agent, '') AS agent, rating, count(*) AS chats FROM sessions
 WHERE tenant = %(tenant)s AND status = 'ended' AND ended_at >= %(since)s AND ended_at < %(until)s AND rating IS NOT NULL
 GROUP BY 1, 2

-- name: language
-- That most pages had whose chats ended in the time.
SELECT language FROM sessions
 WHERE tenant = %(tenant)s AND status = 'ended' AND ended_at >= %(since)s AND ended_at < %(until)s AND language IS NOT NULL
 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1

-- name: decisions
-- That gave a seat, by their policy.
SELECT r.policy, count(*) AS decisions, coalesce(sum(d.seats), 0)::bigint AS seats
  FROM rounds r CROSS JOIN LATERAL (SELECT count(*) AS seats FROM decisions WHERE round = r.id) d
 WHERE r.tenant = %(tenant)s AND r.at >= %(since)s AND r.at < %(until)s GROUP BY 1 ORDER BY 1

-- name: drift
-- The ledger keeps sums and the last time of each kind.
SELECT kind, healed, last_at FROM drifts WHERE tenant = %(tenant)s ORDER BY kind

-- name: tenant
SELECT id, name, desk, created_at FROM tenants WHERE id = %(tenant)s

-- name: names
SELECT a.id, coalesce(nullif(c.name, ''), nullif(a.name, ''), c.email, a.id) AS name
  FROM agents a LEFT JOIN accounts c ON c.tenant = a.tenant AND c.agent = a.id WHERE a.tenant = %(tenant)s
