"""The rules of a tenant on `/ops`: the file in force, a check of another, where a payload would lead, applying it.

Before the page; after `views/` and `routing/`. Whether the desk knows whom a file names, workers find out when they
read the teams; `views/now.py` says so then.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from db import acts, audit
from db.acts import Effect
from db.people import Agent
from db.turn import Turn, TurnRefused
from routing import facts, file
from routing.faults import Fault
from routing.file import BYTES_MAX, Checked
from routing.model import Rules
from routing.route import Route, named, route
from sidecar.live.parts import Parts
from sidecar.ops.rest import TENANT, OpsDoor
from sidecar.ops.who import admin, own
from sidecar.web.answers import Refused, answer
from sidecar.web.requests import json_of, yes_or_no
from views import plan, routed, rule_files, rulebook
from views.words import span

FAULTS_MOST = 100


class OpsRules:
    def __init__(self, parts: Parts, door: OpsDoor) -> None:
        self._parts, self._door = parts, door

    def routes(self) -> list[web.RouteDef]:
        opens, at = self._door.opens, f"{TENANT}/routing"
        return [
            web.get(at, opens(self.show)),
            web.put(at, opens(self.apply)),
            web.post(f"{at}/check", opens(self.check)),
            web.post(f"{at}/try", opens(self.try_)),
        ]

    async def show(self, who: Agent, request: web.Request) -> web.StreamResponse:
        tenant = own(who, request.match_info["tenant"])
        return answer(await self._parts.store.run(lambda cur: rule_files.in_force(cur, tenant)))

    async def check(self, who: Agent, request: web.Request) -> web.StreamResponse:
        """Its faults, or what it would change."""
        tenant, content = own(who, request.match_info["tenant"]), _content(await json_of(request))
        found = file.check(content) if content else Checked(Rules())
        if found.rules is None:
            return answer({"ok": False, **_findings(found)})
        rules = found.rules
        changes = await self._parts.store.run(lambda cur: rule_files.would_change(cur, tenant, rules))
        return answer({"ok": True, **_findings(found), **plan.as_data(changes)})

    async def try_(self, who: Agent, request: web.Request) -> web.StreamResponse:
        """Where a webhook's body would lead by this file, or by the rules in force."""
        tenant, asked = own(who, request.match_info["tenant"]), await json_of(request)
        if asked.get("content") is None:
            book = await self._parts.store.run(lambda cur: rulebook.in_force(cur, tenant))
            rules = book.rules
        else:
            rules = _usable(_content(asked))
        known = facts.of_webhook(_payload(asked.get("payload")), named(rules))
        found = route(known, rules, datetime.now(UTC))
        return answer({**_where(found, rules), "facts": facts.as_data(known)})

    async def apply(self, who: Agent, request: web.Request) -> web.StreamResponse:
        """`version`: the one that was in force when the file was shown; another one by now is not overwritten."""
        admin(who)
        tenant, asked = own(who, request.match_info["tenant"]), await json_of(request)
        is_dry, content, before = yes_or_no(request, "dry_run"), _content(asked), asked.get("version")
        rules = _usable(content) if content else Rules()
        if is_dry:
            changes = await self._parts.store.run(lambda cur: rule_files.would_change(cur, tenant, rules))
            moving = sum(each.rooms for each in changes.moves)
            values = {"moving": moving, "waiting": changes.waiting}
            message = f"{moving} of {changes.waiting} waiting rooms would move, each keeps its arrival"
            return answer({"effect": {"code": "would_apply", "message": message, "values": values}})
        address = self._parts.door.address(request)

        def work(turn: Turn) -> Effect:
            if before is not None and before != turn.row.rules_version:
                raise TurnRefused("already_taken", f"version {turn.row.rules_version} was applied meanwhile")
            effect = acts.apply_rules(turn, self._parts.box, content, who.email)
            told = (who.email, "routing apply" if content else "routing reset", f"version {effect.after}")
            audit.write(turn.cur, tenant, *told, effect.before, effect.after, address)
            return effect

        effect = await self._parts.turns.change(tenant, work)
        told = {"code": effect.code, "message": effect.message, "values": dict(effect.values)}
        return answer({"effect": told, "done": True})


def _content(asked: dict[str, Any]) -> str:
    content = asked.get("content")
    if not isinstance(content, str) or len(content.encode(errors="replace")) > BYTES_MAX:
        raise Refused("invalid_payload", f"content: must be the text of a rules file, {BYTES_MAX} bytes at most")
    return content


def _usable(content: str) -> Rules:
    found = file.check(content)
    if found.rules is None:
        fault = found.faults[0]
        raise Refused("invalid_payload", f"content: line {fault.line}: {fault}")
    return found.rules


def _payload(value: object) -> bytes:
    """A webhook's body, as an object or as its text."""
    if isinstance(value, str):
        return value.encode(errors="replace")
    if isinstance(value, dict):
        return orjson.dumps(value)
    raise Refused("invalid_payload", "payload: must be the body of a Custom Agent Allocation webhook")


def _findings(found: Checked) -> dict[str, Any]:
    return {"faults": _lines(found.faults), "warnings": _lines(found.warnings)}


def _lines(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    return [{"line": fault.line, "message": str(fault)} for fault in faults[:FAULTS_MOST]]


def _where(found: Route, rules: Rules) -> dict[str, Any]:
    who = routed.agents_text(rules.queue(found.queue).agents)
    steps = [(due.step.after_s, routed.step_text(due.step)) for due in found.steps]
    parts = [f"queue {found.queue}", f"by rule {found.rule}" if found.rule else f"by {found.by}"]
    parts += [f"priority {found.priority}", f"served by {who}"]
    parts += [f"after {span(after_s)} {text}" for after_s, text in steps]
    return {
        "queue": found.queue,
        "rule": found.rule,
        "by": found.by,
        "priority": found.priority,
        "serve_from": found.serve_from,
        "served_by": who,
        "steps": [{"after_s": after_s, "text": text} for after_s, text in steps],
        "text": "; ".join(parts),
    }
