"""One simulated app with its secret, its webhooks and its switches: between the HTTP shells and the pure model.

Everything of an app runs in one event loop, so each change is whole: change the model, then `settle`.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from scripts.simulator import shapes
from scripts.simulator.faults import Faults
from scripts.simulator.ids import Ids
from scripts.simulator.journal import Instant, Journal
from scripts.simulator.model import AGENT, SUPERVISOR, Agent, Model, Outgoing
from scripts.simulator.senders import Delivery, Senders

PEOPLE = ("Sari Dewi", "Budi Santoso", "Ayu Lestari", "Rizky Pratama", "Dian Puspita", "Eko Wijaya", "Wayan Sudana")
BOSSES = ("Ratna Kusuma", "Bambang Susilo")
DEFAULT_DIVISION = "Default"
PATHS = {"caa": "/allocate-agent/webhook", "resolved": "/mark-as-solved/webhook"}


@dataclass(frozen=True)
class Plan:
    """How an app looks at its start and after each reset."""

    app_id: str = "demo-qiscus"
    secret_key: str = "demo-secret"  # noqa: S105 - public on purpose: it opens the simulator only
    webhooks: str = "http://127.0.0.1:8000"
    prefix: str = ""
    webhook_secret: str | None = None
    agents: int = 5
    offline: int = 1
    supervisors: int = 1
    page_size: int = 50  # the most rows that a page of agents or divisions has
    divisions: str = "Jakarta, Bali"  # by their names

    def hook_url(self, hook: str) -> str:
        query = f"?secret={self.webhook_secret}" if self.webhook_secret else ""
        return f"{self.webhooks.rstrip('/')}{self.prefix}{PATHS[hook]}{query}"

    def division_names(self) -> list[str]:
        return [name for part in self.divisions.split(",") if (name := part.strip())]


@dataclass
class Hook:
    url: str
    enabled: bool = True


def now() -> Instant:
    return Instant(time.monotonic(), time.time())


@dataclass(eq=False)
class App:
    plan: Plan
    ids: Ids
    senders: Senders
    faults: Faults = field(default_factory=Faults)
    journal: Journal = field(default_factory=Journal)
    calls: Counter[str] = field(default_factory=Counter)
    readers: set[asyncio.Event] = field(default_factory=set)
    resets: int = 0

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the plan. Numbers go on: a service id is never given twice."""
        self.resets += 1
        self.secret_key = self.plan.secret_key
        self.faults = Faults()
        self.random = random.Random()
        self.journal.clear()
        self.calls.clear()
        self.ids.agent = Ids.agent
        self.model = Model(self.ids, self.journal)
        self.office_hours = shapes.office_hours()
        self.hooks = {hook: Hook(self.plan.hook_url(hook)) for hook in PATHS}
        self.journal.add(now(), "reset")
        _hire(self.model, self.plan)
        _divide(self.model, self.plan.division_names())
        self.wake()

    def switch(self, faults: Faults) -> None:
        """New switches. Naming a seed starts its sequence again; a length for chats holds for open ones too."""
        if faults.seed is not None and faults.seed != self.faults.seed:
            self.random = random.Random(faults.seed)
        self.faults = faults
        if faults.auto_resolve_s:
            self.model.joined.extend(self.model.held())
        self.settle()

    def settle(self) -> None:
        """After each change: send what the model put out, book the ends of new chats, wake the readers."""
        outbox, self.model.outbox = self.model.outbox, []
        for outgoing in outbox:
            self._send(outgoing)
        joined, self.model.joined = self.model.joined, []
        for room in joined:
            self._book_end(room.id, room.stay)
        self.wake()

    def wake(self) -> None:
        for reader in self.readers:
            reader.set()

    def note(self, kind: str, **facts: object) -> None:
        self.journal.add(now(), kind, **facts)
        self.wake()

    def draw_failure(self, endpoint: str) -> str | None:
        kind = self.faults.draw(self.random, endpoint)
        if kind and self.faults.fail_next:
            self.faults = replace(self.faults, fail_next=self.faults.fail_next - 1)
        return kind

    def _send(self, outgoing: Outgoing) -> None:
        hook = self.hooks[outgoing.hook]
        if not (hook.enabled and hook.url):
            return
        body = json.dumps(self._payload(outgoing), separators=(",", ":")).encode()
        delays = self.faults.deliveries(self.random, outgoing.hook)
        told, wanted = self._told(outgoing), self._same_game()
        for _ in range(self.faults.webhook_copies - len(delays)):
            told(outcome="dropped")
        for delay_s in delays:
            self.senders.send(Delivery(hook.url, body, told, wanted, self.faults.webhook_retries), delay_s)

    def _payload(self, outgoing: Outgoing) -> shapes.Json:
        if outgoing.service and outgoing.by:
            return shapes.resolved(self.plan.app_id, outgoing.room, outgoing.service, outgoing.by, self.faults)
        return shapes.caa(self.plan.app_id, self.model, outgoing.room, self.faults, time.monotonic())

    def _told(self, outgoing: Outgoing) -> Callable[..., None]:
        def told(**facts: object) -> None:
            room = outgoing.room
            self.note("webhook", hook=outgoing.hook, room=room.id, name=room.name, **facts)

        return told

    def _same_game(self) -> Callable[[], bool]:
        resets = self.resets
        return lambda: resets == self.resets

    def _book_end(self, room_id: str, stay: int) -> None:
        length_s = self.faults.chat_length_s(self.random)
        if length_s is not None:
            asyncio.get_running_loop().call_later(length_s, self._end_chat, room_id, stay, self.resets)

    def _end_chat(self, room_id: str, stay: int, resets: int) -> None:
        room = self.model.rooms.get(room_id)
        if resets == self.resets and room and room.stay == stay and room.agents:
            self.model.resolve(now(), room_id, self.model.who_presses(room, "agent"))
            self.settle()


def _hire(model: Model, plan: Plan) -> None:
    for i in range(plan.agents + plan.offline):
        _hire_agent(model, i, online=i < plan.agents)
    for i in range(plan.supervisors):
        name = BOSSES[i] if i < len(BOSSES) else f"Supervisor {i + 1}"
        model.add_agent(name, f"supervisor{i + 1}@example.com", kind=SUPERVISOR)


def _hire_agent(model: Model, i: int, *, online: bool) -> Agent:
    name = PEOPLE[i] if i < len(PEOPLE) else f"Agent {i + 1}"
    return model.add_agent(name, f"agent{i + 1}@example.com", online=online)


def _divide(model: Model, names: list[str]) -> None:
    """Each agent into one of the divisions, some into all of them; who is in none has the default one."""
    agents = [agent.id for agent in model.agents.values() if agent.kind == AGENT]
    joined = {
        name: {id_ for i, id_ in enumerate(agents) if i % (len(names) + 1) in (n, len(names))}
        for n, name in enumerate(names)
    }
    others = set(model.agents) - set().union(*joined.values())
    model.divisions.add(now(), DEFAULT_DIVISION, others, is_default=True)
    for name, members in joined.items():
        model.divisions.add(now(), name, members)
