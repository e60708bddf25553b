"""The admin tool's words: tables, ages, why a room waits, why this agent. No services."""

from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from db import limits
from scripts.admin import line
from scripts.admin.__main__ import giliran
from scripts.admin.heal import reconciled_text
from scripts.admin.maximum import Key, Maximum, text
from scripts.admin.table import table, width
from scripts.measure.__main__ import main as measure
from settings import ROOT
from tests.variants import each
from views import choice, waits
from views.in_force import TenantLimits
from views.rulebook import Shut
from views.team import Member
from views.waits import Class, Desk
from views.words import clean, ordinal, span

NOW = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
Row = namedtuple(
    "Row",
    "aside look_at retry_at refusals ahead_in_class sticky_agent sticky_until",
    defaults=(None, None, None, 0, 0, None, None),
)
SOON = NOW + timedelta(seconds=80)
Decision = namedtuple("Decision", "policy agent load_before candidates earlier")

DESK = Desk(0, None, None, workers=1, inbox=0, policy="least_loaded", believe_s=5.0)
CLASS = Class("7", NOW - timedelta(seconds=3), NOW + timedelta(seconds=27), None, ("a", "b"), ("a", "b"))


def member(agent: str, chats: int = 0, limit: int = 2, online: bool = True) -> Member:
    return Member("t", agent, "", online, chats, 0, limit, "MAX_AGENT_CHAT", None, NOW, None, 0, 0, chats)


def team(*members: Member) -> dict[str, Member]:
    return {each.id: each for each in members}


FREE = team(member("a"), member("b"))


@each(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (12, "12 s"),
        (59.6, "1m 00s"),
        (185, "3m 05s"),
        (7805, "2h 10m"),
        (358000, "4d 3h"),
    ],
)
def test_a_span_is_told_in_at_most_two_units(seconds, shown):
    assert span(seconds) == shown


def test_control_characters_never_reach_the_terminal():
    assert clean("a\x1b[31m\u202eb\nc\x9b") == "a?[31m?b?c?"
    assert len(clean("x" * 500)) == 80


def test_what_joins_letters_without_being_seen_stays():
    """Names of many scripts need it; it takes no column."""
    persian, family = "می\u200cتوانم", "👩\u200d👧"
    assert (clean(persian), clean(family)) == (persian, family)
    assert (width(persian), width(family)) == (len(persian) - 1, 4)
    assert clean("12\xa0000\u3000\u20ac\u200f") == "12 000 \u20ac\u200f", "all spaces are plain"
    assert clean("a\u2066b\u2069\ue000\x85\udcff") == "a?b????", "what turns text around is no letter"


def test_wide_and_coloured_cells_keep_the_columns_aligned():
    shown = table(("NAME", "N", "EMPTY"), [("山田", 5, ""), (click.style("Budi", fg="red"), 12, None)])
    lines = click.unstyle(shown).split("\n")
    assert lines[0] == "NAME   N"
    assert {width(each) for each in lines} == {8}
    assert lines[1].endswith(" 5") and lines[2].endswith("12")


def test_ordinals_are_english():
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 1011)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "1,011th",
    ]  # fmt: skip


@each(
    ("row", "of", "people", "desk", "said"),
    [
        (Row(aside="no such channel", retry_at=NOW + timedelta(minutes=4)), CLASS, FREE, DESK, "set aside: no such"),
        (Row(look_at=NOW), CLASS, FREE, DESK, "asked first whether it is still open"),
        (Row(retry_at=NOW + timedelta(seconds=20), refusals=2), CLASS, FREE, DESK, "refused 2 times, again in 20 s"),
        (Row(), CLASS, FREE, replace(DESK, workers=0), "no worker is running"),
        (Row(), CLASS, FREE, replace(DESK, paused_until=NOW, trouble="401"), "the desk is paused, next try now (401)"),
        (Row(), replace(CLASS, read_at=None), FREE, DESK, "not told yet who may serve"),
        (
            Row(),
            replace(CLASS, read_at=NOW - timedelta(seconds=50)),
            FREE,
            DESK,
            "told 50 s ago who is online, too old",
        ),
        (
            Row(),
            replace(CLASS, read_at=NOW - timedelta(seconds=50)),
            FREE,
            replace(DESK, failures=1, trouble="timed out"),
            "asked again; its last answer was: timed out",
        ),
        (
            Row(),
            replace(CLASS, read_at=NOW - timedelta(seconds=29)),
            team(member("a", 2)),
            DESK,
            "the one agent online",
        ),
        (Row(), replace(CLASS, online=()), FREE, DESK, "nobody is online for it"),
        (Row(), CLASS, team(member("a", 2), member("b", 3)), DESK, "all 2 agents online for it: at the limit"),
        (Row(), replace(CLASS, online=("a",)), team(member("a", 2)), DESK, "the one agent online for it: at the limit"),
        (Row(), CLASS, team(member("a", limit=0), member("b", 1, 0)), DESK, "paused, limit 0"),
        (
            *(Row(), CLASS, team(replace(member("a"), refused="assign 404: no such agent"), member("b", 2)), DESK),
            "the desk refuses a: they are tried with one room at a time",
        ),
        (Row(ahead_in_class=9), CLASS, FREE, DESK, "9 earlier rooms for 4 free seats"),
        (Row(ahead_in_class=3), CLASS, FREE, DESK, "4 seats free: its turn"),
        (Row(), CLASS, FREE, replace(DESK, policy="upstream"), "the desk is asked for a candidate"),
        (
            Row(),
            CLASS,
            FREE,
            replace(DESK, shut=Shut(SOON)),
            "outside the hours: they open in 1m 20s, 2026-05-01 10:01",
        ),
        (Row(), CLASS, FREE, replace(DESK, shut=Shut(None)), "outside the hours, and they have no next opening"),
        (
            *(Row(), replace(CLASS, online=(), missing=("the desk has no division 'Sales'",)), FREE, DESK),
            "nobody is online for it: the desk has no division 'Sales'",
        ),
        (
            *(Row(sticky_agent="a", sticky_until=SOON), CLASS, team(member("a", 2), member("b")), DESK),
            "waits for a, who served it last and is full; in 1m 20s it goes to anybody",
        ),
        (
            *(Row(sticky_agent="a", sticky_until=SOON), CLASS, team(member("a", 0, 0), member("b")), DESK),
            "2 seats free: its turn",
        ),
        (Row(sticky_agent="a", sticky_until=NOW), CLASS, team(member("a", 2), member("b")), DESK, "2 seats free"),
        (Row(), replace(CLASS, limit=1), FREE, DESK, "2 seats free"),
        (
            *(Row(), replace(CLASS, limit=1, of_queue={"a": 1, "b": 1}), FREE, DESK),
            "all 2 agents online for it: at their limit, or at that of its queue (1)",
        ),
        (Row(), replace(CLASS, limit=0), FREE, DESK, "its queue is paused: its limit is 0"),
    ],
)
def test_a_waiting_room_says_what_it_waits_for(row, of, people, desk, said):
    assert said in waits.why(row, of, people, desk, NOW).message


def candidates(**loads: int) -> list[dict[str, object]]:
    return [{"agent": agent, "load": load, "limit": 2} for agent, load in loads.items()]


def test_earlier_picks_of_the_round_count_for_who_was_considered():
    decision = Decision("least_loaded", "b", 0, candidates(a=0, b=0, c=2), ["a"])
    among = choice.considered(decision, {"a", "b", "c"})
    assert [(one.agent, one.load, one.free) for one in among] == [("b", 0, True), ("a", 1, True), ("c", 2, False)]
    assert "2 of 3 online agents had a free seat" in choice.words(decision, among)
    assert choice.words(decision, among).endswith("b had the fewest chats (0)")


def test_a_tie_is_told_with_how_it_was_broken():
    decision = Decision("least_loaded", "b", 0, candidates(a=0, b=0), [])
    assert "of 2 with as few, was served longest ago" in choice.words(decision, choice.considered(decision, {"a", "b"}))


def test_who_had_fewer_chats_but_is_of_another_class_is_no_contradiction():
    decision = Decision("least_loaded", "b", 1, candidates(a=0, b=1), [])
    among = choice.considered(decision, {"b"})
    assert [(one.agent, one.fits) for one in among] == [("b", True), ("a", False)]
    assert choice.words(decision, among).endswith("b had the fewest chats (1)")
    since_named = choice.considered(decision, {"a", "b"})
    assert choice.words(decision, since_named).endswith("of those whom the desk named for it then")


@each(
    ("policy", "earlier", "before", "said"),
    [
        ("round_robin", [], 1, "was served longest ago"),
        ("upstream", [], 1, "is whom the desk named"),
        ("fill_two", ["a"], 1, "this is the second"),
        ("fill_two", [], 0, "fewest chats (0)"),
        ("a later one", [], 0, "1 of 1 online agents"),
    ],
)
def test_each_policy_has_its_words(policy, earlier, before, said):
    decision = Decision(policy, "a", before, candidates(a=before - len(earlier)), earlier)
    assert said in choice.words(decision, choice.considered(decision, {"a"}))


def in_force(**found: str | None) -> TenantLimits:
    scopes = {"": found.get("wide"), "tenant": found.get("tenant"), "agent:5": found.get("agent")}
    return TenantLimits("shop", limits.read(scopes, {}, 2), frozenset())


def test_an_unusable_limit_is_called_ignored_and_what_holds_is_named():
    keys = [
        Key("config:max_agent_chat", "3", 3, None, None, True),
        Key("config:max_agent_chat:shop", "ba\x1bnana", None, "shop", None, True),
        Key("config:max_agent_chat:gone", "4", 4, "gone", None, False),
    ]
    found = Maximum(keys, [in_force(wide="3", tenant="banana")], {"shop": ["5"]}, 2)
    shown = click.unstyle(text(found))
    assert "ba?nana" in shown and "\x1b" not in shown
    assert "ignored: not a whole number from 0 to 1000; 3 (config:max_agent_chat) holds" in shown
    assert "no such tenant: no effect" in shown


def test_without_a_valid_key_the_environment_is_named():
    keys = [Key("config:max_agent_chat", "banana", None, None, None, True)]
    shown = click.unstyle(text(Maximum(keys, [in_force(wide="banana")], {"shop": []}, 2)))
    assert "2 (MAX_AGENT_CHAT) holds" in shown


def test_a_picture_is_cut_to_the_terminal_and_leaves_nothing_of_the_last():
    shown = line.frame("\n".join(map(str, range(50))), 10)
    assert shown.count("\n") == 9 and "…" in shown and shown.startswith("\x1b[H")
    assert line.frame("one\ntwo", 10).count("\x1b[K") == 2


def test_reconcile_tells_what_was_healed_now_and_in_all():
    told = reconciled_text({"cache": 1}, {"cache": 1, "missed_arrival": 2}, True)
    assert told.split("\n") == ["2 differences healed", "  cache: 1 -> 1", "  missed_arrival: 0 -> 2"]
    assert reconciled_text({}, {}, False).startswith("no difference found so far")


def leaves(group: click.Group = giliran, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        path = f"{before} {name}".strip()
        if isinstance(command, click.Group):
            yield from leaves(command, path)
        else:
            yield path, command


@each(("path", "command"), list(leaves()))
def test_every_command_has_json_for_programs(path, command):
    """`bench` hands over to `scripts/bench`, with all arguments."""
    answers = measure if path == "bench" else command
    assert "--json" in [option for parameter in answers.params for option in parameter.opts]


def test_the_docs_say_so():
    told = " ".join(
        (ROOT / "docs" / "operations.md").read_text().split("## The admin tool")[1].split("| command |")[0].split()
    )
    assert "Each command has `--help` and `--json`" in told and "except" not in told


@each(("path", "command"), list(leaves()))
def test_help_speaks_of_tenants_not_of_apps_only(path, command):
    told = command.get_help(click.Context(command, info_name=path)).replace("QISCUS_APP_ID", "")
    assert "APP_ID" not in told
