"""Reads what the checks judge. Every function ends in time, and answers with values, whatever is away."""
