-- Places in the queue of our own chat as pages see them, and how fast it moves.

-- name: places
-- The first rooms of a tenant that wait, in order, each with its place in its queue.
SELECT w.room, row_number() OVER (PARTITION BY w.queue ORDER BY w.priority DESC, w.arrived_us, w.id) AS position
  FROM (SELECT room, queue, priority, arrived_us, id FROM visits
         WHERE tenant = %(tenant)s AND state = 'waiting'
         ORDER BY priority DESC, arrived_us, id LIMIT %(most)s) w
 ORDER BY w.priority DESC, w.arrived_us, w.id

-- name: places_behind
-- The same of these rooms, wherever they stand.
SELECT w.room, w.position
  FROM (SELECT room, row_number() OVER (ORDER BY priority DESC, arrived_us, id) AS overall,
               row_number() OVER (PARTITION BY queue ORDER BY priority DESC, arrived_us, id) AS position FROM visits
         WHERE tenant = %(tenant)s AND state = 'waiting') w
 WHERE w.overall > %(most)s AND w.room = ANY(string_to_array(%(rooms)s, ' '))

-- name: pace
-- How long the line is; who is given chats by the worker now, how many chats they may have by the limits of the last
-- decision, and how many more; and how long the last 50 chats took that were served and ended within a week.
SELECT (SELECT count(*) FROM visits WHERE tenant = %(tenant)s AND state = 'waiting') AS waiting,
       here.*, past.*
  FROM (SELECT count(*) AS online, coalesce(sum(g.may), 0)::integer AS seats,
               coalesce(sum(greatest(0, g.may - g.load)), 0)::integer AS free
          FROM (SELECT s.max_load AS may, s.load
                  FROM accounts a JOIN agents s ON s.tenant = a.tenant AND s.id = a.agent
                 WHERE a.tenant = %(tenant)s AND a.wish = 'online' AND a.role = 'agent' AND NOT a.disabled
                   AND EXISTS (SELECT FROM presence p WHERE p.tenant = a.tenant AND p.agent = a.agent
                                  AND p.until > clock_timestamp())) g) here,
       (SELECT count(*) AS closings, percentile_cont(0.5) WITHIN GROUP (ORDER BY took_s) AS median_s
          FROM (SELECT greatest(0, extract(epoch FROM closed_at - settled_at))::float8 AS took_s FROM visits
                 WHERE tenant = %(tenant)s AND state = 'closed' AND closed_at > clock_timestamp() - interval '7 days'
                   AND settled_at IS NOT NULL
                 ORDER BY closed_at DESC LIMIT 50) ended) past
