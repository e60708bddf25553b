"""Who of the agents is here, in PostgreSQL: a row for each agent and sidecar with a page of theirs, which counts while
it is renewed. After `people`, which has the accounts; the SQL is in `queries/people.sql`.

`settle` writes under the tenant's lock what follows from the rows, so that the worker believes it at once.
"""

import logging
from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

import logs
from db import chat
from db.announce import News
from db.people import PEOPLE, Agent
from db.turn import Turn

log = logging.getLogger("db.presence")

LIFE_S = 25.0  # of a row that is not renewed
POLL_S = 75.0  # browsers let a page that was hidden for long ask once a minute
OFFLINE = "offline"

Who = tuple[str, str]  # tenant, agent


def of(cur: cursor, tenant: str, agent: str) -> str:
    """`online`, `away` or `offline`."""
    row = PEOPLE.one(cur, "presence", tenant=tenant, agent=agent)
    return row.presence if row else OFFLINE


def beat(cur: cursor, sidecar: str, life_s: float, who: Sequence[Who]) -> None:
    """This sidecar lives, and so do the pages that these have there. Since when without a gap, is known: who did not
    beat for so long starts anew."""
    PEOPLE.run(cur, "beat", sidecar=sidecar, life_s=life_s)
    renew(cur, sidecar, life_s, who)


def renew(cur: cursor, sidecar: str, life_s: float, who: Sequence[Who]) -> None:
    """These have a page there, for a while longer."""
    if who:
        tenants, agents = [tenant for tenant, _ in who], [agent for _, agent in who]
        PEOPLE.run(cur, "present", tenants=tenants, agents=agents, sidecar=sidecar, life_s=life_s)


def forget_sidecars(cur: cursor) -> None:
    """Those that have not beaten for long."""
    PEOPLE.run(cur, "forget_sidecars")


def leave_all(cur: cursor, sidecar: str) -> None:
    """It stops: nobody has a page there."""
    PEOPLE.run(cur, "leave_all", sidecar=sidecar)


def write(turn: Turn, came: Sequence[Who], went: Sequence[Who], sidecar: str, life_s: float, retry_s: float) -> None:
    """Of one tenant, whose first page there opened, whose last one closed; and what follows."""
    if came:
        beat(turn.cur, sidecar, life_s, came)
    if went:
        PEOPLE.run(turn.cur, "leave", tenant=turn.tenant, agents=[agent for _, agent in went], sidecar=sidecar)
    settle(turn, retry_s, [agent for _, agent in (*came, *went)])


def wish(turn: Turn, agent: Agent, wish: str, retry_s: float) -> str:
    """`online` or `away`, as the agent says; the presence that follows, which is told in any case."""
    who = {"tenant": turn.tenant, "agent": agent.agent_id}
    PEOPLE.run(turn.cur, "wish", wish=wish, **who)
    settle(turn, retry_s, [agent.agent_id])
    presence = of(turn.cur, **who)
    if agent.agent_id not in {news.payload["agent_id"] for news in turn.news}:
        turn.news.append(_news(agent.agent_id, agent.name, presence))
    return presence


def settle(turn: Turn, retry_s: float, agents: list[str] | None = None) -> None:
    """What follows from the rows of presence, for these agents or for all. `retry_s`: how long a worker believes a
    roster."""
    cur, tenant = turn.cur, turn.tenant
    PEOPLE.all(cur, "lock_agents", tenant=tenant, agents=agents)
    found = PEOPLE.all(cur, "settle", tenant=tenant, agents=agents)
    if agents is None:
        PEOPLE.run(cur, "forget_absent", tenant=tenant)
    moved = [row for row in found if row.moved]
    if moved:
        _put_roster(turn, [row.agent for row in moved if row.available], retry_s)
        turn.agents.update(row.agent for row in moved)
        turn.wake = True
    for row in found:
        log.info(logs.line("presence", tenant=tenant, agent=row.agent, now=row.presence))
        turn.news.append(_news(row.agent, row.name, row.presence))


def doubtful(cur: cursor) -> set[str]:
    """Tenants where what is written of some agent is not what is so."""
    return {row.tenant for row in PEOPLE.all(cur, "doubtful")}


def forsaken(cur: cursor, most: int, tenant: str | None = None, room: str | None = None, **times: float) -> list[Any]:
    """(tenant, room, agent) of chats whose agent has been away for too long. `times`: grace_s, reassign_s, life_s."""
    return PEOPLE.all(cur, "forsaken", tenant=tenant, room=room, most=most, **times)


def _put_roster(turn: Turn, came: list[str], retry_s: float) -> None:
    """As if the worker had asked the desk just now. Whoever is available was named when they came, so only those who
    came now are new; who is not available may be named or not."""
    turn.run("put_roster", class_=chat.CLASS, age_s=0.0, asked_s=0.0, again_s=retry_s, missing=[])
    if came:
        turn.run("put_eligible", class_=chat.CLASS, agents=came)
    if turn.row.rules_version:
        turn.run("hasten_queues")


def _news(agent: str, name: str, presence: str) -> News:
    return News(None, "chat.presence", {"agent_id": agent, "name": name, "presence": presence}, "agents")
