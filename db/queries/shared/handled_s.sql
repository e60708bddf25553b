-- Of a visit: seconds from its assignment, the last one, to its end; NULL: it was not assigned, or is not over.
CASE WHEN closed_at IS NOT NULL AND settled_at IS NOT NULL THEN greatest(0, extract(epoch FROM closed_at - settled_at)) END
