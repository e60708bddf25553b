-- Who waits in the queue of our own chat, each with the place.
SELECT room, row_number() OVER (ORDER BY priority DESC, arrived_us, id) AS position, priority, arrived_us, id
  FROM visits WHERE tenant = %(tenant)s AND class = 'native' AND state = 'waiting'
