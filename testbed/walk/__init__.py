"""A day in a browser by the random walk: agents, a supervisor and customers do at random what people can do.

After each step pages are compared with fresh ones, and everything that anybody wrote is kept in a book. In order: the
network of each (wire), what is seen of a page (shown), the people (staff, customers), the day itself (day).
`./scripts/day` runs it; a short one is in tests/pages/test_walk.py.
"""
