-- A tenant that serves out: chats are ended, none is begun.
ALTER TABLE tenants ADD COLUMN draining boolean NOT NULL DEFAULT false;

-- Whoever runs the installation: they see every tenant on /ops, and have no chats.
CREATE TABLE operators (
    id             text PRIMARY KEY,
    email          text NOT NULL,
    name           text NOT NULL,
    password_hash  text NOT NULL,
    disabled       boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX one_operator_an_email ON operators (lower(email));

-- A token, and an address where somebody logged in, is an account's or an operator's.
ALTER TABLE tokens ALTER COLUMN tenant DROP NOT NULL, ALTER COLUMN agent DROP NOT NULL,
    ADD COLUMN operator text REFERENCES operators ON DELETE CASCADE,
    ADD CONSTRAINT token_of_one CHECK (num_nonnulls(agent, operator) = 1 AND num_nonnulls(agent, tenant) <> 1);
CREATE INDEX tokens_by_operator ON tokens (operator) WHERE operator IS NOT NULL;
ALTER TABLE login_addresses ALTER COLUMN tenant DROP NOT NULL, ALTER COLUMN agent DROP NOT NULL,
    ADD COLUMN operator text REFERENCES operators ON DELETE CASCADE,
    ADD CONSTRAINT address_of_one CHECK (num_nonnulls(agent, operator) = 1 AND num_nonnulls(agent, tenant) <> 1);

-- Who changed what by hand, on /ops or by the admin tool. Never a secret, a password or a key.
CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant   text REFERENCES tenants ON DELETE CASCADE,  -- NULL: of the installation
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    who      text NOT NULL,                              -- an e-mail, or `giliran:` and the account of the system
    what     text NOT NULL,
    subject  text NOT NULL DEFAULT '',                   -- a room, an agent, a key
    before   jsonb,
    after    jsonb,
    address  text                                        -- where the request came from
);
CREATE INDEX audit_of_tenant ON audit (tenant, id);
CREATE INDEX audit_by_time ON audit (at);
