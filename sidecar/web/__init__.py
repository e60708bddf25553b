"""The edge of HTTP: connections, origins, limits, answers, and the files of the pages. Imports no other room."""
