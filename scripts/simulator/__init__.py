"""A stand-in for Qiscus Omnichannel Chat: the same HTTP, its webhooks, faults by switch, and a page."""
