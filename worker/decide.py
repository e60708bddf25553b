"""One decision of one tenant: the inbox into the line, then seats for the oldest. The work of a turn, without HTTP.

Before: a ticket (`jobs`). After: the pairs reserved here go to the callers. It runs under the tenant's row lock, so
decisions of a tenant follow one another, and the order of the line is the order of reserving.
"""

from db.inbox import HELD, Inbox, Taken
from db.rules import Book
from db.turn import Turn
from worker import follow, intake, limits
from worker.decision import CALLS_MOST, Decision, Terms
from worker.rules import CIRCUIT_FAILURES, PROBE_S
from worker.seating import Seating

INBOX_BATCH = 500  # webhooks of one decision; more ask for another ticket, so that tenants take turns


def decide(turn: Turn, inbox: Inbox, terms: Terms) -> Decision:
    taken, limits_digest = limits.take(turn, inbox, INBOX_BATCH, terms.rules.default_limit)
    entries, place_us = intake.placed(taken.entries, turn.row.last_place_us)
    looks = intake.take_over(turn, entries, terms.rules)
    if turn.agents and terms.rules.policy.asks_desk:
        turn.run("ask_again")
    due = terms.due or looks
    _lift(turn, due)
    book, more = follow.follow(turn)
    decision = Decision(more=more or len(taken.entries) == INBOX_BATCH)
    if not turn.row.paused:
        _ask_the_desk(turn, terms, decision, due, book, all_led=not more)
    turn.rooms.update({pair.room: HELD for pair in decision.reserved})
    _move_cursor(turn, taken, place_us=place_us, served=len(decision.reserved), limits_digest=limits_digest)
    turn.wake = decision.more
    return decision


def _lift(turn: Turn, due: bool) -> None:
    """What is over: pauses of rooms, and what refusals said."""
    if due:
        turn.run("lift_retries")
        turn.run("lift_asides")
        if turn.row.doubted:
            turn.run("lift")
    if turn.row.doubted:
        turn.run("withdraw")


def _ask_the_desk(turn: Turn, terms: Terms, decision: Decision, due: bool, book: Book, all_led: bool) -> None:
    """`all_led`: no room stands where an earlier version or an earlier moment put it. Nobody is seated before."""
    half_open = turn.row.desk_failures >= CIRCUIT_FAILURES
    decision.most_calls = max(0, min(1 if half_open else CALLS_MOST, terms.free_callers))
    seating = Seating(turn, terms, decision, book)
    if due:
        seating.claim()
    if not follow.is_shut(turn, book) and not turn.row.draining and all_led:
        seating.seat()
    decision.cut = terms.free_callers < CALLS_MOST and decision.calls_left <= 0
    if half_open and decision.calls:  # the one call that shows whether the desk is back
        turn.run("desk_pauses", wait_s=PROBE_S)


def _move_cursor(turn: Turn, taken: Taken, **moved: object) -> None:
    """To the last entry that the ledger has after this decision, also where a dead worker did not trim it."""
    flushed = taken.epoch != turn.row.epoch
    turn.taken = taken.entries[-1].id if taken.entries else "0-0" if flushed else turn.row.seen
    turn.run("move_cursor", epoch=taken.epoch, seen=turn.taken, flushed=flushed, **moved)
