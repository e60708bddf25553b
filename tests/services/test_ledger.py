"""The ledger's own guarantees, with writers who race on connections of their own and never take the tenant's lock."""

import random
import threading
from collections.abc import Callable

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation, InternalError_, UniqueViolation

from db import postgres
from db.ledger import LEDGER
from tests.services.line_of import Line, line_of

WRITERS = 8
SEAT = (
    "INSERT INTO visits (tenant, room, arrived_us, state, agent, last_agent, seat_limit, lease_until, reserved_at)"
    " VALUES ('toko', %s, 1, 'reserved', %s, %s, %s, clock_timestamp() + interval '1 minute', clock_timestamp())"
)


def _agents(line: Line, number: int, foreign: Callable[[int], int] = lambda _: 0) -> list[str]:
    names = [f"agent{n}" for n in range(number)]
    for n, name in enumerate(names):
        insert = "INSERT INTO agents (tenant, id, available, foreign_est) VALUES ('toko', %s, true, %s)"
        line.run(insert, name, foreign(n))
    return names


def _race(line: Line, task: Callable[[psycopg2.extensions.connection, random.Random], None]) -> None:
    """Each writer on its own connection, all at once. What one raises, the test raises."""
    errors: list[BaseException] = []
    start = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        connection = postgres.connect(line.database_url, "racer")
        try:
            start.wait(10)
            task(connection, random.Random(number))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


def _attempt(connection: psycopg2.extensions.connection, sql: str, values: tuple[object, ...]) -> bool:
    """One transaction; False where the seat limit refused it."""
    try:
        with connection, connection.cursor() as cur:
            cur.execute(sql, values)
    except CheckViolation as error:
        assert error.diag.constraint_name == postgres.CONSTRAINT_SEAT_LIMIT
        return False
    except InternalError_ as error:  # a race inside PostgreSQL about a row that an aborted writer had changed: no seat
        assert "more than one updating member" in str(error)
        return False
    return True


def _counted(line: Line) -> list[tuple[str, int, int]]:
    """Agents whose stored number of seats is not the counted one."""
    sql = (
        "SELECT a.id, a.open_seats, count(v.id)::integer FROM agents a LEFT JOIN visits v"
        " ON (v.tenant, v.agent) = (a.tenant, a.id) AND v.state IN ('reserved', 'held')"
        " GROUP BY a.tenant, a.id HAVING a.open_seats <> count(v.id) OR a.load <> count(v.id) + a.foreign_est"
    )
    return [tuple(row) for row in line.rows(sql)]


def test_eight_writers_without_any_lock_give_nobody_a_chat_too_many(line: Line) -> None:
    agents = _agents(line, 60)
    given: list[bool] = []

    def give(connection: psycopg2.extensions.connection, dice: random.Random) -> None:
        for n in range(150):
            agent = dice.choice(agents)
            room = f"{threading.get_ident()}-{n}"
            given.append(_attempt(connection, SEAT, (room, agent, agent, 2)))

    _race(line, give)
    assert len(given) == WRITERS * 150
    assert sum(given) == sum(line.seats().values()) == 120, "every seat was taken, and no more"
    assert set(line.seats().values()) == {2}
    assert _counted(line) == []


def test_chats_that_are_not_ours_take_seats_too(line: Line) -> None:
    agents = _agents(line, 12, foreign=lambda n: n % 4)

    def give(connection: psycopg2.extensions.connection, dice: random.Random) -> None:
        for n in range(60):
            agent = dice.choice(agents)
            _attempt(connection, SEAT, (f"{threading.get_ident()}-{n}", agent, agent, 2))

    _race(line, give)
    assert line.seats() == {agent: 2 - n % 4 for n, agent in enumerate(agents) if n % 4 < 2}
    assert _counted(line) == []


def test_writers_who_move_waiting_rooms_to_a_seat_meet_the_same_guard(line: Line) -> None:
    agents = _agents(line, 10)
    line.run(
        "INSERT INTO visits (tenant, room, arrived_us, state)"
        " SELECT 'toko', 'r' || n, n, 'waiting' FROM generate_series(1, 400) n"
    )
    ids = [row.id for row in line.rows("SELECT id FROM visits")]
    values = {"tenant": "toko", "owner": 1, "lease_s": 30.0}

    def give(connection: psycopg2.extensions.connection, dice: random.Random) -> None:
        for _ in range(60):
            try:
                with connection, connection.cursor() as cur:
                    LEDGER.all(
                        cur, "reserve", visit=[dice.choice(ids)], agent=[dice.choice(agents)], limit=[2], **values
                    )
            except CheckViolation:
                continue

    _race(line, give)
    assert line.seats() == dict.fromkeys(agents, 2)


def test_one_statement_that_gives_three_rooms_to_an_agent_with_two_seats_gives_none(line: Line) -> None:
    _agents(line, 1)
    for room in ("a", "b", "c"):
        line.arrive(room)
    line.decide()
    ids = [line.visit(room).id for room in ("a", "b", "c")]
    with pytest.raises(CheckViolation, match="agent0 would have 3 chats of 2"), line.ledger.transaction() as cur:
        LEDGER.all(cur, "reserve", tenant="toko", owner=1, lease_s=30, visit=ids, agent=["agent0"] * 3, limit=[2] * 3)
    assert line.states() == {"a": "waiting", "b": "waiting", "c": "waiting"}
    assert line.agent("agent0").open_seats == 0


def test_the_stored_number_of_seats_is_the_counted_one_whatever_happens_to_visits(line: Line) -> None:
    """Reserves, holds by another agent, moves, closes and deletes, side by side; checked while they race, too."""
    agents = _agents(line, 6, foreign=lambda n: n % 2)
    wrong: list[object] = []

    def live(connection: psycopg2.extensions.connection, dice: random.Random) -> None:
        mine: list[int] = []
        for n in range(60):
            agent = dice.choice(agents)
            with connection, connection.cursor() as cur:
                if len(mine) < 3:
                    cur.execute("SAVEPOINT one")
                    try:
                        cur.execute(SEAT + " RETURNING id", (f"{threading.get_ident()}-{n}", agent, agent, 4))
                        mine.append(cur.fetchone().id)
                    except CheckViolation:
                        cur.execute("ROLLBACK TO SAVEPOINT one")
                else:
                    _end_or_move(cur, dice, mine, agent)
            if n % 10 == 0:
                wrong.extend(_counted_in_one_snapshot(connection))

    _race(line, live)
    assert wrong == []
    assert _counted(line) == []
    line.run("DELETE FROM visits")
    assert {row.open_seats for row in line.rows("SELECT open_seats FROM agents")} == {0}


def _end_or_move(cur: psycopg2.extensions.cursor, dice: random.Random, mine: list[int], agent: str) -> None:
    visit = dice.choice(mine)
    step = dice.choice(("close", "delete", "adopt", "hold"))
    cur.execute("UPDATE visits SET answered = attempt WHERE id = %s RETURNING attempt", (visit,))
    if step == "close":
        LEDGER.run(cur, "end_visit", visit=visit, attempt=cur.fetchone().attempt, reason="test", service=None)
    elif step == "delete":
        cur.execute("DELETE FROM visits WHERE id = %s", (visit,))
    elif step == "adopt":
        LEDGER.run(cur, "adopt", visit=visit, agent=agent)
    else:
        values = {"agent": [agent], "first_comment_id": [None], "unconfirmed": [False]}
        LEDGER.all(cur, "hold", tenant="toko", visits=[visit], attempts=[0], **values)
    if step in ("close", "delete"):
        mine.remove(visit)


def _counted_in_one_snapshot(connection: psycopg2.extensions.connection) -> list[object]:
    with connection, connection.cursor() as cur:
        cur.execute(
            "SELECT a.id FROM agents a WHERE a.open_seats <> (SELECT count(*) FROM visits v WHERE v.tenant = a.tenant"
            " AND v.agent = a.id AND v.state IN ('reserved', 'held'))"
        )
        return cur.fetchall()


def test_a_room_has_one_open_visit_however_many_writers_open_one(line: Line) -> None:
    opened: list[int] = []

    def arrive(connection: psycopg2.extensions.connection, _: random.Random) -> None:
        for room in range(20):
            try:
                with connection, connection.cursor() as cur:
                    cur.execute(
                        "INSERT INTO visits (tenant, room, arrived_us, state) VALUES ('toko', %s, 1, 'waiting')",
                        (f"r{room}",),
                    )
                opened.append(room)
            except UniqueViolation as error:
                assert error.diag.constraint_name == "one_open_visit"

    _race(line, arrive)
    assert sorted(opened) == list(range(20))


def test_a_closed_visit_leaves_its_room_free_for_the_next(line: Line) -> None:
    line.roster("ani")
    line.serve("r1")
    line.run("UPDATE visits SET state = 'closed', answered = attempt, agent = NULL, reason = 'test', closed_at = now()")
    line.run("INSERT INTO visits (tenant, room, arrived_us, state) VALUES ('toko', 'r1', 2, 'waiting')")
    assert line.stays("r1") == ["closed", "waiting"]


def test_a_seat_without_a_limit_is_refused(line: Line) -> None:
    _agents(line, 1)
    with pytest.raises(CheckViolation, match="reserved_has_limit"):
        line.run(SEAT, "r1", "agent0", "agent0", None)


def test_a_seat_of_an_agent_nobody_knows_is_refused(line: Line) -> None:
    with pytest.raises(ForeignKeyViolation):
        line.run(SEAT, "r1", "nobody", "nobody", 2)


def test_a_seat_of_another_tenants_agent_is_refused(line: Line) -> None:
    with line_of(line.database_url, line.redis_url, "warung") as other:
        other.roster("ani")
        with pytest.raises(ForeignKeyViolation):
            line.run(SEAT, "r1", "ani", "ani", 2)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("state = 'held'", "seat_has_agent"),
        ("agent = 'ani'", "seat_has_agent"),
        ("state = 'closed'", "closed_has_reason"),
        ("reason = 'x', closed_at = now()", "closed_has_reason"),
        ("state = 'reserved', agent = 'ani', seat_limit = 2", "reserved_has_lease"),
        ("state = 'asleep'", "visits_state_check"),
    ],
)
def test_a_visit_that_contradicts_itself_is_refused(line: Line, change: str, constraint: str) -> None:
    line.roster("ani")
    line.run("INSERT INTO visits (tenant, room, arrived_us, state) VALUES ('toko', 'r1', 1, 'waiting')")
    with pytest.raises(CheckViolation) as refused:
        line.run(f"UPDATE visits SET {change}")
    assert refused.value.diag.constraint_name == constraint


def test_a_chat_given_by_hand_may_stand_above_the_limit_and_counts(line: Line) -> None:
    line.roster("ani", "budi")
    line.serve("r1", "r2", "r3", "r4")
    line.arrive("r5")
    line.decide()
    with line.ledger.transaction() as cur:
        LEDGER.run(cur, "adopt", visit=line.visit("r5").id, agent="ani")
    assert line.seats() == {"ani": 3, "budi": 2}
    assert line.agent("ani").open_seats == 3
    with pytest.raises(CheckViolation, match="ani would have 4 chats of 2"):
        line.run(SEAT, "r6", "ani", "ani", 2)


def test_a_step_back_from_held_to_reserved_is_a_step_into_reserved(line: Line) -> None:
    line.roster("ani")
    line.serve("r1", "r2")
    line.run("UPDATE agents SET foreign_est = 1")
    again = "UPDATE visits SET state = 'reserved', seat_limit = {}, lease_until = clock_timestamp() WHERE room = 'r1'"
    with pytest.raises(CheckViolation, match="ani would have 3 chats of 2"):
        line.run(again.format(2))
    line.run(again.format(3))
    assert (line.seats(), line.agent("ani").open_seats) == ({"ani": 2}, 2)


def test_a_held_chat_that_changes_its_agent_is_counted_with_the_new_one(line: Line) -> None:
    line.roster("ani", "budi")
    line.serve("r1", "r2")
    before = {name: line.agent(name).open_seats for name in ("ani", "budi")}
    assert before == {"ani": 1, "budi": 1}
    line.run("UPDATE visits SET agent = 'ani' WHERE state = 'held'")
    assert {name: line.agent(name).open_seats for name in ("ani", "budi")} == {"ani": 2, "budi": 0}


def test_a_second_try_of_the_same_pair_asks_for_no_second_seat(line: Line) -> None:
    """A lowered limit does not stop a reservation from being finished: it was decided before."""
    line.roster("ani")
    line.arrive("r1")
    line.decide()
    line.run("UPDATE visits SET seat_limit = 0, attempt = attempt + 1 WHERE state = 'reserved'")
    assert line.seats() == {"ani": 1}


def test_a_tenant_takes_all_that_is_its_own_along_and_nothing_else(line: Line) -> None:
    line.roster("ani")
    line.serve("r1")
    with line_of(line.database_url, line.redis_url, "warung") as other:
        other.roster("ani")
        other.serve("r1")
        line.run("DELETE FROM visits WHERE tenant = 'toko'")
        line.run("DELETE FROM tenants WHERE id = 'toko'")
        assert other.seats() == {"ani": 1}
        left = "SELECT count(*) n FROM {} WHERE tenant = 'toko'"
        tables = ("agents", "visits", "rosters", "eligible", "rooms", "limits", "rounds", "drifts")
        assert {table: line.one(left.format(table)).n for table in tables} == dict.fromkeys(tables, 0)
