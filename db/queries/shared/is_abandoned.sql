-- Of a visit: it is over, and no agent had it at its end.
(state = 'closed' AND settled_at IS NULL)
