-- Who waits in the queue of our own chat, each with the place in their queue (of the rules, else the only one).
SELECT v.room, row_number() OVER (ORDER BY $queue_order) AS overall,
       row_number() OVER (PARTITION BY v.queue ORDER BY $queue_order) AS position,
       count(*) OVER (PARTITION BY v.queue) AS of, v.priority, v.arrived_us, v.id
  FROM visits v WHERE v.tenant = %(tenant)s AND v.state = 'waiting'
