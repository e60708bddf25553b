"""The supervisors' side: what they see, live and by REST, and what they may do. Imports `agents`, `live` and `web`."""
