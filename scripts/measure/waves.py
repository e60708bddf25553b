"""1,000 rooms at once for 50 agents with limit 2, each chat resolved a second after it began: how long until the last?

Through everything: webhooks from the simulator, receiver, worker, back to the desk, which answers at once or after
20 ms. 100 seats make ten waves of one second, so no allocation ends before ten seconds; nine, until the last chat
begins. What the desk, the simulator and the machine add to that is measured in the same run with `bare`, which keeps
nothing: the floor.
"""

import json
import sys
import time
from contextlib import AbstractContextManager
from statistics import median
from typing import Any

import requests

from scripts.measure import stage
from scripts.measure.stage import Stage
from testbed.simulated import Sim, simulator

ROOMS, AGENTS, LIMIT, CHAT_S = 1000, 50, 2, 1.0
DESKS_MS = {"at_once": 0, "after_20_ms": 20}
BEST_S = ROOMS / (AGENTS * LIMIT) * CHAT_S
DEADLINE_S = 120.0


def measure(rounds: int = 3) -> dict[str, Any]:
    """Medians of alternating rounds, seconds from the first webhook: until the last chat began, and until the last was
    resolved. `of_ten_seconds`: a desk that answers at once, beside the time of the chats alone."""
    figures = {name: _beside_floor(rounds, desk_ms) for name, desk_ms in DESKS_MS.items()}
    ratio = {name: round(found["all_resolved_s"] / found["floor_resolved_s"], 3) for name, found in figures.items()}
    ratio["of_ten_seconds"] = round(figures["at_once"]["all_resolved_s"] / BEST_S, 3)
    setting = {"rounds": rounds, "rooms": ROOMS, "agents": AGENTS, "limit": LIMIT, "chat_s": CHAT_S}
    return {**figures, "ratio": ratio, "setting": setting}


def _beside_floor(rounds: int, desk_ms: int) -> dict[str, float]:
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(_ours(desk_ms))
        bare.append(_bare(desk_ms))
    figures = {name: round(median(f[name] for f in ours), 2) for name in ours[0]}
    return {**figures, "floor_resolved_s": round(median(f["all_resolved_s"] for f in bare), 2)}


def _ours(desk_ms: int) -> dict[str, float]:
    with (
        stage.servers() as (database_url, redis_url),
        Stage(database_url, redis_url, {"MAX_AGENT_CHAT": str(LIMIT)}) as ours,
        _desk(ours) as sim,
    ):
        ours.start_worker()
        ours.start_receiver()
        return _play(sim, desk_ms)


def _bare(desk_ms: int) -> dict[str, float]:
    with Stage("postgresql://unused", "redis://unused", {}) as bare, _desk(bare) as sim:
        command = [sys.executable, "-m", "scripts.measure.bare", str(bare.port), sim.url, str(AGENTS), str(LIMIT)]
        bare.start(command)
        stage.wait(lambda: requests.get(bare.url, timeout=1).status_code == 404)
        return _play(sim, desk_ms)


def _desk(of: Stage) -> AbstractContextManager[Sim]:
    return simulator(of.url, agents=AGENTS, offline=0, supervisors=0, page_size=100, port=of.sim_port)


def _play(sim: Sim, desk_ms: int) -> dict[str, float]:
    sim.faults(latency_ms=desk_ms, auto_resolve_s=CHAT_S)
    sim.add_customers(ROOMS)
    time.sleep(BEST_S)  # it can't end before, and each look at the state costs as much as twenty webhooks
    deadline = time.monotonic() + DEADLINE_S
    while sim.state()["resolved_total"] < ROOMS:
        if time.monotonic() > deadline:
            raise TimeoutError("not all rooms were served")
        time.sleep(0.1)
    history = sim.history(kinds="assigned,resolved,webhook")
    at: dict[str, list[float]] = {}
    for event in history["events"]:
        at.setdefault(event["kind"], []).append(event["mono"])
    if max(history["max_held"].values()) > LIMIT:
        raise RuntimeError("an agent had more chats than the limit")
    start = min(e["mono"] - e["ms"] / 1000 for e in history["events"] if e["kind"] == "webhook")  # when it was sent
    return {"all_begun_s": max(at["assigned"]) - start, "all_resolved_s": max(at["resolved"]) - start}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
