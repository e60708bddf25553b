-- Files are found by their names, and chats that are over can be forgotten after a while.
CREATE INDEX attachments_by_name ON attachments USING gin (to_tsvector('simple', translate(name, '._-', '   ')));
CREATE INDEX sessions_over ON sessions (tenant, ended_at) WHERE status = 'ended';
