-- Of an account `a`: whether a page of theirs is open, whether the worker gives them chats, and what colleagues see.
LATERAL (SELECT h.here, h.here AND a.wish = 'online' AND a.role = 'agent' AS available,
                CASE WHEN h.here THEN a.wish ELSE 'offline' END AS presence
           FROM (SELECT NOT a.disabled AND EXISTS (
                     SELECT FROM presence p WHERE p.tenant = a.tenant AND p.agent = a.agent
                        AND p.until > clock_timestamp()) AS here) h) n
