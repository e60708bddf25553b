"""Writes what the desk tells about itself: who is online for a class, its own candidate, rooms that nobody serves."""

import json
import logging
import time

import logs
from db import line
from db.turn import Drift, Turn
from worker import follow, foreign, refusals
from worker.calls import Roster, Suggested, Unserved
from worker.desk.base import DeskError, RoomRefused
from worker.rules import UPSTREAM_ASK_S, Rules, backoff_s
from worker.visits import WAITING

log = logging.getLogger("worker.roster")

NOTHING_FOREIGN = foreign.Estimate(0, [])


def take_roster(turn: Turn, report: Roster, rules: Rules) -> None:
    """Writes what is new in it: rosters are read every few seconds, and mostly say what the last one said."""
    if report.trouble is not None:
        _failed(turn, report, report.trouble, rules)
        return
    settled_late_s = time.monotonic() - report.answered_at if report.answered_at is not None else 0.0
    if settled_late_s > rules.roster_s or not _put_roster(turn, report, settled_late_s, rules):
        log.warning(turn.line("roster_late", class_=report.class_, late_s=round(settled_late_s, 1)))
        return
    changed = _put_agents(turn, report, settled_late_s, rules)
    turn.agents |= changed
    renamed = _put_eligible(turn, report)
    follow.drop_old_classes(turn)
    online = sum(agent.available for agent in report.agents)
    log.info(turn.line("roster_read", class_=report.class_, agents=len(report.agents), online=online))
    # Else nothing has changed for the line: with hundreds of tenants whose agents are all full that is the usual case.
    turn.wake |= bool(changed) or renamed or _has_room(turn, report.class_)


def _has_room(turn: Turn, class_: str) -> bool:
    """Whether somebody has a free seat, perhaps one that is closed by an estimate only."""
    return bool(turn.one("has_room", class_=class_).has_room)


def _put_roster(turn: Turn, report: Roster, settled_late_s: float, rules: Rules) -> bool:
    """False where a later question was answered before. A roster is as old as its question, but half of its time is
    left when it comes, however long the desk took: a slow desk's rooms are served too."""
    age_s = min(report.took_s, rules.roster_s / 2) + settled_late_s
    values = {"class_": report.class_, "age_s": age_s, "asked_s": report.took_s + settled_late_s}
    return turn.run("put_roster", again_s=rules.retry_s, missing=list(report.missing), **values) > 0


def _put_agents(turn: Turn, report: Roster, settled_late_s: float, rules: Rules) -> set[str]:
    """Gives those of whom something has changed."""
    estimates = _estimates(turn, report, settled_late_s, rules)
    rows = []
    for agent in report.agents:
        estimate = estimates.get(agent.id, NOTHING_FOREIGN)
        name = logs.clean(agent.name).strip('"')
        rows.append((agent.id, name, agent.available, agent.count, estimate.foreign, estimate.lows))
    return {row.id for row in turn.all("put_agents", rows=json.dumps(rows))}


def _put_eligible(turn: Turn, report: Roster) -> bool:
    """Whether others serve the class than before."""
    class_ = report.class_
    named = {agent.id for agent in report.agents}
    before = {row.agent for row in turn.all("eligible", class_=class_)}
    if dropped := sorted(before - named):
        turn.run("drop_eligible", agents=dropped, class_=class_)
        turn.run("nobody_names", agents=dropped)
    if new := sorted(named - before):
        turn.run("put_eligible", agents=new, class_=class_)
    if turn.row.doubted:
        offline = [agent.id for agent in report.agents if not agent.available]
        turn.run("listed", agents=sorted(named), offline=offline, class_=class_)
    return bool(dropped or new)


def _failed(turn: Turn, report: Roster, trouble: DeskError, rules: Rules) -> None:
    """A room that is not waiting must not keep its class without a roster: the next ones are asked about at once (H19).
    If it waits, the desk is in trouble, and is left alone for a moment."""
    refused = isinstance(trouble, RoomRefused)
    rooms_fault = refused and report.seen not in (WAITING, None)
    if report.last or not rooms_fault:
        wait_s = 0.0 if rooms_fault else backoff_s(2)
        turn.run("roster_failed", class_=report.class_, wait_s=wait_s)
        turn.wake |= rooms_fault
    log.warning(turn.line("roster_failed", class_=report.class_, room=report.room, why=trouble.what))
    if rooms_fault:
        refusals.doubt_room(turn, report.room, report.seen, trouble.what, rules)
    elif refused:
        turn.run("pause_room", room=report.room, wait_s=backoff_s(3))


def _estimates(turn: Turn, report: Roster, settled_late_s: float, rules: Rules) -> dict[str, foreign.Estimate]:
    """What of each count is not ours, for the time that the answer may speak of: from the request minus the lag. Not of
    those whose count our own chats explain that were theirs through all of it: nothing is."""
    now_s = turn.one("now").now_s
    until_s = now_s - settled_late_s
    since_s = until_s - report.took_s - rules.lag_s
    longer_s = now_s - since_s + 1.0
    explained = {row.agent: row.seats for row in turn.all("steady", window_s=longer_s)}
    lows = {row.id: row.foreign_lows for row in turn.all("lows")}
    counts = {agent.id: agent.count or 0 for agent in report.agents}
    open_ = [agent for agent, count in counts.items() if agent in lows or count > explained.get(agent, 0)]
    stays: dict[str, list[foreign.Stay]] = {}
    window = {"now_s": now_s, "since_s": since_s}
    for row in turn.all("stays", agents=open_, **window) if open_ else []:
        stays.setdefault(row.agent, []).append(foreign.Stay(*row))
    return {
        agent: foreign.estimate(
            counts[agent], stays.get(agent, []), since_s, until_s, [(at, n) for at, n in lows.get(agent, [])]
        )
        for agent in open_
    }


def take_suggestion(turn: Turn, report: Suggested) -> None:
    wait_s = backoff_s(3) if report.trouble else UPSTREAM_ASK_S
    turn.run("put_suggestion", agent=report.agent, wait_s=wait_s, class_=report.class_)
    log.info(turn.line("suggested", class_=report.class_, agent=report.agent))
    turn.wake |= report.agent is not None


def learn(turn: Turn, report: Unserved, rules: Rules) -> None:
    """Rooms that wait at the desk and that no webhook told us of, oldest first."""
    if not report.rooms:
        return
    rooms = [room.room for room in report.rooms]
    lag_s = rules.lag_s + rules.step_s + report.took_s
    wrote_s = [room.last_customer_s for room in report.rooms]
    known = {row.room for row in turn.all("known_rooms", rooms=rooms, wrote_s=wrote_s, lag_s=lag_s)}
    remembered = {row.room: row for row in turn.all("recall", rooms=rooms, lag_s=lag_s)}
    unknown = [room for room in report.rooms if room.room not in known]
    if not unknown:
        return
    now_us = line.next_place(turn)
    new = [
        line.NewVisit(
            room.room,
            min(now_us, _place_us(room.last_customer_s)) if room.last_customer_s else now_us,
            room.channel,
            room.source,
            learned=True,
            base=remembered[room.room].closed_service,
        )
        for room in unknown
    ]
    line.open_visits(turn, new, learned_wait_s=rules.lag_s)
    turn.drift(Drift.MISSED_ARRIVAL, len(new))
    for visit in new:
        log.warning(turn.line("learned", room=visit.room))
        turn.move(visit.room, visit.arrived_us)


def _place_us(at_s: float) -> int:
    """The desk tells whole seconds. The end of that second: rooms whose webhooks came in it stay before."""
    return int(at_s * 1e6) + (999_999 if at_s == int(at_s) else 0)
