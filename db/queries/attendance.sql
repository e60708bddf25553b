-- Which customers have a page open, and who leaves the line because they have none.

-- name: come
-- Pages that are open here, or count for a while longer.
INSERT INTO customer_pages AS p (session, sidecar, until)
SELECT s.id, c.id, CASE WHEN w.for_s IS NULL THEN 'infinity' ELSE clock_timestamp() + w.for_s * interval '1 second' END
  FROM unnest(%(sessions)s::bigint[], %(for_s)s::float8[]) AS w(session, for_s)
  JOIN sessions s ON s.id = w.session JOIN sidecars c ON c.id = %(sidecar)s
 ORDER BY s.id
    ON CONFLICT (session, sidecar) DO UPDATE SET until = EXCLUDED.until
 WHERE p.until <> EXCLUDED.until

-- name: is_back
UPDATE sessions SET keeps_place = false WHERE id = ANY(%(sessions)s::bigint[]) AND keeps_place

-- name: go
-- The last page here has closed. Who has left a message while nobody was there was told that the page may be closed.
WITH closed AS (DELETE FROM customer_pages WHERE sidecar = %(sidecar)s AND session = ANY(%(sessions)s::bigint[]) RETURNING session)
UPDATE sessions s SET seen_at = clock_timestamp(),
                      keeps_place = $left_a_message
 WHERE id IN (SELECT id FROM sessions WHERE id IN (SELECT session FROM closed) ORDER BY id FOR NO KEY UPDATE)

-- name: go_all
-- Of a sidecar that stops, and of those that will soon be forgotten.
UPDATE sessions s SET seen_at = c.beat_at,
                      keeps_place = $left_a_message
  FROM customer_pages p JOIN sidecars c ON c.id = p.sidecar
 WHERE s.id = p.session AND s.status <> 'ended' AND s.seen_at < c.beat_at
   AND (c.id = %(sidecar)s OR seconds_since(c.beat_at) > 3000)

-- name: forget
DELETE FROM customer_pages WHERE sidecar = %(sidecar)s

-- name: shown
SELECT tenant, room, status, coalesce(customer_seen_s(id, NULL) < 30, false) AS here, seen_at
  FROM sessions WHERE id = ANY(%(sessions)s::bigint[]) AND status <> 'ended' ORDER BY tenant, id

-- name: gone
-- Customers who wait, in the line (`is_out` false) or out of it, without a page for so long that they leave the line, or
-- that the chat ends; while some sidecar lived through all of it, so that their page could have come back.
SELECT s.tenant, s.room, s.gone_at IS NOT NULL AS is_out
  FROM sessions s
 WHERE s.status = 'waiting' AND NOT s.keeps_place AND seconds_since(s.seen_at) > %(gone_s)s  -- first: it costs little
   AND customer_seen_s(s.id, s.seen_at) > CASE WHEN s.gone_at IS NULL THEN %(gone_s)s ELSE %(gone_s)s + %(return_s)s END
   AND EXISTS (SELECT FROM sidecars c WHERE seconds_since(c.started_at) >= %(gone_s)s AND seconds_since(c.beat_at) < %(life_s)s)
   AND (%(tenant)s::text IS NULL OR (s.tenant = %(tenant)s::text AND s.room = %(room)s::text))
 ORDER BY s.tenant, s.id LIMIT %(most)s
