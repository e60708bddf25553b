"""How long rooms will wait, from a tenant's seats and its chats of late. Before the views that show it."""

from collections.abc import Mapping

from psycopg2.extensions import cursor

from db.views import VIEWS
from db.waits import Pace, Wait, wait
from views.team import Member


def pace(cur: cursor, tenant: str, team: Mapping[str, Member]) -> Pace:
    online = [member for member in team.values() if member.online]
    row = VIEWS.one(cur, "handling", tenant=tenant)
    seats, free = sum(member.limit for member in online), sum(member.free for member in online)
    return Pace(len(online), seats, free, tuple(row.lengths))


def as_data(place: int, known: Pace, shut: bool) -> dict[str, int | None]:
    """Nobody knows outside the hours."""
    found: Wait | None = None if shut else wait(place, known)
    return {"eta_low_s": found.low if found else None, "eta_high_s": found.high if found else None}
