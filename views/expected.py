"""How long rooms will wait, from a tenant's seats and its chats of late. Before the views that show it."""

from collections.abc import Mapping

from psycopg2.extensions import cursor

from db.views import VIEWS
from db.waits import Pace, standing, wait
from views.team import Member


def pace(cur: cursor, tenant: str, team: Mapping[str, Member]) -> Pace:
    row = VIEWS.one(cur, "handling", tenant=tenant)
    online = [member for member in team.values() if member.online and member.id in set(row.waited_for)]
    seats, free = sum(member.limit for member in online), sum(member.free for member in online)
    return Pace(len(online), seats, free, tuple(row.lengths))


def as_data(place: int, known: Pace, shut: bool, is_new: bool = False) -> dict[str, int | None]:
    """Of a room that waits there, or (`is_new`) of the next one that comes. Nobody knows outside the hours."""
    expected = None if shut else wait(place, known)
    found = expected if is_new else standing(expected)
    return {"eta_low_s": found.low if found else None, "eta_high_s": found.high if found else None}
