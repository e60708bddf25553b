"""What supervisors do, by REST: each act says its effect, `?dry_run=1` says it without doing it, and what is done is
written down with who did it. Before the page; after `db/acts.py` and `turns`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from psycopg2.extensions import cursor

from db import acts, audit
from db.acts import PRIORITY_MOST, Effect
from db.inbox import InboxDown
from db.people import Agent
from db.turn import Turn
from policies.policy import LIMIT_MAX
from sidecar.live.parts import Parts
from sidecar.ops.rest import ROOM, TENANT, OpsDoor
from sidecar.ops.who import admin, own
from sidecar.web.answers import Refused, answer
from sidecar.web.requests import json_of, text_of, whole_number, yes_or_no

AGENT = TENANT + "/agents/{agent}"
AUDIT_ROWS = 100
QUEUE_MOST = 128  # characters of a queue's name

Act = Callable[[Turn], Effect]
Handler = Callable[[Agent, web.Request], Awaitable[web.StreamResponse]]


class DryRun(Exception):
    """Takes the transaction back; the effect is what would have been."""

    def __init__(self, effect: Effect) -> None:
        super().__init__(effect.message)
        self.effect = effect


class OpsActs:
    def __init__(self, parts: Parts, door: OpsDoor) -> None:
        self._parts, self._door, self._box = parts, door, parts.box

    def routes(self) -> list[web.RouteDef]:
        found: list[tuple[str, str, Handler]] = [
            ("POST", f"{ROOM}/retry", self.retry),
            ("POST", f"{ROOM}/move", self.move),
            ("POST", f"{ROOM}/priority", self.priority),
            ("POST", f"{ROOM}/close", self.close),
            ("PUT", f"{TENANT}/limits", self.limit),
            ("PUT", f"{TENANT}/drain", self.drain),
            ("PUT", f"{AGENT}/paused", self.pause),
            ("POST", f"{AGENT}/return", self.give_back),
            ("POST", f"{AGENT}/logout", self.log_out),
            ("GET", f"{TENANT}/audit", self.audit),
        ]
        return [web.route(method, path, self._door.opens(handler)) for method, path, handler in found]

    # --- rooms

    async def retry(self, who: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]
        return await self._in_turn(who, request, "retry", room, lambda turn: acts.retry(turn, room, who.email))

    async def move(self, who: Agent, request: web.Request) -> web.StreamResponse:
        room, queue = request.match_info["room"], text_of(await json_of(request), "queue", QUEUE_MOST)
        return await self._in_turn(who, request, "move", room, lambda turn: acts.move(turn, room, queue, who.email))

    async def priority(self, who: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]
        value = number_of(await json_of(request), "priority", -PRIORITY_MOST, PRIORITY_MOST)
        return await self._in_turn(
            who, request, "priority", room, lambda turn: acts.priority(turn, room, value, who.email)
        )

    async def close(self, who: Agent, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]
        return await self._in_turn(who, request, "close", room, lambda turn: acts.close(turn, room, who))

    # --- the desk and its agents

    async def drain(self, who: Agent, request: web.Request) -> web.StreamResponse:
        draining = flag_of(await json_of(request), "draining")
        return await self._in_turn(who, request, "drain", "", lambda turn: acts.drain(turn, draining))

    async def give_back(self, who: Agent, request: web.Request) -> web.StreamResponse:
        agent = await self._agent(who, request)
        return await self._in_turn(
            who, request, "return chats", agent, lambda turn: acts.give_back(turn, agent, who.email)
        )

    async def limit(self, who: Agent, request: web.Request) -> web.StreamResponse:
        found = await json_of(request)
        scope, tenant = found.get("scope"), own(who, request.match_info["tenant"])
        if scope not in ("tenant", "agent"):
            raise Refused("invalid_payload", "scope: must be tenant or agent")
        if scope == "tenant":
            admin(who)
        agent = await self._known(tenant, text_of(found, "agent", 128)) if scope == "agent" else None
        value = None if found.get("value") is None else number_of(found, "value", 0, LIMIT_MAX)

        def work(cur: cursor) -> Effect:
            before, _ = acts.set_limit(cur, self._box, tenant, agent, value)
            return _limit_effect(agent, before, value)

        return await self._in_redis(who, request, "limit", agent or "", work)

    async def pause(self, who: Agent, request: web.Request) -> web.StreamResponse:
        paused, agent = flag_of(await json_of(request), "paused"), await self._agent(who, request)
        tenant, what = own(who, request.match_info["tenant"]), "pause" if paused else "resume"
        return await self._in_redis(
            who, request, what, agent, lambda cur: acts.set_paused(cur, self._box, tenant, agent, paused)
        )

    async def log_out(self, who: Agent, request: web.Request) -> web.StreamResponse:
        agent, tenant = await self._agent(who, request), own(who, request.match_info["tenant"])
        return await self._done(who, request, "log out", agent, lambda cur: acts.log_out(cur, tenant, agent))

    async def audit(self, who: Agent, request: web.Request) -> web.StreamResponse:
        tenant, before = own(who, request.match_info["tenant"]), whole_number(request, "before")
        found = await self._parts.store.run(lambda cur: audit.read(cur, tenant, AUDIT_ROWS + 1, before))
        shown = found[:AUDIT_ROWS]
        return answer({"acts": shown, "next": str(shown[-1]["id"]) if len(found) > AUDIT_ROWS else None})

    # --- how it is done

    async def _agent(self, who: Agent, request: web.Request) -> str:
        return await self._known(own(who, request.match_info["tenant"]), request.match_info["agent"])

    async def _known(self, tenant: str, agent: str) -> str:
        if "\0" in agent or not await self._parts.store.run(lambda cur: acts.knows_agent(cur, tenant, agent)):
            raise Refused("not_found", "no such agent")
        return agent

    async def _in_turn(self, who: Agent, request: web.Request, what: str, subject: str, act: Act) -> web.StreamResponse:
        tenant, is_dry = own(who, request.match_info["tenant"]), yes_or_no(request, "dry_run")

        def work(turn: Turn) -> Effect:
            effect = act(turn)
            if is_dry:
                raise DryRun(effect)
            self._written(turn.cur, who, request, tenant, what, subject, effect)
            return effect

        try:
            effect = await self._parts.turns.change(tenant, work)
        except DryRun as dry:
            return answer(_told(dry.effect))
        return answer({**_told(effect), "done": True})

    async def _in_redis(
        self, who: Agent, request: web.Request, what: str, subject: str, work: Callable[[cursor], Effect]
    ) -> web.StreamResponse:
        """What changes a key of Redis can't be taken back: a dry run is told what the keys are."""
        try:
            return await self._done(who, request, what, subject, work)
        except InboxDown as error:
            raise Refused("unavailable", f"Redis can't be asked, and limits are kept there: {error}", 2) from None

    async def _done(
        self, who: Agent, request: web.Request, what: str, subject: str, work: Callable[[cursor], Effect]
    ) -> web.StreamResponse:
        tenant = own(who, request.match_info["tenant"])
        if yes_or_no(request, "dry_run"):
            return answer(_told(WOULD[what]))

        def whole(cur: cursor) -> Effect:
            effect = work(cur)
            self._written(cur, who, request, tenant, what, subject, effect)
            return effect

        return answer({**_told(await self._parts.store.run(whole)), "done": True})

    def _written(
        self, cur: cursor, who: Agent, request: web.Request, tenant: str, what: str, subject: str, effect: Effect
    ) -> None:
        address = self._parts.door.address(request)
        audit.write(cur, tenant, who.email, what, subject, effect.before, effect.after, address)


WOULD: Mapping[str, Effect] = {
    "limit": Effect("limit_would", "in force within a second; nobody loses a chat"),
    "pause": Effect("paused", "they get no new chats; those that they have go on"),
    "resume": Effect("resumed", "they get new chats again, under their limit of before"),
    "log out": Effect("logged_out_would", "they are logged out; unanswered chats return to the queue after 30 s"),
}


def _limit_effect(agent: str | None, before: int | str | None, value: int | None) -> Effect:
    whose = "their" if agent else "the desk's"
    words = f"{whose} limit is {value}" if value is not None else f"{whose} own limit is gone: the next wider one holds"
    values = {"value": value, "before": before}
    return Effect("limit", f"{words} (before: {'none' if before is None else before})", values, before, value)


def _told(effect: Effect) -> dict[str, Any]:
    return {"effect": {"code": effect.code, "message": effect.message, "values": dict(effect.values)}}


def flag_of(found: Mapping[str, Any], name: str) -> bool:
    value = found.get(name)
    if not isinstance(value, bool):
        raise Refused("invalid_payload", f"{name}: must be true or false")
    return value


def number_of(found: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused("invalid_payload", f"{name}: must be a whole number from {least} to {most}")
    return value
