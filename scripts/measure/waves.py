"""1,000 rooms at once for 50 agents with limit 2, each chat resolved a second after it began: how long until the last?

Through everything: webhooks from the simulator (a desk that answers in 20 ms), receiver, worker, back to the desk. 100
seats make ten waves of one second, so ten seconds is the floor of any allocation; nine, until the last chat begins.
No chat begins before the desk's 20 ms are over, ten times one after the other: the second floor has them in it.
"""

import json
import time
from statistics import median
from typing import Any

from scripts.measure import stage
from scripts.measure.stage import Stage
from tests.simulated import Sim, simulator

ROOMS, AGENTS, LIMIT, CHAT_S, DESK_MS = 1000, 50, 2, 1.0, 20
BEST_S = ROOMS / (AGENTS * LIMIT) * CHAT_S
WITH_DESK_S = ROOMS / (AGENTS * LIMIT) * (CHAT_S + DESK_MS / 1000)
DEADLINE_S = 120.0


def measure(rounds: int = 3) -> dict[str, Any]:
    """Medians, seconds from the first webhook: until the last chat began, and until the last was resolved."""
    found = [_round() for _ in range(rounds)]
    figures = {name: round(median(f[name] for f in found), 2) for name in found[0]}
    floors = {"floor_s": BEST_S, "floor_with_desk_s": WITH_DESK_S}
    resolved_s = figures["all_resolved_s"]
    ratio = {"all_resolved": round(resolved_s / BEST_S, 3), "with_desk": round(resolved_s / WITH_DESK_S, 3)}
    setting = {"rounds": rounds, "rooms": ROOMS, "agents": AGENTS, "limit": LIMIT, "chat_s": CHAT_S, "desk_ms": DESK_MS}
    return {**figures, **floors, "ratio": ratio, "setting": setting}


def _round() -> dict[str, float]:
    with (
        stage.servers() as (database_url, redis_url),
        Stage(database_url, redis_url, {"MAX_AGENT_CHAT": str(LIMIT)}) as ours,
        simulator(ours.url, agents=AGENTS, offline=0, supervisors=0, page_size=100, port=ours.sim_port) as sim,
    ):
        ours.start_worker()
        ours.start_receiver()
        return _play(sim)


def _play(sim: Sim) -> dict[str, float]:
    sim.faults(latency_ms=DESK_MS, auto_resolve_s=CHAT_S)
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
