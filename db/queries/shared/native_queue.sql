-- Who waits in the queue of our own chat, each with the place.
SELECT v.room, row_number() OVER (ORDER BY $queue_order) AS position, v.priority, v.arrived_us, v.id
  FROM visits v WHERE v.tenant = %(tenant)s AND v.class = 'native' AND v.state = 'waiting'
