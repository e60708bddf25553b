"""Where a view is read from beside PostgreSQL: Redis, if it can be asked, and the settings that a decision goes by."""

from dataclasses import dataclass

from db.inbox import Inbox


@dataclass(frozen=True)
class Source:
    """`away`: why Redis can't be asked; views do without it then. `refuses`: why it takes nothing, though it can be
    asked. `believe_s`: how old a roster may be; `target_s`: who is served within it, is served in time."""

    inbox: Inbox
    away: str | None
    policy: str
    default_limit: int
    believe_s: float
    target_s: float
    refuses: str | None = None
