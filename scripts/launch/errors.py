"""How a start can end early: the launcher's other modules raise these, `__main__` turns them into an exit code."""


class Refusal(Exception):
    """The start can't go on. The text is one sentence for a person: what is wrong and what to do. No secrets in it."""


class Stopped(Exception):
    """Somebody asked for the stop (SIGINT, SIGTERM, SIGHUP)."""
