"""How long things take in this worker, for /metrics: histograms that the callers' and the settler's threads fill; and
what came of events that hooks have posted.

Beside them stand the counts of `work.Figures`; `health.py` gives all to whoever asks.
"""

import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from db.turn import Turn
from meters import Served
from worker.calls import Pair

CALL_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15)
POSTED = ("delivered", "failed", "given_up", "dropped")
IDLE_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)


class Latency:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._served = Served(self.registry)
        self._seat_idle = Histogram(
            "giliran_seat_idle_seconds",
            "From a seat's becoming free to the assign call of a room that waited for it",
            buckets=IDLE_S,
            registry=self.registry,
        )
        self._desk_call = Histogram(
            "giliran_desk_call_seconds",
            "Calls to desks, by what was asked and what came of it",
            labelnames=["verb", "outcome"],
            buckets=CALL_S,
            registry=self.registry,
        )

        self._hooks = Counter(
            "giliran_hooks",
            "Tries to post an event to a receiver, by what came of it, and events dropped untried",
            labelnames=["tenant", "outcome"],
            registry=self.registry,
        )

    def committed(self, turn: Turn) -> None:
        """Who was assigned and who ended in it."""
        self._served.note(turn.tenant, turn.waits, turn.handled)

    def calls(self, pair: Pair) -> None:
        """Its assign call begins now."""
        if pair.freed_at is not None:
            self._seat_idle.observe(time.monotonic() - pair.freed_at)

    def posted(self, tenant: str, outcome: str, number: int = 1) -> None:
        """Events by a hook; `outcome`: one of `POSTED`, where `failed` is tried again, `dropped` never was."""
        for each in POSTED:  # from the first one on, so that a rise from 0 is seen
            self._hooks.labels(tenant, each).inc(number if each == outcome else 0)

    def answered(self, verb: str, outcome: str, took_s: float) -> None:
        """By a desk, or for it: outcomes are those of `desk/timed.py`."""
        labelled: Any = self._desk_call.labels(verb, outcome)
        labelled.observe(took_s)
