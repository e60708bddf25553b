-- Which installation this ledger belongs to: its id stands in the channels of the chat and in the Redis that is its own.
-- Empty until the first process starts, so that a database that is cloned before its first use is another installation.
CREATE TABLE installation (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    id   text NOT NULL CHECK (id ~ '^[0-9a-f]{16}$')
);
