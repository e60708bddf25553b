"""Answers customers while they wait. Imports `live` and `web`."""
