"""What another version of the rules would change, from rows alone."""

from collections import namedtuple
from datetime import UTC, datetime, timedelta

import click

from routing import file
from routing.model import Rules
from scripts.admin.routing_plan import text
from views import plan as plans
from views.plan import Move, asks_for_time, plan

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday
Room = namedtuple("Room", "room channel source arrived_us facts queue rule rooms", defaults=(None, None, None, 1))
NIGHT = file.read("""
[hours]
timezone = "UTC"
open = ["mon 08:00-17:00"]
outside = "serve"
[queues.night]
agents = { channel = true }
[[rules]]
name = "Night"
when = { hours = "closed" }
queue = "night"
""")


def at(hours_ago: float) -> int:
    return int((NOW - timedelta(hours=hours_ago)).timestamp() * 1e6)


def test_rooms_go_by_the_hours_at_their_arrival() -> None:
    assert asks_for_time(NIGHT) and not asks_for_time(Rules())
    rooms = [Room("by day", "7", "wa", at(1), rooms=3), Room("by night", "7", "wa", at(6), rooms=2)]
    found = plan(Rules(), NIGHT, rooms, NOW)
    assert (found.waiting, found.moves) == (5, [Move(2, "channel:7", "night")])
    assert (found.added, found.sections, found.unknown) == (["night"], ["hours", "rules"], [])


def test_a_room_of_which_nothing_is_known_stays_in_its_queue_while_the_queue_is_there() -> None:
    both = file.read("""
[queues.a]
agents = { channel = true }
[queues.b]
agents = { channel = true }
[[rules]]
name = "B"
when = { property.city = "Ubud" }
queue = "b"
[default]
queue = "a"
""")
    kept = {"source": "wa", "properties": {"city": "ubud"}}
    rooms = [Room("1", "7", "wa", at(1), None, "b", "B"), Room("2", "7", "wa", at(1), kept, "a")]
    assert plan(both, both, rooms, NOW).moves == [Move(1, "a", "b")]
    gone = plan(both, Rules(), rooms, NOW)
    assert (sorted(gone.removed), {move.new for move in gone.moves}) == (["a", "b"], {"channel:7"})


def test_many_moves_are_cut_and_names_can_not_command_the_terminal() -> None:
    rooms = [Room(str(n), f"{n}\x1b[2J", "", at(1)) for n in range(30)]
    default = file.read("[queues.a]\nagents = { channel = true }\n[default]\nqueue = 'a'\n")
    shown = click.unstyle(text(plan(Rules(), default, rooms, NOW)))
    assert "30 of 30 would move" in shown and "… and 10 more" in shown and "\x1b" not in shown
    assert len(plans.as_data(plan(Rules(), default, rooms, NOW))["moves"]) == 30
