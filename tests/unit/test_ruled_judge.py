"""The judge of `./scripts/storm --rules` on records made by hand: it finds what is wrong, and nothing else."""

from collections.abc import Callable

from scripts.storms import ruled_judge as judge
from scripts.storms.ruled_file import Customer, File, Led
from scripts.storms.ruled_record import Change, Desk, Event, Member, Record, Stay
from tests.variants import each

NOON = 1_796_040_000.0  # a Monday, 12:00 UTC
FIRST = """
[hours]
timezone = "UTC"
open = ["mon-fri 08:00-12:30"]
[sticky]
within = "1h"
wait = "10s"
[queues.bali]
agents = { divisions = ["Bali"] }
limit = 1
[[queues.bali.steps]]
after = "20s"
agents = { emails = ["BUDI@example.com"] }
priority = 10
[queues.rest]
agents = { channel = true }
[[rules]]
name = "Bali"
when = { property.city = ["Ubud", "Kuta"], source = "wa" }
queue = "bali"
priority = 5
[default]
queue = "rest"
"""
PEOPLE = (Member("1", "wayan@example.com", None), Member("2", "budi@example.com", frozenset({"8"})))


def customer(**known: object) -> Customer:
    return Customer("wa", "7", "WhatsApp", "c@example.com", "C", False, known)


def change(visit: int = 1, state: str = "waiting", after_s: float = 0.0, **more: object) -> Change:
    """Of a room of Bali that came at noon, as it is `after_s` later."""
    row = {
        "seq": 0,
        "tx": int(after_s * 10),
        "at": NOON + after_s,
        "visit": visit,
        "room": f"r{visit}",
        "state": state,
        "agent": None if state == "waiting" else "1",
        "queue": "bali",
        "rule": "Bali",
        "rules_version": 1,
        "step": 0,
        "priority": 5,
        "base_priority": 5,
        "arrived_us": int(NOON * 1e6) + visit,
        "serve_from": None,
        "sticky_agent": None,
        "sticky_until": None,
        "ready": True,
        "learned": False,
    }
    return Change(**{**row, **more})  # type: ignore[arg-type]


def record(*changes: Change, events: tuple[Event, ...] = (), online: tuple[str, ...] = ("1", "2")) -> Record:
    """The first agent is in Bali until a minute after noon."""
    bali = {"kind": "division", "division": 1, "name": "bali", "change": "changed"}
    desk = [{**bali, "wall": 0.0, "members": [1]}, {**bali, "wall": NOON + 60, "members": []}]
    stays = {each.room: [Stay(NOON - 1, customer(City=" ubud"))] for each in changes}
    files = [File(0, 0.0, ""), File(1, NOON - 100, FIRST), File(2, NOON + 300, FIRST.replace("Kuta", "Solo"))]
    return Record([*desk, *events], changes, files, Desk(desk, PEOPLE, online), stays, 2, 5.0)


def given(visit: int = 1, after_s: float = 5.0, **more: object) -> tuple[Change, Change]:
    return change(visit), change(visit, "reserved", after_s, **more)


def test_a_file_is_read_as_its_page_says() -> None:
    file = File(1, 0.0, FIRST)
    assert file.led(customer(City="KUTA "), True) == Led("bali", "Bali", 5)
    assert file.led(customer(city=7), True) == Led("rest", None, 0)
    assert [file.step_at("bali", after_s) for after_s in (19.9, 20)] == [0, 1]
    assert (file.is_open(NOON + 1799), file.is_open(NOON + 1800)) == (True, False)
    assert file.opens(NOON + 1800) == NOON + 20 * 3600


WRONG: list[tuple[Callable[[Record], list[str]], Record]] = [
    (judge.by_other_rules, record(*given(after_s=301))),
    (judge.elsewhere, record(*given(queue="rest", rule=None, base_priority=0))),
    (judge.elsewhere, record(*given(base_priority=6))),
    (judge.out_of_step, record(*given(step=1, priority=10))),
    (judge.out_of_step, record(*given(after_s=25))),
    (judge.out_of_step, record(*given(after_s=25, step=1))),
    (judge.to_strangers, record(*given(agent="2"))),
    (judge.to_strangers, record(*given(after_s=66))),
    (judge.to_strangers, record(*given(), online=("2",))),
    (judge.outside_hours, record(*given(after_s=1803))),
    (judge.moved_in_time, record(change(), change(arrived_us=int(NOON * 1e6) + 7))),
    (judge.over_in_queue, record(*given(1), *given(2, 6))),
    (lambda of: judge.out_of_order(of).wrong, record(change(1), *given(2))),
    (lambda of: judge.out_of_order(of).wrong, record(change(2, base_priority=6, priority=6), *given(1))),
    (judge.over, record(events=({"kind": "assigned", "held": 3, "agent": 1, "room": "r1"},))),
]


@each(("question", "found"), WRONG)
def test_what_is_wrong_is_found(question: Callable[[Record], list[str]], found: Record) -> None:
    assert len(question(found)) == 1


ALL = (judge.by_other_rules, judge.elsewhere, judge.out_of_step, judge.to_strangers, judge.outside_hours)


@each(
    "found",
    [
        record(*given()),
        record(*given(after_s=25, step=1, priority=10, agent="2")),
        record(*given(after_s=64, step=1, priority=10)),
    ],
)
def test_what_is_right_is_left_alone(found: Record) -> None:
    assert [question(found) for question in ALL] == [[], [], [], [], []]


def test_each_room_that_is_passed_over_rightly_has_its_reason() -> None:
    waits = change(1, sticky_agent="1", sticky_until=NOON + 10)
    assert judge.out_of_order(record(waits, *given(2))) == ([], {"it waited for who served it last": 1})
    aside = change(1, ready=False)
    assert judge.out_of_order(record(aside, *given(2))) == ([], {"verified, refused or not known": 1})
    other = change(3, "reserved", 6, agent="2", queue="rest", rule=None)
    assert judge.out_of_order(record(change(1), change(3), other)) == ([], {"its agent may not serve it": 1})


def said(after_s: float, text: str) -> Event:
    return {"kind": "said", "room": "r1", "text": text, "wall": NOON + after_s}


def test_texts_that_come_twice_or_to_somebody_who_is_served_are_found() -> None:
    came = {"kind": "arrived", "room": "r1", "wall": NOON}
    taken = {"kind": "assigned", "room": "r1", "wall": NOON + 1}
    assert len(judge.told_too_often(record(events=(came, said(2, "Q 1"), said(9, "Q 2"))))) == 1
    assert len(judge.told_too_often(record(events=(came, said(2, "C x"), said(900, "C x"))))) == 1
    assert not judge.told_too_often(record(events=(came, said(2, "C x"), came, said(900, "C x"))))
    assert len(judge.told_though_served(record(events=(came, taken, said(9, "Q 1"))))[0]) == 1
    assert judge.told_though_served(record(events=(came, taken, said(2, "Q 1")))) == ([], 1)
    assert len(judge.told_of_others(record(events=(came, said(2, "C x"))))) == 1
    assert not judge.told_of_others(record(events=(came, said(2, "Q 1"))))
