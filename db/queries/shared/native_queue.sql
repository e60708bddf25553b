-- The rooms of a tenant's own chat that wait, each with its place in its queue (of the rules, else the only one).
SELECT id, room, priority, arrived_us, row_number() OVER (ORDER BY priority DESC, arrived_us, id) AS overall,
       row_number() OVER (PARTITION BY queue ORDER BY priority DESC, arrived_us, id) AS position
  FROM visits WHERE tenant = %(tenant)s AND state = 'waiting'
