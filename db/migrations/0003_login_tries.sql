-- Logins that failed lately, so that passwords can't be guessed: in PostgreSQL, since any sidecar may be asked.
CREATE TABLE login_tries (
    subject  bytea PRIMARY KEY,                       -- sha-256 of tenant and e-mail, or of an address
    failed   timestamptz[] NOT NULL,                  -- the latest ones, oldest first
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
CREATE INDEX login_tries_by_time ON login_tries (last_at);
