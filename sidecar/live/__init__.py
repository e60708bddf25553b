"""What goes on while sockets are open: messages stored, events told, places moved, background tasks. Imports `web`."""
