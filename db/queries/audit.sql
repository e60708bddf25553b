-- What people changed by hand.

-- name: write
INSERT INTO audit (tenant, who, what, subject, before, after, address)
VALUES (%(tenant)s, %(who)s, %(what)s, %(subject)s, %(before)s::jsonb, %(after)s::jsonb, %(address)s)

-- name: read
SELECT id, tenant, at, who, what, subject, before, after, address FROM audit
 WHERE (%(tenant)s::text IS NULL OR tenant = %(tenant)s::text) AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s::bigint)
 ORDER BY id DESC LIMIT %(most)s
