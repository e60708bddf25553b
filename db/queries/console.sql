-- What agents look at beside the chat itself: lists, search, notes, canned replies, colleagues. Each block is of one
-- tenant.

-- name: sessions
-- Newest first. Every filter may be NULL. `q` is a pattern of ILIKE.
SELECT $session_columns,
       CASE WHEN s.status = 'waiting' AND s.gone_at IS NULL THEN coalesce(p.position, 1) END AS position
  FROM (SELECT s.* FROM sessions s JOIN customers c ON c.id = s.customer
         WHERE s.tenant = %(tenant)s
           AND (%(statuses)s::text[] IS NULL OR s.status = ANY(%(statuses)s::text[]))
           AND (s.gone_at IS NULL OR %(statuses)s::text[] IS DISTINCT FROM '{waiting}')
           AND (%(agent)s::text IS NULL OR s.agent = %(agent)s::text)
           AND (%(q)s::text IS NULL OR c.name ILIKE %(q)s::text OR c.email ILIKE %(q)s::text OR s.room = %(room)s::text)
           AND (%(before)s::bigint IS NULL OR s.id < %(before)s::bigint)
           AND (%(customer)s::bigint IS NULL OR s.customer = %(customer)s::bigint)
           AND (%(rooms)s::text[] IS NULL OR s.room = ANY(%(rooms)s::text[]))
         ORDER BY s.id DESC LIMIT %(most)s) s $session_joins
  LEFT JOIN ($native_queue) p ON p.room = s.room AND s.status = 'waiting'
 ORDER BY s.id DESC

-- name: line
-- Waiting sessions in the order of the line, and how many wait; first those that are being given to an agent at this
-- moment.
SELECT s.room, count(*) OVER () AS waiting FROM sessions s
  LEFT JOIN visits v ON v.tenant = s.tenant AND v.room = s.room AND v.state <> 'closed'
 WHERE s.tenant = %(tenant)s AND s.status = 'waiting' AND s.gone_at IS NULL
 ORDER BY v.state = 'reserved' DESC NULLS LAST, $queue_order, s.id LIMIT %(most)s

-- name: notes
SELECT n.id, n.agent, n.agent_name, n.body, n.created_at
  FROM notes n JOIN sessions s ON s.id = n.session
 WHERE s.tenant = %(tenant)s AND s.room = %(room)s ORDER BY n.id

-- name: count_notes
SELECT count(*) AS n FROM notes n JOIN sessions s ON s.id = n.session WHERE s.tenant = %(tenant)s AND s.room = %(room)s

-- name: add_note
INSERT INTO notes (tenant, session, agent, agent_name, body)
SELECT s.tenant, s.id, %(agent)s, %(agent_name)s, %(body)s FROM sessions s
 WHERE s.tenant = %(tenant)s AND s.room = %(room)s
RETURNING id, agent, agent_name, body, created_at

-- name: search
-- Messages by their words, and files by the words of their names, newest first. The last word may be unfinished where
-- `open` says so. What only says which words are not there would go through all messages, and finds none.
WITH asked AS (
    SELECT CASE WHEN querytree(words) IN ('', 'T') THEN NULL
                WHEN %(open)s THEN regexp_replace(words::text, '''$', ''':*')::tsquery ELSE words END AS words
      FROM websearch_to_tsquery('simple', %(query)s) AS words)
SELECT s.room, c.id AS customer, s.customer_name, c.email AS customer_email, c.proved AS customer_proved,
       f.seq, f.id, f.sender_type, f.sender_name, f.body, f.created_at, f.file
  FROM (SELECT DISTINCT ON (found.created_at, found.id) found.* FROM (
            SELECT m.session, m.seq, m.id, m.sender_type, m.sender_name, m.body, m.created_at, NULL AS file
              FROM asked, messages m
             WHERE m.tenant = %(tenant)s AND m.sender_type <> 'system' AND words_of(m.body) @@ asked.words
             UNION ALL
            SELECT m.session, m.seq, m.id, m.sender_type, m.sender_name, m.body, m.created_at, a.name
              FROM asked, attachments a JOIN messages m ON m.session = a.session AND m.seq = a.seq
             WHERE a.tenant = %(tenant)s AND words_of(a.name) @@ asked.words) found
         ORDER BY found.created_at DESC, found.id, found.file NULLS FIRST LIMIT %(most)s) f
  JOIN sessions s ON s.id = f.session JOIN customers c ON c.id = s.customer
 ORDER BY f.created_at DESC, f.id

-- name: canned
SELECT shortcut, body FROM canned_replies WHERE tenant = %(tenant)s ORDER BY shortcut

-- name: drop_canned
DELETE FROM canned_replies WHERE tenant = %(tenant)s

-- name: put_canned
INSERT INTO canned_replies (tenant, shortcut, body)
SELECT %(tenant)s, * FROM unnest(%(shortcuts)s::text[], %(bodies)s::text[])
    ON CONFLICT (tenant, shortcut) DO UPDATE SET body = EXCLUDED.body

-- name: agents
SELECT a.agent, a.name, a.email, a.role, a.disabled, s.open_seats AS load, n.presence
  FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent CROSS JOIN $agent_now
 WHERE a.tenant = %(tenant)s ORDER BY lower(a.name), a.agent
