"""Our own chat beside a bare aiohttp server in the same run: from one side's send to the other's receipt, a message to
1,000 sockets, 9,000 idle sockets.

The product's sidecar runs with its own defaults over servers with the production's durability; sessions that have their
agents already are put into the database, so no worker is needed. The people are `chat_load`, a process of its own.
"""

import json
import secrets
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import psycopg2
import requests
from psycopg2.extras import execute_values

from db import chat, people
from db.logins import TOKEN_LIFE_S
from db.people import PEOPLE
from scripts.measure.sockets import cpu_s
from scripts.measure.stage import PYTHON, ROOT, START_S, Stage, servers, wait
from testbed.servers import free_port

RATE, ROOMS, SECONDS = 2000, 500, 10.0
SHOPS, AGENTS = 5, 5  # agents of a shop; all of them hear all of their shop
FAN_SOCKETS, FAN_ACCOUNTS, FAN_MESSAGES = 1000, 20, 50
IDLE = 9000
IDLE_LOOK_S = 10.0
PEOPLE_S = 180.0

Figures = dict[str, Any]


class Room(NamedTuple):
    tenant: str
    room: str
    key: str
    agent: int  # its number in `Crowd.agents`


class Agent(NamedTuple):
    tenant: str
    id: str
    token: str


class Crowd(NamedTuple):
    agents: list[Agent]
    rooms: list[Room]


def measure(rounds: int) -> Figures:
    found: Figures = {}
    with servers() as (database_url, redis_url):
        found |= _talks(database_url, redis_url, rounds)
        found |= _fans(database_url, redis_url, rounds)
        found |= _idles(database_url, redis_url)
    return found


# --- from one side to the other


def _talks(database_url: str, redis_url: str, rounds: int) -> Figures:
    found: dict[str, list[Figures]] = {"floor": [], "product": [], "one_tenant": []}
    spread = crowd(database_url, "talk", SHOPS, AGENTS, ROOMS)
    alone = crowd(database_url, "alone", 1, SHOPS * AGENTS, ROOMS)
    for number in range(rounds):
        with floor() as (port, pid):
            found["floor"].append(told(f"talk floor {number + 1}", _talk(port, pid, spread, product=False)))
        for name, people_of in (("product", spread), ("one_tenant", alone)):
            with sidecar(database_url, redis_url) as (port, pid):
                found[name].append(told(f"talk {name} {number + 1}", _talk(port, pid, people_of, product=True)))
    medians = {f"talk_{name}": _median(figures) for name, figures in found.items()}
    ratio = medians["talk_product"]["p99_ms"] / medians["talk_floor"]["p99_ms"]
    return {**medians, "talk_ratio": round(ratio, 2)}


def _talk(port: int, pid: int, crowd: Crowd, product: bool) -> Figures:
    customers = [{"path": customer_path(room, product), "room": room.room, "agent": room.agent} for room in crowd.rooms]
    plan = {"kind": "talk", "rate": RATE, "seconds": SECONDS, "acks": product, "customers": customers}
    cpu = cpu_s(pid)
    found = run_people({**plan, "port": port, "agents": [agent_of(agent, product) for agent in crowd.agents]})
    return {**found, "server_cpu_s": round(cpu_s(pid) - cpu, 1)}


# --- to all


def _fans(database_url: str, redis_url: str, rounds: int) -> Figures:
    found: dict[str, list[Figures]] = {"floor": [], "product": []}
    few = crowd(database_url, "fan", 1, FAN_ACCOUNTS, 1)
    many = Crowd([few.agents[n % FAN_ACCOUNTS] for n in range(FAN_SOCKETS)], few.rooms)
    for number in range(rounds):
        with floor() as (port, _):
            found["floor"].append(told(f"fan floor {number + 1}", _fan(port, many, product=False)))
        with sidecar(database_url, redis_url) as (port, _):
            found["product"].append(told(f"fan product {number + 1}", _fan(port, many, product=True)))
    medians = {f"fan_{name}": _median(figures) for name, figures in found.items()}
    return {**medians, "fan_ratio": round(medians["fan_product"]["p50_ms"] / medians["fan_floor"]["p50_ms"], 2)}


def _fan(port: int, crowd: Crowd, product: bool) -> Figures:
    (room,) = crowd.rooms
    customers = [{"path": customer_path(room, product), "room": room.room, "agent": 0}]
    agents = [agent_of(agent, product) for agent in crowd.agents]
    return run_people({"kind": "fan", "messages": FAN_MESSAGES, "port": port, "customers": customers, "agents": agents})


# --- silent


def _idles(database_url: str, redis_url: str) -> Figures:
    silent = crowd(database_url, "idle", 10, 1, IDLE)
    with floor() as (port, pid):
        bare = told("idle floor", _idle(port, pid, silent, product=False))
    with sidecar(database_url, redis_url) as (port, pid):
        product = told("idle product", _idle(port, pid, silent, product=True))
    ratio = product["kib_a_socket"] / bare["kib_a_socket"]
    return {"idle_floor": bare, "idle_product": product, "idle_ratio": round(ratio, 2)}


def _idle(port: int, pid: int, crowd: Crowd, product: bool) -> Figures:
    customers = [{"path": customer_path(room, product)} for room in crowd.rooms]
    plan = {"kind": "idle", "greeted": product, "port": port, "customers": customers}
    before, began = _rss_at_rest_kib(pid), time.monotonic()
    with people_at_work(plan) as process:
        assert process.stdin and process.stdout
        if process.stdout.readline() != "open\n":
            raise RuntimeError("the sockets did not open")
        took_s = time.monotonic() - began
        time.sleep(2)  # what opening left behind is done
        cpu, memory = cpu_s(pid), _rss_kib(pid)
        time.sleep(IDLE_LOOK_S)
        cpu_share = (cpu_s(pid) - cpu) / IDLE_LOOK_S
        process.stdin.close()
        found = json.loads(process.stdout.readline())
    per_socket = (memory - before) / len(customers)
    return {
        **found,
        "kib_a_socket": round(per_socket, 1),
        "opened_in_s": round(took_s, 1),
        "cpu_when_idle": f"{cpu_share:.0%}",
    }


# --- who and what


def crowd(database_url: str, name: str, tenants: int, agents: int, rooms: int, at_work: int | None = None) -> Crowd:
    """Sessions that have an agent, evenly spread. `agents`: of each tenant; `at_work`: only so many have sessions."""
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cur:
            hired = [_hire(cur, f"{name}{t}", n) for t in range(tenants) for n in range(agents)]
            given = [_room(hired, n % (at_work or len(hired))) for n in range(rooms)]
            names = sorted({agent.tenant for agent in hired})
            sql = "INSERT INTO customers (tenant, email, name) VALUES %s RETURNING tenant, id"
            customers = dict(execute_values(cur, sql, [(name, "budi@mail.test", "Budi") for name in names], fetch=True))
            rows = [
                (r.tenant, r.room, chat.digest(r.key), customers[r.tenant], "Budi", "active", hired[r.agent].id)
                for r in given
            ]
            sql = "INSERT INTO sessions (tenant, room, key_digest, customer, customer_name, status, agent) VALUES %s"
            execute_values(cur, sql, rows)
    finally:
        conn.close()
    return Crowd(hired, given)


def _hire(cur: Any, tenant: str, number: int) -> Agent:
    cur.execute(
        "INSERT INTO tenants (id, desk, base_url, secret_key) VALUES (%s, 'native', '', '') ON CONFLICT DO NOTHING",
        (tenant,),
    )
    agent, token = f"a{secrets.token_hex(5)}", secrets.token_urlsafe(32)
    cur.execute("INSERT INTO agents (tenant, id, name) VALUES (%s, %s, %s)", (tenant, agent, f"agent {number}"))
    cur.execute(
        "INSERT INTO accounts (tenant, agent, email, name, password_hash) VALUES (%s, %s, %s, %s, '')",
        (tenant, agent, f"agent{number}@{tenant}.test", f"agent {number}"),
    )
    digest = people.token_digest(token)
    PEOPLE.run(cur, "put_token", digest=digest, tenant=tenant, agent=agent, life_s=TOKEN_LIFE_S)
    return Agent(tenant, agent, token)


def _room(agents: Sequence[Agent], number: int) -> Room:
    return Room(agents[number].tenant, chat.new_room(), chat.new_key(), number)


def customer_path(room: Room, product: bool) -> str:
    return f"/ws/public/{room.key}" if product else f"/floor?tenant={room.tenant}&room={room.room}"


def agent_of(agent: Agent, product: bool) -> dict[str, str]:
    return {"path": "/ws" if product else f"/floor?tenant={agent.tenant}", "token": agent.token}


# --- processes


@contextmanager
def sidecar(database_url: str, redis_url: str, **env: str) -> Iterator[tuple[int, int]]:
    """Its port and its process id; with the product's own defaults."""
    port = free_port()
    with Stage(database_url, redis_url, {"CHAT_PORT": str(port), **env}) as stage:
        process = stage.start([PYTHON, "-m", "sidecar"])
        wait(lambda: _is_ready(port))
        yield port, process.pid


@contextmanager
def floor() -> Iterator[tuple[int, int]]:
    """The same of the floor's server."""
    port = free_port()
    process = subprocess.Popen([PYTHON, "-m", "scripts.measure.chat_floor", str(port)], cwd=ROOT)
    try:
        wait(lambda: _is_ready(port))
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(START_S)


def _is_ready(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 2):
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200


@contextmanager
def people_at_work(plan: Figures) -> Iterator["subprocess.Popen[str]"]:
    command = [PYTHON, "-m", "scripts.measure.chat_load"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
        yield process
        process.wait(PEOPLE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_people(plan: Figures) -> Figures:
    with people_at_work(plan) as process:
        assert process.stdout
        said = process.stdout.readline()
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}")
    found: Figures = json.loads(said)
    return found


def _rss_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4


def _rss_at_rest_kib(pid: int) -> int:
    """What its start took for a moment is given back: a password hash alone has 64 MiB."""
    known = _rss_kib(pid)
    for _ in range(20):
        time.sleep(0.5)
        last, known = known, _rss_kib(pid)
        if last == known:
            break
    return known


def told(what: str, figures: Figures) -> Figures:
    click.echo(f"  {what}: {', '.join(f'{name} {value}' for name, value in figures.items())}", err=True)
    return figures


def _median(rounds: Sequence[Figures]) -> Figures:
    """Of each figure; counts that differ (what was sent and what came) stay visible as they are all there is."""
    return {
        name: round(statistics.median(figures[name] for figures in rounds), 1)
        if isinstance(value, float)
        else min(figures[name] for figures in rounds)
        for name, value in rounds[0].items()
    }
