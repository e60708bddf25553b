-- Of a visit: seconds from its arrival to its assignment, the last one; NULL: it was not assigned.
CASE WHEN settled_at IS NOT NULL THEN greatest(0, extract(epoch FROM settled_at) - arrived_us / 1e6) END
