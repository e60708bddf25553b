-- A tenant that serves out: chats are ended, none is begun.
ALTER TABLE tenants ADD COLUMN draining boolean NOT NULL DEFAULT false;
