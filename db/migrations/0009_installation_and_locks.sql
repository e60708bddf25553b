-- Which installation this ledger belongs to: its id stands in the channels of the chat and in the Redis that is its own.
-- Empty until the first process starts, so that a database that is cloned before its first use is another installation.
CREATE TABLE installation (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    id   text NOT NULL CHECK (id ~ '^[0-9a-f]{16}$')
);

-- Whose failures these are, where it is known: so that an admin can see who is locked out, and let them in.
ALTER TABLE login_tries ADD COLUMN tenant text, ADD COLUMN agent text;
CREATE INDEX login_tries_by_account ON login_tries (tenant, agent) WHERE agent IS NOT NULL;
