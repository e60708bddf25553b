"""docs/routing.md: its files can be used, its tables name every key, its recipes lead where they say."""

import ast
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from routing import facts, file, when_text
from routing.messages import message, opening
from routing.model import Rules
from routing.route import named, route
from routing.team import may_serve
from scripts.admin.__main__ import giliran
from tests.variants import each
from tests.whose_turn import FOR_STICKY, NO_SEAT, Group, Order, Passed, Room, Seat, order

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs/routing.md").read_text()
NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
RECIPES = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", DOCS.partition("## Recipes")[2], re.M | re.S))
ROW = re.compile(r"^\| `(\{.*?\})` \|(?: `([-0-9T:]+)` \|)? `([^`]+)`(?: by \*([^*]+)\*)?(?:, ([^|]+))? \|$", re.M)
DIVISIONS = {name: {name.lower()} for name in ("Bali", "Jakarta", "Gold", "Support", "WhatsApp", "Welcome")}


def rules_of(recipe: str) -> Rules:
    (text,) = re.findall(r"^```toml\n(.*?)^```", RECIPES[recipe], re.M | re.S)
    checked = file.check(text)
    assert (checked.faults, checked.warnings) == ((), ())
    return file.read(text)


def rows() -> list[tuple[str, ...]]:
    return [(recipe, *row) for recipe, text in RECIPES.items() for row in ROW.findall(text)]


def test_there_are_five_recipes_and_each_row_of_their_tables_is_run() -> None:
    assert list(RECIPES) == [
        "By city",
        "By tier",
        "By channel, with overflow",
        "Office hours, with a message",
        "The same agent again",
    ]
    assert len(rows()) == len(re.findall(r"^\| `\{", "".join(RECIPES.values()), re.M)) == 14


@each(("recipe", "webhook", "at", "queue", "rule", "more"), rows())
def test_a_webhook_leads_where_the_recipe_says(
    recipe: str, webhook: str, at: str, queue: str, rule: str, more: str
) -> None:
    rules = rules_of(recipe)
    zone = ZoneInfo(rules.hours.zone if rules.hours else "UTC")
    body = json.loads(webhook)
    if isinstance(body.get("extras"), dict):
        body["extras"] = json.dumps(body["extras"])
    now = datetime.fromisoformat(at).replace(tzinfo=zone) if at else NOW
    found = route(facts.of_webhook(body, named(rules)), rules, now)
    assert (found.queue, found.rule or "") == (queue, rule)
    if priority := re.search(r"priority (\d+)", more):
        assert found.priority == int(priority[1])
    if until := re.search(r"closed until `(.+)`", more):
        assert (found.hours, found.serve_from) == ("closed", datetime.fromisoformat(until[1]).replace(tzinfo=zone))
    elif more == "open":
        assert (found.hours, found.serve_from) == ("open", now)


def turns(
    rules: Rules, rooms: list[Room], seats: list[Seat], waited_s: float, channel: set[str] = frozenset()
) -> Order:  # type: ignore[assignment]
    """Of rooms that came at NOW, so much later. Each division has one agent, with its name."""

    def team(group: Group) -> frozenset[str]:
        return may_serve(rules, group.queue, group.step, [], DIVISIONS, channel).agents

    return order(rooms, rules, NOW + timedelta(seconds=waited_s), team, seats)


def room(visit: int, queue: str, priority: int = 0, served_by: str | None = None) -> Room:
    return Room(visit, queue, NOW, NOW, priority, served_by)


def given(found: Order) -> dict[int, str]:
    return {turn.room.visit: turn.agent for turn in found.turns}


def test_by_city_the_others_help_after_three_minutes() -> None:
    rules, seats = rules_of("By city"), [Seat("bali", 2, 2), Seat("jakarta", 0, 1)]
    assert turns(rules, [room(1, "bali")], seats, 179).passed_over == {1: Passed(NO_SEAT)}
    assert given(turns(rules, [room(1, "bali"), room(2, "jakarta")], seats, 180)) == {1: "jakarta"}


def test_by_tier_gold_goes_first_one_at_a_time_until_who_waited_ten_minutes_goes_before() -> None:
    rules = rules_of("By tier")
    rooms = [room(1, "support"), room(2, "support", 10), room(3, "gold", 20), room(4, "gold", 20)]
    seats = [Seat("gold", 0, 5), Seat("support", 0, 2)]
    assert list(given(turns(rules, rooms, seats, 60)).items()) == [(3, "gold"), (4, "support"), (2, "support")]
    assert given(turns(rules, rooms, seats, 59)) == {3: "gold", 2: "support", 1: "support"}
    assert next(iter(given(turns(rules, rooms, seats, 600)))) == 1


def test_by_channel_whom_the_desk_names_helps_after_two_minutes() -> None:
    rules, seats = rules_of("By channel, with overflow"), [Seat("whatsapp", 1, 1), Seat("other", 0, 2)]
    rooms = [room(1, "whatsapp"), room(2, "channel:77")]
    assert given(turns(rules, rooms, seats, 119, {"other"})) == {2: "other"}
    assert given(turns(rules, rooms, seats, 120, {"other"})) == {1: "other", 2: "other"}
    assert list(given(turns(rules, rooms[::-1], seats, 300, {"other"}))) == [1, 2]


def test_office_hours_are_told_to_who_comes_outside_of_them() -> None:
    rules = rules_of("Office hours, with a message")
    sunday = datetime(2026, 12, 27, 10, tzinfo=ZoneInfo("Asia/Makassar"))
    assert rules.hours and rules.messages.closed
    told = opening(rules.hours.opens(sunday), sunday, rules.hours.zone, "id")
    text = message(rules.messages.closed, None, opens=told)
    assert text.endswith(said := "Kami buka lagi besok pukul 08.00.") and said in DOCS


def test_the_same_agent_is_waited_for_two_minutes() -> None:
    rules, seats = rules_of("The same agent again"), [Seat("support", 1, 1), Seat("welcome", 0, 1)]
    back = room(1, "support", served_by="support")
    until = NOW + timedelta(minutes=2)
    assert turns(rules, [back], seats, 119).passed_over == {1: Passed(FOR_STICKY, until, "support")}
    assert given(turns(rules, [back], [Seat("support", 0, 1), Seat("other", 0, 1)], 0)) == {1: "support"}
    assert given(turns(rules, [room(2, "welcome")], seats, 0)) == {2: "welcome"}


def known_keys() -> set[str]:
    """Every key that a section of the file knows, as the code spells them."""
    tree = ast.parse((ROOT / "routing/file.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    tuples = [
        arg for call in calls if call.func.id in ("Section", "_part") for arg in call.args if isinstance(arg, ast.Tuple)
    ]
    keys = {str(each.value) for one in tuples for each in one.elts if isinstance(each, ast.Constant)}
    assert {"agents", "after", "label", "within"} <= keys
    return keys | set(file.SECTIONS) | set(when_text.KEYS)


def test_every_key_of_the_file_is_explained() -> None:
    explained = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", DOCS))))
    assert known_keys() - explained == set()


# The commands


def run(*arguments: str, given: bytes = b"") -> tuple[int, str]:
    done = CliRunner().invoke(giliran, ["routing", *arguments], input=given)
    return done.exit_code, done.output


def test_the_whole_file_can_be_used() -> None:
    (text,) = re.findall(r"^## A whole file\n+```toml\n(.*?)^```", DOCS, re.M | re.S)
    assert run("check", "-", given=text.encode()) == (0, "standard input can be used: 1 queue, 1 rule, 1 topic\n")


def test_a_faulty_file_is_told_line_by_line_and_ends_with_2(tmp_path: Path) -> None:
    rules, body = tmp_path / "rules.toml", tmp_path / "body.json"
    rules.write_text(
        "[sticky]\nwithin = '30'\n[messages]\nagain_every = '1m'\nqeued = '\x1b'\n".replace("'\x1b'", "'\u202e'")
    )
    body.write_text('{"room_id": 7}')
    status, output = run("check", str(rules))
    assert status == 2
    assert output.splitlines() == [
        f"{rules}:2: sticky.within: '30' is not a duration: write a number with s, m, h or d, as in 30s, 2m, 1h, 30d",
        f"{rules}:5: messages.qeued: unknown key: did you mean 'queued'?",
        f"{rules}:4: warning: messages.again_every: has no effect without 'queued': add the message, or take it out",
        f"{rules} can't be used: 2 faults",
    ]
    assert run("try", str(body), "--file", str(rules)) == (2, output)
    status, output = run("check", str(rules), "--json")
    found = json.loads(output)
    assert (status, found["ok"], [fault["line"] for fault in found["faults"]]) == (2, False, [2, 5])
    assert found["faults"][1] == {
        "line": 5,
        "key": "messages.qeued",
        "problem": "unknown key",
        "remedy": "did you mean 'queued'?",
    }


RULES = """
[hours]
timezone = "Asia/Jakarta"
open = ["mon-fri 08:00-17:00"]
[queues.a]
agents = { ids = [150851], emails = ["ani@x.id"], divisions = ["Sales"] }
steps = [{ after = "2m", agents = { channel = true }, priority = 7 }]
[[rules]]
name = "A"
when = { source = "wa" }
queue = "a"
priority = 3
"""


def tried(tmp_path: Path, body: Any, *more: str) -> tuple[int, str]:
    rules, payload = tmp_path / "rules.toml", tmp_path / "body.json"
    rules.write_text(RULES)
    payload.write_text(json.dumps(body) if not isinstance(body, str) else body)
    return run("try", str(payload), "--file", str(rules), *more)


def test_a_payload_is_tried_at_any_time(tmp_path: Path) -> None:
    status, output = tried(tmp_path, {"room_id": "7", "source": "WA"}, "--at", "2026-12-05T08:00", "--json")
    unknown = {"name": None, "online": None, "load": None, "limit": None}
    nobody: dict[str, Any] = {"divisions": [], "ids": [], "emails": []}
    assert (status, json.loads(output)) == (
        0,
        {
            "tenant": None,
            "version": None,
            "rule": "A",
            "by": "rule",
            "queue": "a",
            "priority": 3,
            "agents": [{"id": "150851", **unknown}, {"id": None, "email": "ani@x.id", **unknown}],
            "agents_by": "file",
            "missing": [],
            "served_before_by": None,
            "served_by": {"divisions": ["Sales"], "ids": ["150851"], "emails": ["ani@x.id"], "channel": False},
            "steps": [
                {
                    "after_s": 120,
                    "served_by": {**nobody, "channel": True},
                    "priority": 7,
                    "due_at": "2026-12-07T01:02:00+00:00",
                }
            ],
            "hours": "closed",
            "serve_from": "2026-12-07T01:00:00+00:00",
        },
    )
    assert tried(tmp_path, {"room_id": "7", "source": "WA"}, "--at", "2026-12-05T01:00Z") == (
        0,
        "queue      a, by the rule 'A'\n"
        "priority   3\n"
        "served by  division Sales, agents 150851, ani@x.id\n"
        "then       after 2m also whom the desk names for the room, priority 7\n"
        "hours      closed until 2026-12-07 01:00:00Z (Mon 08:00 in Asia/Jakarta)\n"
        "known      source wa\n",
    )
    _, output = tried(tmp_path, {"room_id": "7", "source": "fb"}, "--at", "2026-12-07T08:00+07:00")
    assert "of the channel 'fb': no rule fits" in output and "hours      open\n" in output


@pytest.mark.parametrize(
    ("body", "more", "status", "words"),
    [
        ("{", (), 4, "not valid JSON"),
        ({"source": "wa"}, (), 4, "room_id is missing"),
        ({"service": {"room_id": "7"}}, (), 4, "looks like a Mark As Resolved webhook"),
        (" " * 1_048_577, (), 4, "larger than a webhook may be"),
        ({"room_id": 7}, ("--at", "noon"), 2, "--at 'noon' is not a time"),
        ({"room_id": 7}, ("--at", "0001-01-01T00:00"), 2, "is not a time"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_a_sentence(
    tmp_path: Path, body: Any, more: Any, status: int, words: str
) -> None:
    found, output = tried(tmp_path, body, *more)
    assert (found, words in output) == (status, True), output


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, "\0"):
        status, output = run("check", str(path))
        assert status == 1 and "can't be read" in output
