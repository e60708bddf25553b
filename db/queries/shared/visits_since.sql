-- That may have been served since then, or were over: those with an agent, and those that an index finds by their end.
SELECT * FROM visits WHERE tenant = %(tenant)s AND state = 'held' AND settled_at >= %(since)s
 UNION ALL
SELECT * FROM visits WHERE tenant = %(tenant)s AND state = 'closed' AND closed_at >= %(since)s
