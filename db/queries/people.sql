-- People who log in: accounts, tokens, failed logins; and presence: whose page is connected to which sidecar.

-- name: add_agent
INSERT INTO agents (tenant, id, name) VALUES (%(tenant)s, %(agent)s, %(name)s)

-- name: add_account
-- No row: the e-mail has an account already.
INSERT INTO accounts (tenant, agent, email, name, password_hash, role, divisions)
VALUES (%(tenant)s, %(agent)s, %(email)s, %(name)s, %(password_hash)s, %(role)s, %(divisions)s)
    ON CONFLICT (tenant, lower(email)) DO NOTHING
RETURNING agent

-- name: account
SELECT agent, email, name, role, disabled, divisions FROM accounts
 WHERE tenant = %(tenant)s AND (agent = %(who)s OR lower(email) = lower(%(who)s))

-- name: accounts
SELECT agent, email, name, role, disabled, wish FROM accounts WHERE tenant = %(tenant)s ORDER BY lower(name), agent

-- name: set_disabled
UPDATE accounts SET disabled = %(disabled)s WHERE tenant = %(tenant)s AND agent = %(agent)s RETURNING agent, disabled

-- name: set_divisions
UPDATE accounts SET divisions = %(divisions)s WHERE tenant = %(tenant)s AND agent = %(agent)s

-- name: set_password
UPDATE accounts SET password_hash = %(password_hash)s WHERE tenant = %(tenant)s AND agent = %(agent)s RETURNING agent

-- name: revoke_all
-- After the account's row is written, and so locked: a login that had it first has put its token by now.
UPDATE tokens SET revoked_at = clock_timestamp()
 WHERE tenant = %(tenant)s AND agent = %(agent)s AND revoked_at IS NULL

-- name: with_people
-- Tenants in which somebody may have an account, those with a chat of our own first; at most two.
SELECT t.id, t.desk = 'native' AS native FROM tenants t
 WHERE t.desk = 'native' OR EXISTS (SELECT FROM accounts a WHERE a.tenant = t.id)
 ORDER BY t.desk = 'native' DESC, t.id LIMIT 2

-- name: credentials
-- At a desk of others their agents have their own way in; supervisors of such a tenant have accounts here.
SELECT a.agent, a.email, a.name, a.role, t.desk = 'native' AS has_chats, a.password_hash
  FROM accounts a JOIN tenants t ON t.id = a.tenant AND (t.desk = 'native' OR a.role <> 'agent')
 WHERE a.tenant = %(tenant)s AND lower(a.email) = lower(%(email)s)

-- name: tenants_of
-- In which tenants there is such an account that may log in, those with a chat of our own first; at most two.
SELECT a.tenant AS id, t.desk = 'native' AS native
  FROM accounts a JOIN tenants t ON t.id = a.tenant AND (t.desk = 'native' OR a.role <> 'agent')
 WHERE lower(a.email) = lower(%(email)s) AND NOT a.disabled
 ORDER BY t.desk = 'native' DESC, a.tenant LIMIT 2

-- name: operator_credentials
SELECT id AS agent, email, name, 'operator' AS role, false AS has_chats, password_hash FROM operators WHERE lower(email) = lower(%(email)s)

-- name: lock_operator
SELECT password_hash, disabled FROM operators WHERE id = %(operator)s FOR NO KEY UPDATE

-- name: add_operator
-- No row: the e-mail is an operator's already.
INSERT INTO operators (id, email, name, password_hash)
VALUES (%(operator)s, %(email)s, %(name)s, %(password_hash)s)
    ON CONFLICT (lower(email)) DO NOTHING
RETURNING id

-- name: operators
-- `locked_until`: after too many wrong passwords.
SELECT o.id, o.email, o.name, o.disabled, o.created_at,
       (SELECT max(recent.first + %(window_s)s * interval '1 second') FROM login_tries t
         CROSS JOIN LATERAL (SELECT min(at) AS first, count(*) AS n FROM unnest(t.failed) at
                              WHERE seconds_since(at) < %(window_s)s) recent
         WHERE t.tenant = '' AND t.agent = o.id AND recent.n >= t.most) AS locked_until
  FROM operators o ORDER BY lower(o.email)

-- name: operator
SELECT id, email, name, disabled FROM operators WHERE id = %(who)s OR lower(email) = lower(%(who)s)

-- name: set_operator
-- What is NULL stays.
UPDATE operators SET disabled = coalesce(%(disabled)s, disabled),
                     password_hash = coalesce(%(password_hash)s, password_hash)
 WHERE id = %(who)s OR lower(email) = lower(%(who)s)
RETURNING id, email, name, disabled

-- name: end_operator
-- After the operator's row is written, and so locked: a login that had it first has put its token by now.
WITH known AS (DELETE FROM login_addresses WHERE operator = %(operator)s)
UPDATE tokens SET revoked_at = clock_timestamp() WHERE operator = %(operator)s AND revoked_at IS NULL

-- name: lock_account
-- Its password and state can't change until the commit.
SELECT password_hash, disabled FROM accounts WHERE tenant = %(tenant)s AND agent = %(agent)s FOR NO KEY UPDATE

-- name: blocked
-- Seconds until a subject may try again; no row: now.
SELECT extract(epoch FROM max(recent.first + %(window_s)s * interval '1 second' - clock_timestamp()))::float8 AS wait_s
  FROM login_tries t
  CROSS JOIN LATERAL (SELECT min(at) AS first, count(*) AS n FROM unnest(t.failed) at
                       WHERE seconds_since(at) < %(window_s)s) recent
 WHERE t.subject = ANY(%(subjects)s::bytea[]) AND recent.n >= t.most
HAVING count(*) > 0

-- name: lock_tries
-- Also of subjects that have not failed yet: without a row there would be nothing to wait for.
INSERT INTO login_tries AS t (subject, failed, most)
SELECT s, '{}', most FROM unnest(%(subjects)s::bytea[], %(mosts)s::integer[]) AS given(s, most) ORDER BY s
    ON CONFLICT (subject) DO UPDATE SET most = EXCLUDED.most

-- name: fail
-- One more failure of each subject. Older than the window counts for nothing; more than the limit need not be kept.
INSERT INTO login_tries AS t (subject, failed, most)
SELECT s, ARRAY[clock_timestamp()], most FROM unnest(%(subjects)s::bytea[], %(mosts)s::integer[]) AS given(s, most)
 ORDER BY s
    ON CONFLICT (subject) DO UPDATE
   SET most = EXCLUDED.most, last_at = clock_timestamp(),
       failed = array_append((SELECT coalesce(array_agg(at ORDER BY at), '{}') FROM (
                    SELECT at FROM unnest(t.failed) at
                     WHERE seconds_since(at) < %(window_s)s
                     ORDER BY at DESC LIMIT EXCLUDED.most - 1) kept), clock_timestamp())

-- name: name_tries
UPDATE login_tries SET tenant = %(tenant)s, agent = %(agent)s WHERE subject = ANY(%(subjects)s::bytea[])

-- name: unlock
DELETE FROM login_tries WHERE tenant = %(tenant)s AND agent = %(agent)s

-- name: forgive
DELETE FROM login_tries WHERE subject = ANY(%(subjects)s::bytea[])

-- name: forget_tries
DELETE FROM login_tries WHERE subject IN (
    SELECT subject FROM login_tries WHERE seconds_since(last_at) > %(window_s)s
     LIMIT 20 FOR UPDATE SKIP LOCKED)

-- name: is_known
-- A row: the account logged in from this address lately.
SELECT FROM login_addresses WHERE subject = %(subject)s AND seconds_since(last_at) < %(known_s)s

-- name: know
INSERT INTO login_addresses (subject, tenant, agent, operator)
VALUES (%(subject)s, %(tenant)s, %(agent)s, %(operator)s)
    ON CONFLICT (subject) DO UPDATE SET last_at = clock_timestamp()

-- name: forget_addresses
DELETE FROM login_addresses WHERE subject IN (
    SELECT subject FROM login_addresses WHERE seconds_since(last_at) > %(known_s)s
     LIMIT 20 FOR UPDATE SKIP LOCKED)

-- name: forget_addresses_of
DELETE FROM login_addresses WHERE tenant = %(tenant)s AND agent = %(agent)s

-- name: put_token
INSERT INTO tokens (digest, tenant, agent, expires_at)
VALUES (%(digest)s, %(tenant)s, %(agent)s, clock_timestamp() + %(life_s)s * interval '1 second')
RETURNING expires_at

-- name: put_operator_token
WITH old AS (DELETE FROM tokens WHERE operator = %(operator)s AND expires_at < clock_timestamp())
INSERT INTO tokens (digest, operator, expires_at)
VALUES (%(digest)s, %(operator)s, clock_timestamp() + %(life_s)s * interval '1 second')
RETURNING expires_at

-- name: forget_tokens
DELETE FROM tokens WHERE tenant = %(tenant)s AND agent = %(agent)s AND expires_at < clock_timestamp()

-- name: who
SELECT t.tenant, t.agent AS agent_id, a.name, a.email, a.role, d.desk = 'native' AS has_chats
  FROM tokens t JOIN accounts a ON a.tenant = t.tenant AND a.agent = t.agent JOIN tenants d ON d.id = t.tenant
 WHERE t.digest = %(digest)s AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp() AND NOT a.disabled
 UNION ALL
SELECT '', o.id, o.name, o.email, 'operator', false FROM tokens t JOIN operators o ON o.id = t.operator
 WHERE t.digest = %(digest)s AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp() AND NOT o.disabled

-- name: valid
SELECT t.digest FROM tokens t
  LEFT JOIN accounts a ON a.tenant = t.tenant AND a.agent = t.agent
  LEFT JOIN operators o ON o.id = t.operator
 WHERE t.digest = ANY(%(digests)s::bytea[]) AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
   AND NOT coalesce(a.disabled, o.disabled)

-- name: revoke
UPDATE tokens SET revoked_at = clock_timestamp() WHERE digest = %(digest)s AND revoked_at IS NULL RETURNING coalesce(tenant, '') AS tenant, coalesce(agent, operator) AS agent

-- name: come_online
-- After a login its pages are online, whatever was wished before. A row: it was away; `is_here`: with a page open.
UPDATE accounts SET wish = 'online' WHERE tenant = %(tenant)s AND agent = %(agent)s AND wish <> 'online'
RETURNING absent_since IS NULL AS is_here

-- name: beat
-- This sidecar lives. `started_at` is since when without a gap: who did not beat for so long starts anew.
INSERT INTO sidecars AS s (id) VALUES (%(sidecar)s)
    ON CONFLICT (id) DO UPDATE
   SET started_at = CASE WHEN seconds_since(s.beat_at) > %(life_s)s
                         THEN clock_timestamp() ELSE s.started_at END,
       beat_at = clock_timestamp()

-- name: present
-- The pages connected to this sidecar, for a while longer.
INSERT INTO presence (tenant, agent, sidecar, until)
SELECT a.tenant, a.agent, %(sidecar)s, clock_timestamp() + %(life_s)s * interval '1 second'
  FROM unnest(%(tenants)s::text[], %(agents)s::text[]) AS w(tenant, agent) JOIN accounts a USING (tenant, agent)
 ORDER BY a.tenant, a.agent
    ON CONFLICT (tenant, agent, sidecar) DO UPDATE SET until = EXCLUDED.until

-- name: leave
DELETE FROM presence WHERE tenant = %(tenant)s AND agent = ANY(%(agents)s) AND sidecar = %(sidecar)s

-- name: leave_all
DELETE FROM sidecars WHERE id = %(sidecar)s

-- name: forget_sidecars
DELETE FROM sidecars WHERE seconds_since(beat_at) > 3600

-- name: wish
UPDATE accounts SET wish = %(wish)s WHERE tenant = %(tenant)s AND agent = %(agent)s

-- name: doubtful
-- Tenants where what is written of some agent is not what is so.
SELECT DISTINCT a.tenant
  FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent CROSS JOIN $agent_now
 WHERE n.here <> (a.absent_since IS NULL) OR s.available <> n.available

-- name: lock_agents
SELECT id FROM agents WHERE tenant = %(tenant)s AND (%(agents)s::text[] IS NULL OR id = ANY(%(agents)s::text[]))
 ORDER BY id FOR NO KEY UPDATE

-- name: settle
-- Who (of these agents; NULL: of all) is here and who may be given chats, written as it is; gives what changed.
-- `absent_since` is the moment of noticing, under the tenant's lock: later than any decision that took the agent for
-- present.
WITH n AS (
    SELECT a.agent, a.name, a.absent_since IS NULL AS was_here, s.available AS was_available, n.*
      FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent CROSS JOIN $agent_now
     WHERE a.tenant = %(tenant)s AND (%(agents)s::text[] IS NULL OR a.agent = ANY(%(agents)s::text[]))),
accounts_set AS (
    UPDATE accounts a SET absent_since = CASE WHEN n.here THEN NULL ELSE clock_timestamp() END
      FROM n WHERE a.tenant = %(tenant)s AND a.agent = n.agent AND n.here <> n.was_here),
agents_set AS (
    UPDATE agents s SET available = n.available, name = n.name, seen_at = clock_timestamp()
      FROM n WHERE s.tenant = %(tenant)s AND s.id = n.agent AND n.available <> n.was_available)
SELECT agent, name, presence, available, available <> was_available AS moved
  FROM n WHERE here <> was_here OR available <> was_available ORDER BY agent

-- name: forget_absent
DELETE FROM presence WHERE tenant = %(tenant)s AND until <= clock_timestamp()

-- name: forsaken
-- Chats whose agent has been away for the whole grace, from the chat's coming or their going, while some sidecar beat
-- through all of it, so that their page could have come back. A chat that somebody picked while they were away is none:
-- they meant it. Who is disabled can't come back.
SELECT s.tenant, s.room, s.agent
  FROM sessions s
  JOIN accounts a ON a.tenant = s.tenant AND a.agent = s.agent
  JOIN visits v ON v.tenant = s.tenant AND v.room = s.room AND v.state = 'held' AND v.agent = s.agent
 WHERE s.status = 'active' AND seconds_since(a.absent_since) > %(grace_s)s
   AND seconds_since(v.reserved_at) > %(grace_s)s
   AND (a.disabled OR NOT s.picked OR v.reserved_at < a.absent_since)
   AND (a.disabled OR NOT s.answered OR (%(reassign_s)s > 0
        AND least(seconds_since(a.absent_since), seconds_since(v.reserved_at)) > greatest(%(reassign_s)s, %(grace_s)s)))
   AND EXISTS (SELECT FROM sidecars c WHERE seconds_since(c.started_at) >= %(grace_s)s
                  AND seconds_since(c.beat_at) < %(life_s)s)
   AND (%(room)s::text IS NULL OR s.room = %(room)s::text)
   AND (%(tenant)s::text IS NULL OR s.tenant = %(tenant)s::text)
 ORDER BY s.tenant, v.arrived_us LIMIT %(most)s

-- name: presence
SELECT n.presence FROM accounts a CROSS JOIN $agent_now WHERE a.tenant = %(tenant)s AND a.agent = %(agent)s
