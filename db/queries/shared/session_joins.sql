-- What `session_columns` reads beside the session. The last message of a file without a caption is its name.
JOIN customers c ON c.id = s.customer
LEFT JOIN accounts a ON a.tenant = s.tenant AND a.agent = s.agent
LEFT JOIN LATERAL (SELECT seq, sender_type, created_at,
                          coalesce(nullif(body, ''), (SELECT f.name FROM attachments f WHERE f.session = m.session
                                                         AND f.seq = m.seq ORDER BY f.id LIMIT 1), '') AS body
                     FROM messages m
                    WHERE m.session = s.id AND m.sender_type NOT IN ('system', 'bot') ORDER BY m.seq DESC LIMIT 1) l ON true
