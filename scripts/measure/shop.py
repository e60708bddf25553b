"""One tenant at its largest: 500 agents' pages, 2,500 customers who wait, 500 chats.

How many messages a second a sidecar carries, with typing and marks, and how many a bare aiohttp server that passes the
frames on to the same sockets.

Every agent's page hears everything of its tenant: a message is five hundred frames, its typing and marks as many again.
"""

import time
from typing import Any

import psycopg2
import requests
from psycopg2.extras import execute_values

from db import chat
from scripts.measure.chat import Agent, Crowd, Figures, agent_of, crowd, customer_path, floor, run_people, sidecar, told
from scripts.measure.stage import servers

AGENTS, AT_WORK, CHATS, WAITING = 500, 25, 500, 2500
RATES = (30, 60, 120, 250, 500, 750, 1000)
SECONDS, MOST_MS = 6.0, 100


def measure(rounds: int) -> Figures:
    found: Figures = {}
    with servers() as (database_url, redis_url):
        shop = _shop(database_url)
        for number in range(rounds):
            with floor() as (port, pid):
                found[f"floor_{number + 1}"] = _carried("floor", port, pid, shop, product=False)
            with sidecar(database_url, redis_url) as (port, pid):
                found[f"product_{number + 1}"] = _carried("product", port, pid, shop, product=True)
                found[f"load_{number + 1}"] = told("an agent's first load", _load(port, shop.agents[0]))
    return found


def _shop(database_url: str) -> Crowd:
    """Chats are spread over the first `AT_WORK` agents; the other pages only hear."""
    made = crowd(database_url, "shop", 1, AGENTS, CHATS, at_work=AT_WORK)
    _wait_in_line(database_url, made.agents[0].tenant)
    return made


def _wait_in_line(database_url: str, tenant: str) -> None:
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cur:
            emails = [(tenant, f"w{n}@mail.test", f"Waiting {n}") for n in range(WAITING)]
            sql = "INSERT INTO customers (tenant, email, name) VALUES %s RETURNING id, name"
            rows = execute_values(cur, sql, emails, fetch=True)
            sessions = [(tenant, chat.new_room(), chat.digest(chat.new_key()), *row, "waiting") for row in rows]
            sql = "INSERT INTO sessions (tenant, room, key_digest, customer, customer_name, status) VALUES %s"
            execute_values(cur, sql, sessions)
    finally:
        conn.close()


def _carried(name: str, port: int, pid: int, shop: Crowd, product: bool) -> dict[str, Any]:
    customers = [{"path": customer_path(room, product), "room": room.room, "agent": room.agent} for room in shop.rooms]
    agents = [agent_of(agent, product) for agent in shop.agents]
    plan = {"kind": "shop", "server": pid, "rates": RATES, "rate": RATES[0], "seconds": SECONDS, "most_ms": MOST_MS}
    rates = run_people({**plan, "port": port, "agents": agents, "customers": customers})["rates"]
    for figures in rates:
        told(f"shop {name}", figures)
    carried = [
        one for one in rates if one["p99_ms"] <= MOST_MS and one["received"] == one["sent"] and not one["closed"]
    ]
    return {"carried_a_second": carried[-1]["rate"] if carried else 0, **(carried or rates)[-1]}


def _load(port: int, agent: Agent) -> dict[str, Any]:
    """What an agent's page asks for when it opens."""
    ask = requests.Session()
    ask.headers["Authorization"] = f"Bearer {agent.token}"
    began, number, size = time.monotonic(), 0, 0
    for path in ("me", "agents", "queue", "canned", "sessions?status=active&mine=1", "sessions?status=active"):
        more: dict[str, str] | None = {}
        while more is not None:
            answer = ask.get(f"http://127.0.0.1:{port}/api/v1/{path}", params=more, timeout=30)
            answer.raise_for_status()
            number, size = number + 1, size + len(answer.content)
            cursor = answer.json().get("next")
            more = {"cursor": cursor} if cursor else None
    return {"requests": number, "kb": round(size / 1000), "ms": round(1000 * (time.monotonic() - began))}
