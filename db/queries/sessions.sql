-- Sessions of our own chat: begun, ended, out of the line and in it again.

-- name: put_customer
-- Who proved who they are is another customer than who only said so, however equal the address.
INSERT INTO customers (tenant, email, name, proved) VALUES (%(tenant)s, %(email)s, %(name)s, %(proved)s)
    ON CONFLICT (tenant, lower(email), proved) DO UPDATE SET name = EXCLUDED.name
RETURNING id

-- name: open_session
INSERT INTO sessions (tenant, room, key_digest, customer, customer_name)
VALUES (%(tenant)s, %(room)s, %(digest)s, %(customer)s, %(name)s) RETURNING id

-- name: set_beginning
UPDATE sessions SET origin = %(origin)s, language = %(language)s, facts = %(facts)s, topic = %(topic)s
 WHERE id = %(session)s

-- name: was_served
-- Whether an agent ever served this customer.
SELECT EXISTS (SELECT FROM sessions WHERE customer = %(customer)s AND started_at IS NOT NULL) AS served

-- name: open_ones
-- How many chats are open that were begun by this customer, and from this origin.
SELECT (SELECT count(*) FROM sessions s JOIN customers c ON c.id = s.customer
         WHERE c.tenant = %(tenant)s AND lower(c.email) = lower(%(email)s) AND s.status <> 'ended') AS of_customer,
       (SELECT count(*) FROM sessions WHERE tenant = %(tenant)s AND origin = %(origin)s AND status <> 'ended') AS of_origin

-- name: lock_visit
-- The open visit of a session.
SELECT id, state, agent, attempt, arrived_us FROM visits WHERE tenant = %(tenant)s AND room = %(room)s AND state <> 'closed'
   FOR NO KEY UPDATE

-- name: end_session
UPDATE sessions SET status = 'ended', ended_at = clock_timestamp(), ended_by = %(by)s, gone_at = NULL
 WHERE id = %(session)s AND status <> 'ended'

-- name: keep_place
-- As `go`, where the sidecar of the last page could not say that it had closed.
UPDATE sessions s SET keeps_place = true
 WHERE s.id = %(session)s AND $left_a_message AND EXISTS (SELECT FROM customer_pages p WHERE p.session = s.id)

-- name: leave_line
UPDATE sessions SET gone_at = clock_timestamp() WHERE id = %(session)s AND status = 'waiting' AND gone_at IS NULL

-- name: come_back
UPDATE sessions SET gone_at = NULL, seen_at = clock_timestamp() WHERE id = %(session)s

-- name: old_place
-- Where the room stood in the line.
SELECT arrived_us FROM visits WHERE tenant = %(tenant)s AND room = %(room)s ORDER BY id DESC LIMIT 1
