-- The chat: sessions, their rows in one gapless order (H12 in docs/algorithm.md), and marks.

-- name: tenants
-- Those with our own desk.
SELECT id, name, color FROM tenants WHERE desk = 'native' ORDER BY id

-- name: by_key
-- A key lapses a while after the end of its chat.
SELECT id, tenant, room, status, agent, last_seq, wants_person, customer_name, gone_at IS NOT NULL AS gone
  FROM sessions WHERE key_digest = %(digest)s AND (status <> 'ended' OR seconds_since(ended_at) < %(key_life_s)s)

-- name: by_room
SELECT id, tenant, room, status, agent, last_seq, wants_person, customer_name, gone_at IS NOT NULL AS gone
  FROM sessions WHERE tenant = %(tenant)s AND room = %(room)s

-- name: lock_room
-- Whoever changes a session's state: after the tenant, its agents and the visit.
SELECT id, status, agent, answered, ended_by, gone_at, customer_name FROM sessions WHERE tenant = %(tenant)s AND room = %(room)s
   FOR NO KEY UPDATE

-- name: lock_sessions
-- Before rows are added: in the order of ids, so that two writers take turns. A statement of its own, so that the next
-- one sees what the other has written.
SELECT id, tenant, room, status, agent, wants_person FROM sessions
 WHERE id = ANY(%(sessions)s::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: lock_free_sessions
-- The same without waiting: `free` is false for those that somebody else has locked.
WITH free AS MATERIALIZED (
    SELECT id FROM sessions WHERE id = ANY(%(sessions)s::bigint[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
SELECT s.id, s.id IN (SELECT id FROM free) AS free FROM sessions s WHERE s.id = ANY(%(sessions)s::bigint[])

-- name: add
-- Drop what is known, number the rest without gaps, insert, move last_seq. A send that is stored already answers with
-- its first row.
WITH b AS (
    SELECT DISTINCT ON (session, sender_type, sender_id, client_id) *
      FROM unnest(%(session)s::bigint[], %(id)s::text[], %(sender_type)s::text[], %(sender_id)s::text[],
                  %(sender_name)s::text[], %(client_id)s::text[], %(body)s::text[], %(events)s::text[])
           WITH ORDINALITY AS t(session, id, sender_type, sender_id, sender_name, client_id, body, event, n)
     ORDER BY session, sender_type, sender_id, client_id, n),
f AS (
    SELECT b.*, row_number() OVER (PARTITION BY b.session ORDER BY n) AS i FROM b
     WHERE NOT EXISTS (SELECT FROM messages m WHERE m.session = b.session AND m.sender_type = b.sender_type
                          AND m.sender_id = b.sender_id AND m.client_id = b.client_id)),
u AS (
    UPDATE sessions s SET last_seq = s.last_seq + c.k, answered = s.answered OR coalesce(s.agent = ANY(c.writers), false)
      FROM (SELECT session, count(*) AS k, array_agg(sender_id) FILTER (WHERE sender_type = 'agent') AS writers
              FROM f GROUP BY 1) c
     WHERE s.id = c.session RETURNING s.id, s.tenant, s.room, s.last_seq - c.k AS base),
ins AS (
    INSERT INTO messages (session, seq, id, tenant, sender_type, sender_id, sender_name, client_id, body, event)
    SELECT f.session, u.base + f.i, f.id, u.tenant, f.sender_type, f.sender_id, f.sender_name, f.client_id, f.body,
           f.event::jsonb
      FROM f JOIN u ON u.id = f.session ORDER BY f.session, f.i
    RETURNING session, seq, id, sender_type, sender_id, client_id, body, created_at)
SELECT session, seq, id, sender_type, sender_id, client_id, body, created_at, true AS fresh FROM ins
 UNION ALL
SELECT m.session, m.seq, m.id, m.sender_type, m.sender_id, m.client_id, m.body, m.created_at, false
  FROM b JOIN messages m ON m.session = b.session AND m.sender_type = b.sender_type AND m.sender_id = b.sender_id
                        AND m.client_id = b.client_id

-- name: rows_after
-- What came after a seq, in order, with the attachments of each: so many rows at most, and no further one once their
-- texts have so many bytes. `more`: whether there is another row.
SELECT m.seq, m.id, m.sender_type, m.sender_id, m.sender_name, m.client_id, m.body, m.event, m.created_at,
       (SELECT json_agg(json_build_object('id', a.id, 'name', a.name, 'type', a.type, 'size', a.size, 'preview_width',
                                          a.preview_width, 'preview_height', a.preview_height) ORDER BY a.id)
          FROM attachments a WHERE a.session = m.session AND a.seq = m.seq) AS attachments,
       m.last_seq > max(m.seq) OVER () AS more
  FROM (SELECT r.*, row_number() OVER w AS n, sum(octet_length(r.body)) OVER w - octet_length(r.body) AS bytes_before,
               max(r.seq) OVER () AS last_seq
          FROM (SELECT * FROM messages WHERE session = %(session)s AND seq > %(after)s
                 ORDER BY seq LIMIT %(most)s + 1) r
        WINDOW w AS (ORDER BY r.seq)) m
 WHERE m.n <= %(most)s AND m.bytes_before < %(most_bytes)s ORDER BY m.seq

-- name: rows_of_rooms
-- The same for several rooms at once: what a feed has missed.
SELECT s.tenant, s.room, m.seq, m.id, m.sender_type, m.sender_id, m.sender_name, m.client_id, m.body, m.event,
       m.created_at,
       (SELECT json_agg(json_build_object('id', a.id, 'name', a.name, 'type', a.type, 'size', a.size, 'preview_width',
                                          a.preview_width, 'preview_height', a.preview_height) ORDER BY a.id)
          FROM attachments a WHERE a.session = m.session AND a.seq = m.seq) AS attachments
  FROM unnest(%(tenants)s::text[], %(rooms)s::text[], %(afters)s::bigint[]) AS w(tenant, room, after)
  JOIN sessions s ON s.tenant = w.tenant AND s.room = w.room
  CROSS JOIN LATERAL (SELECT * FROM messages WHERE session = s.id AND seq > w.after ORDER BY seq LIMIT %(most)s) m
 ORDER BY s.tenant, s.room, m.seq

-- name: heads
-- How far the open rooms of a tenant are, and those named.
SELECT tenant, room, last_seq, false AS ended FROM sessions WHERE tenant = %(tenant)s AND status <> 'ended'
 UNION
SELECT tenant, room, last_seq, status = 'ended' FROM sessions
 WHERE tenant = %(tenant)s AND room = ANY(%(rooms)s::text[])

-- name: ahead
-- Of the rooms that somebody here hears, those that are further than what was heard, and those that have ended; and the
-- open ones of the tenants with agents here that nobody here has heard of. Lists come as one text each: thousands of
-- rooms, every two seconds, and next to nothing to answer.
WITH known AS (
    SELECT * FROM unnest(string_to_array(%(known_tenants)s, ' '), string_to_array(%(rooms)s, ' '),
                         string_to_array(%(afters)s, ' ')::bigint[]) AS k(tenant, room, after))
SELECT s.tenant, s.room, s.last_seq, s.status = 'ended' AS ended
  FROM known k JOIN sessions s ON s.tenant = k.tenant AND s.room = k.room
 WHERE s.last_seq > k.after OR s.status = 'ended'
 UNION ALL
SELECT s.tenant, s.room, s.last_seq, false FROM sessions s
 WHERE s.tenant = ANY(%(tenants)s::text[]) AND s.status <> 'ended'
   AND NOT EXISTS (SELECT FROM known k WHERE k.tenant = s.tenant AND k.room = s.room)

-- name: session
-- A session as agents see it. The place of one that is being given to an agent is 1.
SELECT $session_columns,
       CASE WHEN s.status = 'waiting' AND s.gone_at IS NULL THEN coalesce((
           SELECT w.position FROM ($native_queue) w WHERE w.room = s.room LIMIT 1), 1) END AS position
  FROM sessions s $session_joins
 WHERE s.tenant = %(tenant)s AND s.room = %(room)s

-- name: mark
-- What was delivered and read, in one go, with the sessions locked; a mark only rises, and never beyond the last row.
-- Reading is getting. Gives what has risen, and what it was.
WITH b AS (
    SELECT s.id, s.customer_got, s.customer_read, s.agent_got, s.agent_read,
           greatest(s.customer_got, least(s.last_seq, greatest(m.customer_got, m.customer_read))) AS new_customer_got,
           greatest(s.customer_read, least(s.last_seq, m.customer_read)) AS new_customer_read,
           greatest(s.agent_got, least(s.last_seq, greatest(m.agent_got, m.agent_read))) AS new_agent_got,
           greatest(s.agent_read, least(s.last_seq, m.agent_read)) AS new_agent_read
      FROM unnest(%(sessions)s::bigint[], %(customer_got)s::bigint[], %(customer_read)s::bigint[],
                  %(agent_got)s::bigint[], %(agent_read)s::bigint[])
           AS m(session, customer_got, customer_read, agent_got, agent_read)
      JOIN sessions s ON s.id = m.session)
UPDATE sessions s
   SET customer_got = b.new_customer_got, customer_read = b.new_customer_read, agent_got = b.new_agent_got,
       agent_read = b.new_agent_read
  FROM b
 WHERE s.id = b.id AND (b.customer_got, b.customer_read, b.agent_got, b.agent_read)
                    <> (b.new_customer_got, b.new_customer_read, b.new_agent_got, b.new_agent_read)
RETURNING s.id, s.tenant, s.room, s.customer_got, s.customer_read, s.agent_got, s.agent_read,
          b.customer_got AS customer_got_before, b.customer_read AS customer_read_before,
          b.agent_got AS agent_got_before, b.agent_read AS agent_read_before

-- name: rate
UPDATE sessions SET rating = %(rating)s, rating_comment = %(comment)s
 WHERE id = %(session)s RETURNING tenant, room, rating, rating_comment

-- name: identity_secret
SELECT identity_secret FROM tenants WHERE id = %(tenant)s

-- name: known
SELECT m.session, m.sender_type, m.sender_id, m.client_id
  FROM unnest(%(session)s::bigint[], %(sender_type)s::text[], %(sender_id)s::text[], %(client_id)s::text[])
       AS w(session, sender_type, sender_id, client_id)
  JOIN messages m USING (session, sender_type, sender_id, client_id)
