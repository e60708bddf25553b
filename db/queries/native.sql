-- Our own chat as a desk: what the worker asks of sessions and agents. Lock order: visits -> sessions.

-- name: roster
SELECT a.agent AS id, a.name, n.available FROM accounts a CROSS JOIN $agent_now
 WHERE a.tenant = %(tenant)s AND a.role = 'agent' AND NOT a.disabled
 ORDER BY a.agent

-- name: team
-- Everybody, since the rules may name anybody, by division, id or e-mail; a division is there as long as any account
-- has it. `serves`: may be given chats.
SELECT a.agent AS id, a.name, a.email, a.divisions, a.role = 'agent' AND NOT a.disabled AS serves,
       a.wish = 'online' AND EXISTS (SELECT FROM presence p WHERE p.tenant = a.tenant AND p.agent = a.agent
                                        AND p.until > clock_timestamp()) AS available
  FROM accounts a WHERE a.tenant = %(tenant)s

-- name: suggest
-- The available agent with the fewest chats, then the one who was given one longest ago.
SELECT a.agent AS id, a.name
  FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent CROSS JOIN $agent_now
 WHERE a.tenant = %(tenant)s AND n.available
 ORDER BY s.open_seats, s.last_assigned_at, a.agent LIMIT 1

-- name: seat
-- The room's open visit, and kept as it is until the session is written: who comes too late must not give a chat that
-- was taken back meanwhile.
SELECT state, agent FROM visits WHERE tenant = %(tenant)s AND room = %(room)s AND state <> 'closed' FOR SHARE

-- name: session
SELECT id, status, agent FROM sessions WHERE tenant = %(tenant)s AND room = %(room)s FOR NO KEY UPDATE

-- name: account
SELECT name FROM accounts WHERE tenant = %(tenant)s AND agent = %(agent)s AND NOT disabled

-- name: give
UPDATE sessions SET status = 'active', agent = %(agent)s, started_at = coalesce(started_at, clock_timestamp()),
                    answered = false, picked = false
 WHERE id = %(session)s AND status = 'waiting'

-- name: look
SELECT status, agent FROM sessions WHERE tenant = %(tenant)s AND room = %(room)s

-- name: unserved
-- Sessions that wait though the line does not know them, oldest first.
SELECT s.room, extract(epoch FROM s.created_at)::float8 AS created_s
  FROM sessions s
 WHERE s.tenant = %(tenant)s AND s.status = 'waiting' AND s.gone_at IS NULL
   AND NOT EXISTS (SELECT FROM visits v WHERE v.tenant = s.tenant AND v.room = s.room AND v.state <> 'closed')
 ORDER BY s.created_at, s.id
