"""`giliran queue`: who waits, in order and why; who holds what; what is wrong. Once, or every second."""

import copy
import shutil
import sys
import time
from collections.abc import Callable

import click
from redis.exceptions import RedisError

from db.inbox import InboxDown
from db.postgres import LedgerTrouble
from db.views import VIEWS
from routing.faults import suggestion
from routing.model import CHANNEL
from scripts.admin import line_text
from scripts.admin.errors import CantDo, NotFound
from scripts.admin.installation import Installation, as_json, say, some, tenant_filter
from views import queue as seen
from views import queues, rulebook
from views.queue import Line
from views.words import clean

EVERY_S = 1.0
HOME, TO_LINE_END, TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"
CLEAR = "\x1b[2J"
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"  # long lines are cut, so that a picture is as high as it has lines


@click.command(short_help="Who waits and why, who has which room, what is wrong.")
@tenant_filter
@click.option("--queue", "name", metavar="NAME", help="Only rooms of this queue of the rules, or of this channel.")
@click.option("--rows", default=40, show_default=True, help="How many waiting rooms to show; 0 shows all.")
@click.option("--watch", is_flag=True, help="Repeat every second, until Ctrl-C.")
@as_json
@click.pass_obj
def queue(
    installation: Installation, tenant: str | None, name: str | None, rows: int, watch: bool, as_json: bool
) -> None:
    """Show each tenant's queue: place, wait, and why each room waits; then what agents have, and drift.

    Rooms come in the order in which they will be served: by priority, then by arrival. QUEUE is the queue of the rules
    that a room waits in, or its channel. With --watch and --json it prints one document a line, one line a second.
    """
    most = rows if rows > 0 else None
    if name is not None:
        _check_queue(installation, tenant, name)
    if watch:
        _watch(lambda: _read(installation, tenant, name, most), as_json)
        return
    lines = _read(installation, tenant, name, most)
    say(as_json, {"lines": [seen.as_data(each) for each in lines]}, _text(lines))


another_name = copy.copy(queue)
another_name.name, another_name.hidden = "line", True


def _check_queue(installation: Installation, tenant: str | None, name: str) -> None:
    """A name that no tenant's rules have, and in whose channel no room is, is a mistake."""
    with installation.reading() as cur:
        tenants = some(cur, tenant)
        known = {row.queue for each in tenants for row in VIEWS.all(cur, "open_queues", tenant=each)}
        known |= {queue for each in tenants for queue in rulebook.in_force(cur, each).rules.queues}
    if not set(queues.asked(name)) & {each.lower() for each in known}:
        names = [each.removeprefix(CHANNEL) for each in sorted(known)]
        raise NotFound(f"no queue {clean(name)!r}: {suggestion(name, names)}")


def _read(installation: Installation, tenant: str | None, queue: str | None, most: int | None) -> list[Line]:
    wanted = queues.asked(queue) if queue is not None else None
    with installation.reading() as cur:
        return [seen.read(installation.source(), cur, name, most, queues=wanted) for name in some(cur, tenant)]


def _text(lines: list[Line]) -> str:
    return "\n\n".join(map(line_text.text, lines)) or "no tenant yet: see `giliran tenant add --help`"


def _watch(read: Callable[[], list[Line]], as_json: bool) -> None:
    """Redraws on a terminal, writes one picture after the other elsewhere. Ends cleanly with Ctrl-C."""
    screen = sys.stdout.isatty() and not as_json
    try:
        lines: list[Line] | str = read()  # what is wrong at the start ends the command
        if screen:
            _put(CLEAR)
        while True:
            _draw(lines, as_json, screen)
            time.sleep(EVERY_S)
            lines = _read_again(read)
    except KeyboardInterrupt:
        click.echo()


def _read_again(read: Callable[[], list[Line]]) -> list[Line] | str:
    """A server that goes away while somebody watches is a thing to be seen, not the end."""
    try:
        return read()
    except (LedgerTrouble, InboxDown, RedisError, CantDo) as error:
        return f"{error}; still trying"


def _draw(lines: list[Line] | str, as_json: bool, screen: bool) -> None:
    if as_json:
        trouble = lines if isinstance(lines, str) else None
        known = [] if isinstance(lines, str) else [seen.as_data(each) for each in lines]
        say(True, {"lines": known, "trouble": trouble}, "")
        return
    text = lines if isinstance(lines, str) else _text(lines)
    if screen:
        plain = click.get_current_context().color is False
        shown = f"every second, Ctrl-C ends\n\n{click.unstyle(text) if plain else text}"
        _put(frame(shown, shutil.get_terminal_size().lines))
    else:
        click.echo(f"{text}\n")


def frame(text: str, height: int) -> str:
    """The text over the last picture, cut to the terminal's height, nothing of the old left."""
    lines = text.split("\n")
    shown = lines if len(lines) < height else [*lines[: max(0, height - 2)], "…"]
    return HOME + CUT + "".join(f"{line}{TO_LINE_END}\n" for line in shown) + TO_SCREEN_END + WRAP


def _put(text: str) -> None:
    """Past click, which takes all control sequences away where colours are not wanted."""
    sys.stdout.write(text)
    sys.stdout.flush()
