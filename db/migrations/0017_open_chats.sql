-- From where a chat was begun (a keyed digest), so that one sender can't fill the line.
ALTER TABLE sessions ADD COLUMN origin bytea;
CREATE INDEX sessions_of_origin ON sessions (tenant, origin) WHERE status <> 'ended';
