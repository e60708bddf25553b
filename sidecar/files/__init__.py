"""Files and transcripts of chats: taken in, judged, kept, given back. Imports `live` and `web`."""
