-- Places in the queue of our own chat as pages see them, and how fast it moves.

-- name: places
-- The head of a tenant's native line, in order.
SELECT room, position, "of" FROM ($native_queue) v ORDER BY $queue_order LIMIT %(most)s

-- name: places_behind
-- The same of these rooms, wherever they stand.
SELECT room, position, "of" FROM ($native_queue) w
 WHERE overall > %(most)s AND room = ANY(string_to_array(%(rooms)s, ' '))

-- name: pace
-- How long the line is; who is given chats by the worker now, how many chats they may have by the limits of the last
-- decision, and how many more; and how long the last 50 chats took that were served and ended within a week.
SELECT (SELECT count(*) FROM ($native_queue) w) AS waiting,
       here.*, past.*
  FROM (SELECT count(*) AS online, coalesce(sum(g.may), 0)::integer AS seats,
               coalesce(sum(greatest(0, g.may - g.load)), 0)::integer AS free
          FROM (SELECT CASE WHEN $who_is_waited_for THEN s.max_load ELSE 0 END AS may, s.load
                  FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent CROSS JOIN $agent_now
                 WHERE a.tenant = %(tenant)s AND n.available) g) here,
       ($last_lengths) past
