"""Reports over a real ledger: a week that was made up is counted once more in Python; today is what /ops shows."""

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from click.testing import CliRunner, Result
from psycopg2.extras import NamedTupleCursor

from db import minutes
from db import report as ledger
from db.views import VIEWS
from scripts.admin.__main__ import giliran
from testbed import week
from testbed.week import Stay
from views import agents, glance

SHOP = "senja"
TARGET_S = 60.0


class Ground:
    """A shop with a week behind it, and the tool as it is typed."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url = database_url
        self._env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "DEMO": "0"}
        self.monday = week.last_monday(datetime.now(UTC))

    def cursor(self) -> Any:
        return psycopg2.connect(self.database_url, cursor_factory=NamedTupleCursor)

    def fill(self, stays: Sequence[Stay]) -> None:
        with self.cursor() as conn, conn.cursor() as cur:
            week.fill(cur, SHOP, stays)

    def sql(self, statement: str, *values: object) -> None:
        with self.cursor() as conn, conn.cursor() as cur:
            cur.execute(statement, values)

    def run(self, *args: str, **env: str) -> Result:
        return CliRunner().invoke(giliran, args, env={**self._env, **env}, catch_exceptions=False)

    def report(self, *args: str, **env: str) -> Any:
        done = self.run("report", *args, "--json", **env)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["tenants"][SHOP]


@pytest.fixture
def ground(database_url: str, redis_url: str) -> Ground:
    return Ground(database_url, redis_url)


# --- a week, counted twice


def told(stays: Sequence[Stay], since: datetime, until: datetime) -> dict[str, Any]:
    """The same figures by the plainest way there is."""
    served = [s for s in stays if s.assigned and since <= s.assigned < until]
    waits = [(s.assigned - s.arrived).total_seconds() for s in served if s.assigned]
    cuts = statistics.quantiles(waits, n=20, method="inclusive") if len(waits) > 1 else waits
    over = [s for s in stays if since <= s.closed < until]
    return {
        "arrived": sum(since <= s.arrived < until for s in stays),
        "served": len(served),
        "in_time": sum(wait <= TARGET_S for wait in waits),
        "abandoned": sum(s.agent is None for s in over),
        "resolved": sum(s.agent is not None for s in over),
        "wait_median_s": pytest.approx(statistics.median(waits), abs=0.002),
        "wait_p95_s": pytest.approx(cuts[-1], abs=0.002),
        "wait_longest_s": pytest.approx(max(waits), abs=0.002),
        "service_level": pytest.approx(sum(wait <= TARGET_S for wait in waits) / len(waits), abs=0.0001),
    }


def test_the_report_of_a_week_is_what_happened_in_it(ground: Ground) -> None:
    stays = week.happened(ground.monday)
    ground.fill(stays)
    found = ground.report("--week", f"{ground.monday:%G-W%V}")
    since, until = ground.monday, ground.monday + timedelta(days=7)
    assert (found["zone"], found["zone_of"], found["is_partial"]) == ("Asia/Jakarta", "hours", False)
    assert found["total"] == told(stays, since, until) and found["total"]["arrived"] > 4000
    days = [ground.monday + timedelta(days=n) for n in range(7)]
    assert found["days"] == {f"{day:%Y-%m-%d}": told(stays, day, day + timedelta(days=1)) for day in days}
    came = Counter(s.arrived.astimezone(week.ZONE).hour for s in stays)
    assert {int(hour): each["arrived"] for hour, each in found["hours"].items()} == {h: came[h] for h in range(24)}
    for queue in week.QUEUES:
        assert found["queues"][queue] == told([s for s in stays if s.queue == queue], since, until)
    assert {each["id"]: each for each in found["agents"]} == {
        agent: by_hand(agent, [s for s in stays if s.agent == agent], until) for agent in week.AGENTS
    }
    stars = Counter(s.stars for s in stays if s.stars and s.closed < until)
    assert found["ratings"] == {str(star): stars[star] for star in range(1, 6)}
    seats = sum(s.assigned is not None and s.assigned - timedelta(milliseconds=50) < until for s in stays)
    assert found["decisions"] == {"longest_idle": {"decisions": seats, "seats": seats}}
    eta = json.loads(ground.run("eta", "--backtest", "--days", "21", "--json").stdout)["tenants"][SHOP]
    assert 0.7 < eta["within"] < 0.95 and eta["told"] > 500


def by_hand(agent: str, stays: Sequence[Stay], until: datetime) -> dict[str, Any]:
    handled = [(s.closed - s.assigned).total_seconds() for s in stays if s.assigned and s.assigned < until]
    stars = [s.stars for s in stays if s.stars and s.closed < until]
    return {
        "id": agent,
        "name": week.AGENTS[agent],
        "chats": len(handled),
        "ended": len(handled),
        "handling_median_s": pytest.approx(statistics.median(handled), abs=0.002),
        "handling_total_s": pytest.approx(sum(handled), abs=0.01),
        "ratings": len(stars),
        "rating_mean": pytest.approx(statistics.fmean(stars), abs=0.001),
    }


def test_days_of_another_zone_are_cut_elsewhere(ground: Ground) -> None:
    stays = week.happened(ground.monday, days=2)
    ground.fill(stays)
    day = datetime(ground.monday.year, ground.monday.month, ground.monday.day, tzinfo=ZoneInfo("UTC"))
    found = ground.report("--day", f"{day:%Y-%m-%d}", "--zone", "UTC")
    assert found["total"] == told(stays, day, day + timedelta(days=1)) and found["zone_of"] == "asked"


def test_a_chat_that_crossed_midnight_or_is_still_open_is_in_the_report_of_its_day(ground: Ground) -> None:
    """It waited over one midnight, and was over days after the next."""
    stays = week.happened(ground.monday, days=1)
    noon = ground.monday + timedelta(hours=36)
    long = Stay("long", "Orders", "ani", noon - timedelta(days=1), noon, noon + timedelta(days=3), None)
    ground.fill(sorted([*stays, long], key=lambda stay: stay.arrived))
    day = ["--day", f"{noon:%Y-%m-%d}"]
    before = told([*stays, long], ground.monday + timedelta(days=1), ground.monday + timedelta(days=2))
    assert ground.report(*day)["total"] == before and before["served"] >= 1
    ground.sql("UPDATE visits SET state = 'held', agent = 'ani', closed_at = NULL, reason = NULL WHERE room = 'long'")
    assert ground.report(*day)["total"] == before


# --- today, as /ops has it


def test_today_is_what_ops_shows_of_today(ground: Ground) -> None:
    """The same visits, by the code of the page and by the report."""
    with ground.cursor() as conn, conn.cursor() as cur:
        midnight = glance.midnight(cur)
    now = datetime.now(UTC)
    part = (now - midnight) / 12

    def stay(n: int, wait: float, took: float | None) -> Stay:
        came = midnight + part * n - timedelta(seconds=1)
        assigned = came + timedelta(seconds=wait)
        return Stay(
            f"r{n}", "Orders", "ani" if n % 2 else "budi", came, assigned, assigned + timedelta(seconds=took or 0), None
        )

    gone = Stay("gone", "Orders", None, midnight + part, None, midnight + part * 2, None)
    served = [stay(n, 2.0 if n % 3 else 61.0, 3.0) for n in range(10)]
    ground.fill([*served, gone])
    ground.sql(
        "UPDATE visits SET state = 'held', agent = last_agent, closed_at = NULL, reason = NULL WHERE room = 'r4'"
    )
    found = ground.report("--day", f"{midnight:%Y-%m-%d}", "--zone", "UTC")
    with ground.cursor() as conn, conn.cursor() as cur:
        shown = minutes.today(cur, SHOP, midnight, TARGET_S)
        members = agents.today(cur, SHOP, midnight)
    total = found["total"]
    assert (total["served"], total["abandoned"]) == (shown.served, shown.abandoned) == (10, 1)
    assert shown.level is not None and total["service_level"] == round(shown.level, 4) and 0 < shown.level < 1
    chats = {each["id"]: (each["chats"], each["handling_median_s"]) for each in found["agents"]}
    assert chats == {agent: (row.answered, pytest.approx(row.median_s, abs=0.001)) for agent, row in members.items()}
    assert found["is_partial"] and found["hours"]["0"] is not None


# --- what nobody knows


@pytest.fixture
def two_days(ground: Ground) -> Ground:
    ground.fill(week.happened(ground.monday, days=2))
    return ground


def test_nothing_is_told_of_days_before_the_data_or_to_come(two_days: Ground) -> None:
    before = two_days.run("report", "--month", "2020-02")
    assert before.exit_code == 1 and f"its data begins on {two_days.monday:%Y-%m-%d} 00:00" in before.stderr
    later = two_days.run("report", "--day", "2101-01-01")
    assert later.exit_code == 1 and "has not begun yet" in later.stderr


def test_what_keep_days_has_deleted_is_not_known(two_days: Ground) -> None:
    kept = (datetime.now(UTC) - two_days.monday).days - 1
    days = two_days.report("--week", f"{two_days.monday:%G-W%V}", KEEP_DAYS=str(kept))["days"]
    assert list(days.values())[0] is None and list(days.values())[2] is not None


def test_what_came_after_the_last_worker_is_not_known(two_days: Ground) -> None:
    two_days.sql("UPDATE tenants SET minutes_to = %s", two_days.monday + timedelta(hours=30))
    found = two_days.report("--week", f"{two_days.monday:%G-W%V}")
    assert [each is None for each in found["days"].values()] == [False, False, True, True, True, True, True]
    gone = two_days.run("report", "--day", f"{two_days.monday + timedelta(days=4):%Y-%m-%d}")
    assert gone.exit_code == 1 and "no worker has run since" in gone.stderr


def test_ratings_are_known_as_long_as_chats_are_kept_and_never_of_qiscus(two_days: Ground) -> None:
    week_of = ["--week", f"{two_days.monday:%G-W%V}"]
    assert two_days.report(*week_of)["ratings_since"] is None
    assert two_days.report(*week_of, KEEP_CHATS_DAYS="1")["ratings"] is None
    two_days.sql("UPDATE tenants SET desk = 'qiscus'")
    found = two_days.report(*week_of)
    assert found["ratings"] is None and {each["ratings"] for each in found["agents"]} == {None}


# --- the command


def test_wrong_options_are_refused_with_what_would_be_right(ground: Ground) -> None:
    wrong = {
        ("--day", "x"): "2026-11-30",
        ("--day", "2026-11-30", "--week", "2026-W48"): "only one of --day, --week and --month",
        ("--json", "--csv"): "only one of --json, --csv and --html",
        ("--zone", "Mars"): "Asia/Jakarta",
        ("--language", "id"): "--html",
        ("--language", "fr", "--html", "x"): "'en', 'id'",
    }
    for args, right in wrong.items():
        done = ground.run("report", *args)
        assert done.exit_code == 2 and right in done.stderr, args
    nobody = ground.run("report")
    assert nobody.exit_code != 0 and "giliran tenant add" in nobody.stderr


def test_the_page_speaks_as_most_customers_do_and_replaces_its_file(two_days: Ground, tmp_path: Any) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    args = ["report", "--day", f"{two_days.monday:%Y-%m-%d}", "--html", str(file)]
    assert two_days.run(*args).exit_code == 0
    assert '<html lang="id">' in file.read_text() and "Toko Senja" in file.read_text()
    assert two_days.run(*args, "--language", "en").exit_code == 0 and '<html lang="en">' in file.read_text()
    lost = two_days.run(*args[:-1], str(tmp_path / "nowhere" / "x.html"))
    assert lost.exit_code == 1 and "can't write" in lost.stderr
    assert two_days.run(*args[:-1], "-").stdout.startswith("<!doctype html>")


def test_one_tenant_without_data_does_not_hide_the_others(two_days: Ground) -> None:
    two_days.sql("INSERT INTO tenants (id, base_url, secret_key) VALUES ('new', 'http://127.0.0.1:9', 'x')")
    done = two_days.run("report", "--day", f"{two_days.monday:%Y-%m-%d}", "--csv")
    assert done.exit_code == 0 and "in new: it has no visits yet" in done.stderr
    assert {line.split(",")[0] for line in done.stdout.splitlines()} == {"tenant", SHOP}


# --- large ledgers


def read_by(cur: Any, statement: str, **values: object) -> int:
    cur.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, {"tenant": SHOP, **values})
    return sum(looked_at(cur.fetchone()[0][0]["Plan"]))


def looked_at(plan: dict[str, Any]) -> Iterator[int]:
    """Rows that each scan of visits went through."""
    if plan.get("Relation Name") == "visits":
        yield plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    for part in plan.get("Plans", ()):
        yield from looked_at(part)


MANY = (
    "INSERT INTO visits (tenant, room, queue, arrived_us, state, last_agent, opened_at, settled_at, closed_at, reason)"
    " SELECT %s, n::text, 'q', extract(epoch FROM at) * 1e6, 'closed', 'ani', at, at + interval '9 s',"
    " at + interval '9 min', 'resolved' FROM generate_series(0, %s - 1) n"
    " CROSS JOIN LATERAL (SELECT %s + n * %s AS at) x"
)


def test_one_day_of_many_reads_a_part_of_the_visits(two_days: Ground) -> None:
    """Of 12 weeks: the day itself, and of chats that were over later those that began in the week before."""
    first, each, total = two_days.monday - timedelta(weeks=11), timedelta(minutes=4), 12 * 7 * 360
    two_days.sql("DELETE FROM visits")
    two_days.sql(MANY, SHOP, total, first, each)
    two_days.sql("ANALYZE visits")
    with two_days.cursor() as conn, conn.cursor() as cur:
        for weeks in (1, 5, 10):
            day = first + timedelta(weeks=weeks)
            span = ledger.span(cur, day, day + timedelta(days=1))
            found = list(ledger.visits(cur, SHOP, day, day + timedelta(days=1)))
            assert len(found) == 360 + 2, "those of the day, and those that were open at its beginning"
            read = read_by(cur, ledger.REPORT.blocks["visits"], **span)
            assert read < total * 0.15, (weeks, read)
        since = first + timedelta(days=12 * 7 - 1)
        assert read_by(cur, VIEWS.blocks["agents_today"], since=since) < total * 0.05
        assert read_by(cur, minutes.MINUTES.blocks["today"], since=since, target_s=TARGET_S) < total * 0.05


def test_ids_are_found_by_the_time_at_which_visits_were_opened(two_days: Ground) -> None:
    with two_days.cursor() as conn, conn.cursor() as cur:
        cur.execute("SELECT id, opened_at FROM visits ORDER BY id")
        rows = cur.fetchall()
        assert [row.opened_at for row in rows] == sorted(row.opened_at for row in rows)
        cur.execute("DELETE FROM visits WHERE id %% 7 < 5", ())
        cur.execute("SELECT id, opened_at FROM visits ORDER BY id")
        rows = cur.fetchall()
        ask = ledger.REPORT.one
        for row in rows[:: len(rows) // 20]:
            assert ask(cur, "first_since", at=row.opened_at).id <= row.id
            after = ask(cur, "first_since", at=row.opened_at + timedelta(microseconds=1)).id
            assert row.id < after and not [r for r in rows if row.id < r.id < after]
        assert ask(cur, "first_since", at=rows[-1].opened_at + timedelta(days=1)).id == rows[-1].id + 1
