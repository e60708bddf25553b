-- What the bot needs to know of a waiting session. Its answers are rows like all others (chat.sql).

-- name: hears
-- Whether it has anything to do here, and with whom: nothing once an agent came or a person was asked for.
SELECT s.id, s.status = 'waiting' AND NOT s.wants_person AS may_answer,
       EXISTS (SELECT FROM faq f WHERE f.tenant = s.tenant) AS has_faq, s.language
  FROM sessions s WHERE s.tenant = %(tenant)s AND s.room = %(room)s

-- name: talk
-- The last messages of customer and bot, latest first.
SELECT seq, sender_type, body FROM messages
 WHERE session = %(session)s AND sender_type IN ('customer', 'bot') ORDER BY seq DESC LIMIT %(most)s

-- name: want_person
-- Once: who asks again is not told again. The place in line is the visit's and stays.
UPDATE sessions SET wants_person = true
 WHERE tenant = %(tenant)s AND room = %(room)s AND status = 'waiting' AND NOT wants_person
RETURNING id, language
