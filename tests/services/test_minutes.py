"""The minutes that workers write and charts read: the same whoever writes them, however often, however late."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db import minutes
from tests.services.line_of import TENANT, Line

PUT = (
    "INSERT INTO visits (tenant, room, class, channel, queue, arrived_us, state, agent, last_agent, seat_limit,"
    " opened_at, settled_at, closed_at, reason)"
    " VALUES (%s, %s, 'c', 'c', %s, %s, %s, %s, %s, 9, %s, %s, %s, %s)"
)


@pytest.fixture(autouse=True)
def staffed(line: Line) -> None:
    line.roster("ani")
    line.run("UPDATE agents SET max_load = 2")


def put(
    line: Line, room: str, ago: float, *, served: float | None = None, over: float | None = None, queue: Any = None
) -> None:
    """A visit that came `ago` minutes before this minute began, was assigned and closed so many minutes before it."""
    base = line.one("SELECT date_trunc('minute', clock_timestamp()) AS at").at
    at = [None if each is None else base - timedelta(minutes=each) for each in (ago, served, over)]
    state = "closed" if over is not None else "held" if served is not None else "waiting"
    agent = "ani" if served is not None else None
    values = (agent if state == "held" else None, agent, *at, "resolved" if over is not None else None)
    line.run(PUT, TENANT, room, queue, int(at[0].timestamp() * 1e6), state, *values)


def written(line: Line) -> list[Any]:
    with line.ledger.transaction() as cur:
        for tenant in minutes.due(cur):
            minutes.write(cur, tenant)
    return line.rows("SELECT * FROM minutes WHERE tenant = %s ORDER BY at, queue", TENANT)


def test_a_minute_counts_what_happened_in_it_for_all_and_for_each_queue(line: Line) -> None:
    put(line, "a", 4.5, served=3.5, over=1.5, queue="gold")
    put(line, "b", 4.5)
    put(line, "c", 2.5, over=2.25)
    rows = {(row.at, row.queue): row for row in written(line)}
    base = line.one("SELECT date_trunc('minute', clock_timestamp()) AS at").at

    def at(ago: int, queue: str = "") -> Any:
        return rows[(base - timedelta(minutes=ago), queue)]

    assert [(at(n).arrived, at(n).waiting, at(n).assigned) for n in (5, 4, 3, 2, 1)] == [
        (2, 2, 0), (0, 1, 1), (1, 1, 0), (0, 1, 0), (0, 1, 0)
    ]  # fmt: skip
    assert (at(3).abandoned, at(2).resolved, at(3).seats_taken, at(2).seats_taken) == (1, 1, 1, 0)
    assert at(4).waits == [60.0] and at(4, "gold").waits == [60.0]
    assert at(5, "gold").arrived == 1 and at(5, "channel:c").arrived == 1
    assert (at(1).seats_free, at(2).seats_free) == (2, None)


def test_twice_by_two_late_workers_is_once(line: Line) -> None:
    for n in range(40):
        put(line, f"r{n}", n + 0.5)
    first = written(line)
    assert len({(row.at, row.queue) for row in first}) == len(first)
    line.run("UPDATE tenants SET minutes_to = '-infinity'")
    assert written(line) == first
    line.run("UPDATE tenants SET minutes_to = clock_timestamp() + interval '1 day'")
    assert written(line) == first, "the clock was stepped back"
    line.run("DELETE FROM minutes WHERE at > clock_timestamp() - interval '10 minutes'")
    line.run("UPDATE tenants SET minutes_to = '-infinity'")
    again = written(line)
    assert [row[:9] for row in again] == [row[:9] for row in first], "a gap is filled from the ledger"


def assigned(found: Any) -> int:
    return sum(point["assigned"] or 0 for point in found["points"])


def test_a_series_has_every_step_and_honest_percentiles(line: Line) -> None:
    for n in range(20):
        put(line, f"r{n}", 10 + n / 60, served=10 - n / 2)
    written(line)
    with line.ledger.transaction() as cur:
        hour = minutes.series(cur, TENANT, "1h")
        day = minutes.series(cur, TENANT, "24h")
        week = minutes.series(cur, TENANT, "7d")
    assert [len(each["points"]) for each in (hour, day, week)] == [61, 289, 169]
    steps = [b["at"] - a["at"] for a, b in zip(hour["points"], hour["points"][1:], strict=False)]
    assert set(steps) == {timedelta(seconds=60)}
    assert assigned(hour) == assigned(week) == 20
    busy = [point for point in week["points"] if point["assigned"] == 20]
    if busy:  # else an hour began in between
        waits = sorted((n / 2 + n / 60) * 60 for n in range(20))
        assert abs(busy[0]["wait_p50_s"] - (waits[9] + waits[10]) / 2) < 0.2
    assert hour["points"][0]["wait_p50_s"] is None
    assert hour["points"][-1]["waiting"] is None, "the minute that runs is not known yet"
    text = minutes.as_csv(hour)
    assert text.splitlines()[0].startswith("at,waiting,arrived") and len(text.splitlines()) == 62


def test_today_counts_who_was_served_in_time(line: Line) -> None:
    put(line, "a", 10, served=9.5)
    put(line, "b", 10, served=5, over=1)
    put(line, "c", 10, over=1)
    since = datetime.now(UTC) - timedelta(hours=1)
    with line.ledger.transaction() as cur:
        assert minutes.today(cur, TENANT, since, 60.0) == (2, 1, 0.5, 60.0, None)


def test_webhooks_that_stay_away_are_missed_where_many_usually_come(line: Line) -> None:
    def came(hours_ago: float, number: int) -> None:
        at = "date_trunc('minute', clock_timestamp() - %s * interval '1 hour')"
        line.run(f"INSERT INTO minutes VALUES (%s, {at}, '', 0, %s, 0, 0, 0, '{{}}', 0, 0)", TENANT, hours_ago, number)

    def silence() -> Any:
        with line.ledger.transaction() as cur:
            return minutes.silence(cur, TENANT)

    assert silence() is None, "nobody ever came"
    came(3.5, 5)
    assert silence() is None, "nobody knows what is usual"
    for day in (1, 2, 7):
        came(24 * day + 1.5, 42)
    assert silence() == (3, 42)
    came(0.1, 1)
    assert silence() is None
