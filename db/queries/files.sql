-- Attachments as files: who may see one, and which files on disk have a row (db/files.py).

-- name: put
INSERT INTO attachments (id, tenant, session, seq, name, type, size, preview_width, preview_height)
SELECT * FROM unnest(%(id)s::text[], %(tenant)s::text[], %(session)s::bigint[], %(seq)s::bigint[],
                     %(name)s::text[], %(type)s::text[], %(size)s::bigint[], %(preview_width)s::integer[],
                     %(preview_height)s::integer[])

-- name: of_chat
-- Only of the very session that it was sent in.
SELECT a.id, a.name, a.type, a.size, a.preview_width, a.preview_height
  FROM attachments a WHERE a.id = %(id)s AND a.session = %(session)s

-- name: by_id
SELECT a.id, a.name, a.type, a.size, a.preview_width, a.preview_height FROM attachments a WHERE a.id = %(id)s

-- name: among
SELECT id FROM attachments WHERE session = %(session)s AND id = ANY(%(ids)s::text[]) ORDER BY id

-- name: for_agent
SELECT a.id, a.name, a.type, a.size, a.preview_width, a.preview_height
  FROM attachments a WHERE a.id = %(id)s AND a.tenant = %(tenant)s

-- name: of_session
SELECT count(*) AS files, coalesce(sum(size), 0)::bigint AS bytes FROM attachments WHERE session = %(session)s

-- name: of_tenant
SELECT coalesce(sum(size), 0)::bigint AS bytes FROM attachments WHERE tenant = %(tenant)s

-- name: of_tenants
SELECT tenant, sum(size)::bigint AS bytes FROM attachments GROUP BY tenant

-- name: set_preview
UPDATE attachments SET preview_width = %(width)s, preview_height = %(height)s WHERE id = %(id)s

-- name: known
SELECT id FROM attachments WHERE id = ANY(%(ids)s::text[])
