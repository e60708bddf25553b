-- Of an agent `s` who is available: whether all who wait, wait for them. Rooms of several classes each have agents of their
-- own, and so does a room that comes under rules: then nobody knows how long they will wait; nor while nothing is given.
NOT (SELECT t.draining FROM tenants t WHERE t.id = %(tenant)s) AND
CASE (SELECT count(DISTINCT w.class) FROM visits w WHERE w.tenant = %(tenant)s AND w.state = 'waiting')
     WHEN 0 THEN (SELECT t.rules_version = 0 FROM tenants t WHERE t.id = %(tenant)s)
     WHEN 1 THEN EXISTS (SELECT FROM eligible e WHERE e.tenant = s.tenant AND e.agent = s.id
                            AND e.class = (SELECT w.class FROM visits w WHERE w.tenant = %(tenant)s AND w.state = 'waiting' LIMIT 1))
     ELSE false END
