"""The customers' side: REST, sockets, who is here. Imports `bot`, `files`, `live` and `web`."""
