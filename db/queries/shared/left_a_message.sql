-- Of a session `s`: whether its customer waits, has written, and nobody is there whom the worker gives chats. Their page
-- has told them that it may be closed.
(s.status = 'waiting' AND EXISTS (SELECT FROM messages m WHERE m.session = s.id AND m.sender_type = 'customer')
 AND NOT EXISTS (SELECT FROM accounts a CROSS JOIN $agent_now WHERE a.tenant = s.tenant AND n.available))
