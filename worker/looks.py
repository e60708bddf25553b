"""What does a look at the desk mean for a visit? Pure: the visit, what a first witness said, what the desk says now.

The desk is seconds late, so one reading is believed only if a webhook said the same, or nothing happened to the visit
for longer than the lag; else the same must be read twice, a lag apart. Before: `calls.look`; after: `settle` writes it.
"""

from dataclasses import dataclass

from worker.calls import Seen
from worker.visits import RESOLVED, WAITING

TROUBLE_S = 3.0  # the desk failed: the circuit has the longer pauses
LOOKS_MOST = 3  # readings that say nothing before a waiting room is set aside
LOOK_WAIT_MOST_S = 60.0  # a look that lies further ahead is taken for due: the clock may have stepped
UNKNOWN_MOST = 5  # readings of a room that the desk does not know, further and further apart, before it is closed


@dataclass(frozen=True)
class Verdict:
    """`what`: fine, again, close, forget, release, adopt, aside. `agent` goes with adopt, `suspect` and `wait_s` with
    again."""

    what: str
    why: str = ""
    agent: str | None = None
    suspect: str | None = None
    wait_s: float = 0.0
    counts: bool = True  # again: a reading that said something; trouble does not bring a room nearer to anything


def judge(seen: Seen, lag_s: float) -> Verdict:
    """Total over readings, of a visit that waits or is held. One that is being assigned is not looked at."""
    about = seen.about
    if seen.what == "trouble":
        return Verdict("again", suspect=about.suspect, wait_s=TROUBLE_S, counts=False)
    if seen.what == "unknown":
        return _unknown(seen, lag_s)
    reading = _reading(seen)
    if reading is None:
        return _agrees(seen, lag_s)
    if about.suspect != reading:
        return Verdict("again", suspect=reading, wait_s=lag_s)
    if about.age_s < lag_s:
        return Verdict("again", suspect=reading, wait_s=lag_s - about.age_s)
    return _believed(seen, reading)


def _agrees(seen: Seen, lag_s: float) -> Verdict:
    """The desk says what the ledger says. Against a webhook's word one such reading is not enough: a late desk still
    tells how it was before. So it does of a room that waits again so soon that its stay before may be meant."""
    about = seen.about
    if about.waited_s is not None and about.waited_s < lag_s:
        return Verdict("again", suspect=about.suspect, wait_s=lag_s - about.waited_s, counts=False)
    if about.suspect in (RESOLVED, WAITING) and about.looks == 0:
        return Verdict("again", suspect=about.suspect, wait_s=lag_s)
    return Verdict("fine")


def _reading(seen: Seen) -> str | None:
    """The news in it: `resolved`, `waiting`, `moved:<agent>`, `hidden`; None where all is as the ledger says."""
    about = seen.about
    if seen.what == RESOLVED:
        return RESOLVED
    if seen.what == WAITING:
        return WAITING if about.state == "held" else None
    if about.state == "waiting":
        return f"moved:{min(seen.agents)}" if seen.agents else "hidden"
    if about.state == "held" and seen.agents and about.agent not in seen.agents:
        return f"moved:{min(seen.agents)}"
    return None


def _believed(seen: Seen, reading: str) -> Verdict:
    state = seen.about.state
    if reading == RESOLVED:
        return Verdict("close", "resolved at the desk")
    if reading == WAITING:
        return Verdict("release", "nobody is in the room any more")
    if reading == "hidden":
        return _hidden(seen)
    agent = reading.removeprefix("moved:")
    why = "served by somebody already" if state == "waiting" else "reassigned at the desk"
    return Verdict("adopt", why, agent=agent)


def _hidden(seen: Seen) -> Verdict:
    if seen.about.looks + 1 < LOOKS_MOST:
        return Verdict("again", suspect="hidden", wait_s=5.0)
    return Verdict("aside", "the desk says that it is served, but names nobody")


def _unknown(seen: Seen, lag_s: float) -> Verdict:
    """Also of one that is held: nobody could ever resolve it, and its seat would be lost."""
    if seen.about.state == "reserved":
        return Verdict("fine")
    if seen.about.looks + 1 < UNKNOWN_MOST:
        return Verdict(
            "again", suspect=seen.about.suspect or "unknown", wait_s=min(lag_s * 2**seen.about.looks, LOOK_WAIT_MOST_S)
        )
    return Verdict("forget", "the desk does not know this room")
