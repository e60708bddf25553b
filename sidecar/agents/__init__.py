"""The agents' side: login, REST, sockets, presence, seats. Imports `files`, `live` and `web`."""
