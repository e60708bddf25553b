-- People who log in: accounts, tokens, failed logins; and presence: whose page is connected to which sidecar.

-- name: add_agent
INSERT INTO agents (tenant, id, name) VALUES (%(tenant)s, %(agent)s, %(name)s)

-- name: add_account
-- No row: the e-mail has an account already.
INSERT INTO accounts (tenant, agent, email, name, password_hash, role)
VALUES (%(tenant)s, %(agent)s, %(email)s, %(name)s, %(password_hash)s, %(role)s)
    ON CONFLICT (tenant, lower(email)) DO NOTHING
RETURNING agent

-- name: account
SELECT agent, email, name, role, disabled FROM accounts
 WHERE tenant = %(tenant)s AND (agent = %(who)s OR lower(email) = lower(%(who)s))

-- name: accounts
SELECT agent, email, name, role, disabled, wish FROM accounts WHERE tenant = %(tenant)s ORDER BY lower(name), agent

-- name: set_disabled
UPDATE accounts SET disabled = %(disabled)s WHERE tenant = %(tenant)s AND agent = %(agent)s RETURNING agent, disabled

-- name: set_password
UPDATE accounts SET password_hash = %(password_hash)s WHERE tenant = %(tenant)s AND agent = %(agent)s RETURNING agent

-- name: revoke_all
UPDATE tokens SET revoked_at = clock_timestamp()
 WHERE tenant = %(tenant)s AND agent = %(agent)s AND revoked_at IS NULL

-- name: native_tenants
SELECT id FROM tenants WHERE desk = 'native' ORDER BY id LIMIT 2

-- name: credentials
SELECT a.agent, a.email, a.name, a.role, a.disabled, a.password_hash
  FROM accounts a JOIN tenants t ON t.id = a.tenant AND t.desk = 'native'
 WHERE a.tenant = %(tenant)s AND lower(a.email) = lower(%(email)s)

-- name: blocked
-- Seconds until a subject may try again; no row: now.
SELECT extract(epoch FROM max(recent.first + %(window_s)s * interval '1 second' - clock_timestamp()))::float8 AS wait_s
  FROM login_tries t
  CROSS JOIN LATERAL (SELECT min(at) AS first, count(*) AS n FROM unnest(t.failed) at
                       WHERE at > clock_timestamp() - %(window_s)s * interval '1 second') recent
 WHERE t.subject = ANY(%(subjects)s::bytea[]) AND recent.n >= %(most)s
HAVING count(*) > 0

-- name: lock_tries
SELECT subject FROM login_tries WHERE subject = ANY(%(subjects)s::bytea[]) ORDER BY subject FOR NO KEY UPDATE

-- name: fail
-- One more failure of each subject. Older than the window counts for nothing; more than the limit need not be kept.
INSERT INTO login_tries AS t (subject, failed)
SELECT s, ARRAY[clock_timestamp()] FROM unnest(%(subjects)s::bytea[]) s ORDER BY s
    ON CONFLICT (subject) DO UPDATE
   SET last_at = clock_timestamp(),
       failed = array_append((SELECT coalesce(array_agg(at ORDER BY at), '{}') FROM (
                    SELECT at FROM unnest(t.failed) at
                     WHERE at > clock_timestamp() - %(window_s)s * interval '1 second'
                     ORDER BY at DESC LIMIT %(most)s - 1) kept), clock_timestamp())

-- name: forgive
DELETE FROM login_tries WHERE subject = %(subject)s

-- name: forget_tries
DELETE FROM login_tries WHERE subject IN (
    SELECT subject FROM login_tries WHERE last_at < clock_timestamp() - %(window_s)s * interval '1 second'
     LIMIT 20 FOR UPDATE SKIP LOCKED)

-- name: put_token
INSERT INTO tokens (digest, tenant, agent, expires_at)
VALUES (%(digest)s, %(tenant)s, %(agent)s, clock_timestamp() + %(life_s)s * interval '1 second')

-- name: forget_tokens
DELETE FROM tokens WHERE tenant = %(tenant)s AND agent = %(agent)s AND expires_at < clock_timestamp()

-- name: who
SELECT t.tenant, t.agent AS agent_id, a.name, a.email, a.role
  FROM tokens t JOIN accounts a ON a.tenant = t.tenant AND a.agent = t.agent
 WHERE t.digest = %(digest)s AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp() AND NOT a.disabled

-- name: valid
SELECT t.digest FROM tokens t JOIN accounts a ON a.tenant = t.tenant AND a.agent = t.agent
 WHERE t.digest = ANY(%(digests)s::bytea[]) AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
   AND NOT a.disabled

-- name: revoke
UPDATE tokens SET revoked_at = clock_timestamp() WHERE digest = %(digest)s AND revoked_at IS NULL RETURNING tenant, agent

-- name: come_online
-- After a login the first page is online, whatever was wished before.
UPDATE accounts SET wish = 'online'
 WHERE tenant = %(tenant)s AND agent = %(agent)s AND absent_since IS NOT NULL AND wish <> 'online'
