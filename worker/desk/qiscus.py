"""Qiscus Omnichannel Chat as a desk: the pool of desk callers calls the verbs, the worker settles what they return.

Paths, fields and doubts are those of Qiscus's public reference. `qiscus_calls.py` makes a call, `qiscus_answers.py`
reads the answer; here stands which request a verb is. `qiscus_teams.py` has the verb of many lists.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from logs import line
from routing.model import Agents
from worker.desk import qiscus_answers as answers
from worker.desk.base import (
    CALL_SECONDS,
    Assigned,
    DeskTrouble,
    RoomRefused,
    RoomView,
    RosterAgent,
    Team,
    UnservedRoom,
)
from worker.desk.qiscus_answers import Ask, Page, Value
from worker.desk.qiscus_calls import Calls
from worker.desk.qiscus_hooks import READ, Hook, Registered, confirmed, registered
from worker.desk.qiscus_http import Wire
from worker.desk.qiscus_teams import MOMENT_S, Teams
from worker.desk.shared import Known, Shared

CONNECT_SECONDS = 2.5
TOTAL_SECONDS = 9.0  # connect and answer together; through a proxy the connect comes on top: 11.5 < CALL_SECONDS
LISTING_SECONDS = 30.0  # all pages of `unserved`, the one verb that may take longer
NAMES_SECONDS = 30.0  # how old the names of divisions may be

AGENTS_A_PAGE = 100
AGENT_PAGES_MAX = 50
ROOMS_A_PAGE = 50  # the most that was seen to work
ROOM_PAGES_MAX = 200

ASSIGN = Ask("assign", "POST", "/api/v1/admin/service/assign_agent", about_room=True, changes=True)
ROSTER = Ask("roster", "GET", "/api/v2/admin/service/available_agents", about_room=True)
AGENTS_IN = Ask("agents_in", "GET", "/api/v2/admin/service/available_agents", about_room=True)
UNSERVED = Ask("unserved", "POST", "/api/v2/customer_rooms")
SUGGEST = Ask("suggest", "POST", "/api/v1/admin/service/allocate_agent")
OFFICE_HOURS = Ask("office_hours", "GET", "/api/v1/admin/office_hours")
PROBE = Ask("probe", "GET", "/api/v1/admin/get_profile")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Bounds:
    """Of a listing. `partial`: what was read until then is worth having; else a part would be taken for the whole."""

    pages: int
    seconds: float
    partial: bool


class QiscusDesk:
    """The verbs of `base.Desk`. May be shared by all threads; none is repeated inside, and only `team` waits for what
    another thread has asked already."""

    def __init__(
        self,
        base_url: str,
        app_id: str,
        secret_key: str,
        *,
        pool_size: int = 32,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        listing_seconds: float = LISTING_SECONDS,
        names_seconds: float = NAMES_SECONDS,
    ) -> None:
        if connect_seconds + total_seconds >= CALL_SECONDS:
            raise ValueError("connect and total together must stay under CALL_SECONDS")
        self._app_id = app_id
        self._total_s = total_seconds
        self._agent_bounds = _Bounds(AGENT_PAGES_MAX, total_seconds, partial=False)
        self._room_bounds = _Bounds(ROOM_PAGES_MAX, listing_seconds, partial=True)
        headers = _headers(app_id, secret_key)
        self._wire = Wire(base_url, headers, pool_size=pool_size, connect_s=connect_seconds)
        self._calls = Calls(self._wire, secret_key, total_seconds)
        self._rosters: Shared[str, list[RosterAgent]] = Shared(MOMENT_S)
        self._teams = Teams(self._calls, names_seconds)

    def roster(self, room: str) -> list[RosterAgent]:
        query = {"room_id": _checked(room), "limit": str(AGENTS_A_PAGE)}
        rows = self._listed(ROSTER, query, answers.agents_page, answers.roster_agent, self._agent_bounds)
        return list({agent.id: agent for agent in rows if agent}.values())

    def team(self, room: str, who: Agents, channel: str = "") -> Team:
        """`room` is not looked at unless `who` wants those whom the desk names for it."""
        ends_s = time.monotonic() + self._total_s
        named = self._named_for(room, channel, ends_s) if who.channel else None
        return self._teams.team(who, named, ends_s)

    def _named_for(self, room: str, channel: str, ends_s: float) -> Known[list[RosterAgent]]:
        """All rooms of a channel have the same list: queues that want it at one moment share it. What the desk says
        against one room is said of no other."""
        try:
            return self._rosters.get(channel or room, lambda: self.roster(room), ends_s)
        except TimeoutError as error:
            raise DeskTrouble("roster: no answer in time", maybe_applied=False) from error
        except RoomRefused:
            return Known(self.roster(room), time.monotonic())

    def division_names(self) -> list[str]:
        """As the desk writes them; two may be the same."""
        return self._teams.division_names(time.monotonic() + self._total_s)

    def office_hours(self) -> dict[str, Any]:
        """The answer as it came: `routing/office_hours.py` reads it."""
        return self._calls.asked(OFFICE_HOURS, None, self._total_s)

    def say(self, room: str, text: str) -> None:
        """What the answer says beyond success is not needed."""
        fields = {
            "sender_email": f"{self._app_id}_admin@qismo.com",
            "message": text,
            "type": "text",
            "room_id": _checked(room),
        }
        ask = Ask("say", "POST", f"/{quote(self._app_id, safe='')}/bot", about_room=True, changes=True)
        self._calls.done(ask, fields)

    def assign(self, room: str, agent: str) -> Assigned:
        """`max_agent=1` is what makes a repeated call harmless: the desk then refuses a second agent."""
        fields = {
            "room_id": _checked(room),
            "agent_id": _checked(agent),
            "max_agent": 1,
            "replace_latest_agent": False,
        }
        return answers.assigned(self._calls.asked(ASSIGN, fields, self._total_s), ASSIGN, agent)

    def look(self, room: str) -> RoomView:
        ask = Ask("look", "GET", f"/api/v2/customer_rooms/{quote(_checked(room), safe='')}", about_room=True)
        return answers.room_view(self._calls.asked(ask, None, self._total_s), ask)

    def agents_in(self, room: str) -> list[str]:
        """Everybody who is in the room, supervisors too: they occupy it as well."""
        query = {"room_id": _checked(room), "limit": str(AGENTS_A_PAGE), "is_available_in_room": "true"}
        ids = self._listed(AGENTS_IN, query, answers.agents_page, answers.agent_id, self._agent_bounds)
        return list(dict.fromkeys(ids))

    def unserved(self) -> list[UnservedRoom]:
        """The desk lists the newest first and can't be asked otherwise. Of an endless list the newest part comes."""
        fields = {"serve_status": "unserved", "limit": ROOMS_A_PAGE}
        rows = self._listed(UNSERVED, fields, answers.rooms_page, answers.unserved_room, self._room_bounds)
        return list({room.room: room for room in rows if room}.values())[::-1]

    def suggest(self, source: str) -> RosterAgent | None:
        return answers.suggestion(self._calls.asked(SUGGEST, {"source": source}, self._total_s), SUGGEST)

    def probe(self) -> None:
        """Returns if address and credentials are good, raises `DeskTrouble` (`permanent` for credentials) if not."""
        self._calls.asked(PROBE, None, self._total_s)

    def webhooks(self) -> list[Registered]:
        """Those that are registered. Raises `DeskTrouble`, `permanent` where the secret key may not read them."""
        return registered(self._calls.asked(READ, None, self._total_s))

    def set_webhook(self, hook: Hook, url: str) -> bool:
        """Registers and enables it; whether the answer says so. Repeating it is harmless."""
        fields = {"webhook_url": url, "is_webhook_enabled": "true"}
        return confirmed(self._calls.asked(hook.ask, fields, self._total_s), hook, url)

    def close(self) -> None:
        self._wire.close()

    def _listed(
        self,
        ask: Ask,
        fields: dict[str, Any],
        cut: Callable[[dict[str, Any], Ask], Page],
        read: Callable[[Any], Value],
        bounds: _Bounds,
    ) -> list[Value]:
        """All pages' rows, in the desk's order, duplicates included; rows that can't be read are counted and left."""
        values, skipped = [], 0
        for page in self._pages(ask, fields, cut, bounds):
            good, bad = answers.readable(read, page.rows)
            values += good
            skipped += bad
        if skipped:
            log.warning(line("rows_skipped", desk="qiscus", verb=ask.verb, rows=skipped))
        return values

    def _pages(
        self, ask: Ask, fields: dict[str, Any], cut: Callable[[dict[str, Any], Ask], Page], bounds: _Bounds
    ) -> Iterator[Page]:
        left_s, ends_s = bounds.seconds, time.monotonic() + bounds.seconds
        enough_s = self._total_s if bounds.partial else 0.0  # a partial listing ends before a request must be cut short
        seen: set[str] = set()
        for _ in range(bounds.pages):
            page = cut(self._calls.asked(ask, fields, min(self._total_s, left_s)), ask)
            yield page
            if not page.rows or page.after is None:
                return
            if page.after in seen:
                raise answers.broken(ask, "the same page cursor twice")
            seen.add(page.after)
            fields = {**fields, "cursor_after": page.after}
            left_s = ends_s - time.monotonic()
            if left_s <= enough_s:
                break
        if not bounds.partial:
            raise answers.broken(ask, f"no end after {len(seen)} pages")
        log.warning(line("listing_cut", desk="qiscus", verb=ask.verb, pages=len(seen)))


def _headers(app_id: str, secret_key: str) -> dict[str, str]:
    """Checked here once: requests' own complaint about a bad header repeats the header, and so the secret."""
    for value in (app_id, secret_key):
        if not value.isascii() or not value.isprintable() or " " in value or not value:
            raise ValueError("app id and secret key must be visible ASCII without spaces")
    return {
        "Qiscus-App-Id": app_id,
        "Qiscus-Secret-Key": secret_key,
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": "giliran",
    }


def _checked(id_: str) -> str:
    """Dots alone would climb the URL's path; the rest could not have come from this desk."""
    if answers.plain_id(id_) is None or not id_.strip("."):
        raise RoomRefused("not an id of this desk")
    return id_
