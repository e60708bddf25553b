"""Passwords of test accounts: each is hashed once a run, for a hash is slow on purpose."""

import functools

from db import people

hash_of = functools.cache(people.hashed)
