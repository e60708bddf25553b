"""Passwords of test accounts: hashed once a run, and cheaply, for the product's own hash is slow on purpose."""

import functools

from argon2 import PasswordHasher

PASSWORD = "Test@1234"
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
hash_of = functools.cache(CHEAP.hash)
