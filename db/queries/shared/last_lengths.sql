SELECT coalesce(array_agg(took_s), '{}') AS lengths
  FROM (SELECT ($handled_s)::float8 AS took_s FROM visits
         WHERE tenant = %(tenant)s AND state = 'closed' AND closed_at > clock_timestamp() - interval '7 days'
           AND settled_at IS NOT NULL
         ORDER BY closed_at DESC LIMIT 50) ended
