-- From where an account logged in lately: there the wrong passwords of others do not lock it out. And how many failures
-- lock a subject: fewer where an account fails at one address than where an account, or an address, fails anywhere.
CREATE TABLE login_addresses (
    subject  bytea PRIMARY KEY,
    tenant   text NOT NULL,
    agent    text NOT NULL,
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (tenant, agent) REFERENCES accounts ON DELETE CASCADE
);
CREATE INDEX login_addresses_by_account ON login_addresses (tenant, agent);
CREATE INDEX login_addresses_by_time ON login_addresses (last_at);
ALTER TABLE login_tries ADD COLUMN most integer NOT NULL DEFAULT 10;
