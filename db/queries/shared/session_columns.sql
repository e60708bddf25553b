-- A session `s` as agents see it, but for its place; with `session_joins`.
s.id, s.tenant, s.room, s.status, c.id AS customer, s.customer_name, c.email AS customer_email,
c.proved AS customer_proved, s.agent, a.name AS agent_name, s.created_at, s.started_at, s.ended_at, s.ended_by,
s.last_seq, s.agent_read, s.agent_got, s.customer_read, s.customer_got, s.answered, s.wants_person, s.rating,
s.rating_comment, s.gone_at, s.seen_at, s.topic,
(SELECT v.queue FROM visits v WHERE v.tenant = s.tenant AND v.room = s.room AND v.state <> 'closed') AS queue,
coalesce(customer_seen_s(s.id, NULL) < 30, false) AS customer_here,
(SELECT count(*) FROM messages u WHERE u.session = s.id AND u.seq > s.agent_read AND u.sender_type = 'customer')
    AS unread,
l.seq AS last_message_seq, l.body AS last_message_body, l.sender_type AS last_message_sender,
l.created_at AS last_message_at
