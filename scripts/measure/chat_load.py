"""The people of `scripts/bench chat`, as a process of its own: reads one plan from standard input, writes what it saw.

talk  both sides of all rooms write, so many messages a second together
fan   one customer writes; how long until the last of all sockets has it
shop  as talk, in one tenant with hundreds of agents' pages: whoever writes is seen typing first, whoever is written to
      has read it; a rate after the other
idle  sockets that are open and silent, until standard input ends
hear  agents' pages that do nothing, until standard input ends
"""

import asyncio
import json
import re
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

from scripts.measure.sockets import Client, cpu_s, now_us, opened, text, until

TICK_S = 0.002
GREETING_S = 90.0
DRAIN_S = 20.0  # for the last messages to come
WARM_S = 2.0  # not counted
SESSION, SEQ = re.compile(rb'"session_id": ?"([^"]+)"'), re.compile(rb'"seq": ?(\d+)')
FILL = "x" * 60  # what people write has some length

Plan = dict[str, Any]


def main() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = json.loads(sys.stdin.readline())
    found = asyncio.run({"talk": talk, "fan": fan, "shop": shop, "idle": idle, "hear": hear}[plan["kind"]](plan))
    print(json.dumps(found), flush=True)
    return 0


async def _all(plan: Plan) -> tuple[list[Client], list[Client], list[int]]:
    """Agents, customers, and the list where the waits will be."""
    waits_us: list[int] = []
    agents = await opened(plan["port"], [agent["path"] for agent in plan["agents"]], waits_us)
    for client, agent in zip(agents, plan["agents"], strict=True):
        client.send(text(json.dumps({"type": "auth", "payload": {"token": agent["token"]}}).encode()))
    customers = await opened(plan["port"], [c["path"] for c in plan["customers"]], waits_us, first=len(agents))
    greeted = await until(lambda: all(client.frames for client in agents), GREETING_S)
    if not greeted:
        raise TimeoutError(f"agents were not greeted: {[client.closed for client in agents if client.closed][:3]}")
    return agents, customers, waits_us


def _frame(kind: str, **payload: object) -> bytes:
    return text(json.dumps({"type": kind, "payload": payload}).encode())


def _message(room: str, number: int, meant_for: int) -> bytes:
    """Never the same twice, also in the next round: a repeat would be acknowledged and told to nobody."""
    now = now_us()
    body = f"~{now}~{meant_for}~{FILL}"
    return _frame("chat.message.send", session_id=room, client_id=f"b{number}-{now}", body=body)


class Talk:
    """Customer and agent of each room in turn, room after room."""

    def __init__(self, plan: Plan, agents: Sequence[Client], customers: Sequence[Client]) -> None:
        self._rate: float = plan["rate"]
        self._turns = [
            turn
            for customer, about in zip(customers, plan["customers"], strict=True)
            for turn in (
                (customer, about["room"], agents[about["agent"]]),
                (agents[about["agent"]], about["room"], customer),
            )
        ]
        self._turns = self._turns[::2] + self._turns[1::2]
        self.sent = 0
        self.late_us = 0  # how far behind its own plan this process was

    async def go(self, seconds: float, rate: float | None = None) -> None:
        self._rate = rate or self._rate
        begin, first = now_us(), self.sent
        while (passed_us := now_us() - begin) < seconds * 1e6:
            due = first + int(passed_us * self._rate / 1e6)
            if due > self.sent:
                self.late_us = max(self.late_us, passed_us - int((self.sent - first) * 1e6 / self._rate))
            while self.sent < due:
                sender, room, other = self._turns[self.sent % len(self._turns)]
                self._say(sender, room, other)
                self.sent += 1
            await asyncio.sleep(TICK_S)

    def _say(self, sender: Client, room: str, other: Client) -> None:
        sender.send(_message(room, self.sent, other.number))


class Shop(Talk):
    """With what pages say beside it: that somebody types, and how far a message was read."""

    def _say(self, sender: Client, room: str, other: Client) -> None:
        sender.send(_frame("chat.typing", session_id=room, is_typing=True))
        super()._say(sender, room, other)

    def listen(self) -> None:
        for client in {other for _, _, other in self._turns}:
            client.for_me = _reads(client)


def _reads(client: Client) -> Callable[[bytes], None]:
    def heard(message: bytes) -> None:
        if (room := SESSION.search(message)) and (seq := SEQ.search(message)):
            client.send(_frame("chat.message.read", session_id=room[1].decode(), up_to_seq=int(seq[1])))

    return heard


async def talk(plan: Plan) -> Plan:
    agents, customers, waits_us = await _all(plan)
    everybody = [*agents, *customers]
    talk = Talk(plan, agents, customers)
    await talk.go(WARM_S)
    warm, talk.late_us = talk.sent, 0
    await until(lambda: len(waits_us) >= warm, DRAIN_S)
    del waits_us[:]
    before, began = sum(client.frames for client in everybody), now_us()
    await talk.go(plan["seconds"])
    took_s = (now_us() - began) / 1e6
    sent = talk.sent - warm
    acks = talk.sent if plan["acks"] else 0
    await until(lambda: len(waits_us) >= sent and sum(client.acks for client in everybody) >= acks, DRAIN_S)
    return {
        "sent": sent,
        "per_second": round(sent / took_s),
        "received": len(waits_us),
        "acked": sum(client.acks for client in everybody) - acks + (sent if acks else 0),
        "frames_per_second": round((sum(client.frames for client in everybody) - before) / took_s),
        "closed": sum(client.closed is not None for client in everybody),
        **_quantiles(waits_us),
        "generator_late_ms": round(talk.late_us / 1000, 1),
    }


async def shop(plan: Plan) -> Plan:
    """Each rate's figures, until one is not carried: p99 beyond `most_ms`, or something lost."""
    agents, customers, waits_us = await _all(plan)
    at_work = {agents[customer["agent"]] for customer in plan["customers"]}
    beside = [client for client in agents if client not in at_work]
    for client in beside:
        client.drain()
    talk = Shop(plan, agents, customers)
    talk.listen()
    found: list[Plan] = []
    for rate in plan["rates"]:
        await talk.go(WARM_S, rate)
        await until(lambda: len(waits_us) >= talk.sent, DRAIN_S)
        del waits_us[:]
        warm, weighed, cpu, began = talk.sent, sum(client.weighed for client in beside), cpu_s(plan["server"]), now_us()
        await talk.go(plan["seconds"])
        took_s = (now_us() - began) / 1e6
        sent, weighed = talk.sent - warm, sum(client.weighed for client in beside) - weighed
        await until(lambda: len(waits_us) >= sent, DRAIN_S)  # noqa: B023 - awaited here
        figures = {
            "rate": rate,
            "sent": sent,
            "received": len(waits_us),
            **_quantiles(waits_us),
            "closed": sum(client.closed is not None for client in [*agents, *customers]),
            "server_ms_a_message": round(1000 * (cpu_s(plan["server"]) - cpu) / sent, 2),
            "kb_a_second_to_a_page": round(weighed / took_s / len(beside) / 1000, 1),
        }
        found.append(figures)
        if figures["p99_ms"] > plan["most_ms"] or figures["received"] < sent or figures["closed"]:
            break
        talk.sent = 0
        waits_us.clear()
    return {"rates": found}


async def fan(plan: Plan) -> Plan:
    agents, customers, _ = await _all(plan)
    sender, room = customers[0], plan["customers"][0]["room"]
    waits_us: list[int] = []
    for n in range(plan["messages"]):
        began = now_us()
        sender.send(_message(room, n, 0))
        if not await _heard(agents, n + 1):
            lost = sum(client.marked < n + 1 for client in agents)
            raise TimeoutError(f"message {n} did not reach {lost} of {len(agents)} sockets")
        waits_us.append(max(client.marked_at_us for client in agents) - began)
        await asyncio.sleep(0.02)
    return {"sockets": len(agents), "messages": len(waits_us), **_quantiles(waits_us)}


async def _heard(agents: Sequence[Client], number: int) -> bool:
    """Without looking at all of them all the time: the last one is asked first."""
    for client in agents:
        if client.marked < number and not await _one(client, number):
            return False
    return True


async def _one(client: Client, number: int) -> bool:
    for _ in range(int(DRAIN_S * 1000)):
        if client.marked >= number:
            return True
        await asyncio.sleep(0.001)
    return False


async def idle(plan: Plan) -> Plan:
    """Says `open` when they are, and stays until standard input ends."""
    paths = [customer["path"] for customer in plan["customers"]]
    return await _stay(await opened(plan["port"], paths, [], greeted=plan["greeted"]))


async def hear(plan: Plan) -> Plan:
    """The same of agents, who answer the server's pings."""
    agents, _, _ = await _all({**plan, "customers": []})
    return await _stay(agents)


async def _stay(clients: Sequence[Client]) -> Plan:
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return {"sockets": len(clients), "closed": sum(client.closed is not None for client in clients)}


def _quantiles(waits_us: Sequence[int]) -> dict[str, float]:
    ordered = sorted(waits_us) or [0]
    found = {f"p{p}_ms": ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] / 1000 for p in (50, 99)}
    return {**{name: round(ms, 1) for name, ms in found.items()}, "max_ms": round(ordered[-1] / 1000, 1)}


if __name__ == "__main__":
    sys.exit(main())
