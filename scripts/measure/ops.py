"""Supervisors' pages over a busy tenant: 2,000 rooms wait, 500 agents have their pages open, 40 decisions a second.

What five pages cost a sidecar beside the same seconds without them, how many bytes a second a page is sent, and the
longest piece of work of each view's page, in Chromium's own trace.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
from playwright.sync_api import Browser, Page, expect

from db import chat, people
from db.logins import TOKEN_LIFE_S
from db.people import PEOPLE
from scripts.measure.chat import Agent, Figures, agent_of, crowd, people_at_work, told
from scripts.measure.sockets import cpu_s
from scripts.measure.stage import PYTHON, Stage, servers, wait
from scripts.measure.turnover import Turnover
from testbed.chromium import chromium
from testbed.servers import free_port

AGENTS, LIMIT, WAITING, RATE = 500, 2, 2000, 40.0
VIEWS = ("now", "queue", "agents", "decisions", "charts")
LOOK_S, TRACE_S, SETTLE_S = 20.0, 10.0, 3.0
WORK = "RunTask"  # of the trace: one piece of work of a thread; a frame waits for it
OPEN_S = 60_000  # milliseconds that a page may take on a busy machine
SCROLL = """() => { const sheet = document.querySelector('#queue-sheet');
  let at = 0; setInterval(() => { at += 37; sheet.scrollTop = at % (sheet.scrollHeight || 1) }, 30) }"""


def measure(rounds: int) -> Figures:
    found: Figures = {}
    with servers() as (database_url, redis_url), _desk(database_url, redis_url) as (port, pid, boss, turnover):
        with chromium() as browser:
            turnover.start(RATE)
            time.sleep(SETTLE_S)
            for number in range(rounds):
                found |= {
                    f"{name}_{number + 1}": value for name, value in _cost(browser, port, pid, boss, turnover).items()
                }
            for view in VIEWS:
                found[f"longest_{view}"] = told(f"longest work, {view}", _traced(browser, port, boss, view))
        found["requests_failed"] = turnover.failed
    return found


@contextmanager
def _desk(database_url: str, redis_url: str) -> Iterator[tuple[int, int, Agent, Turnover]]:
    """A sidecar and a worker; every seat is taken, and the rest waits."""
    made = crowd(database_url, "ops", 1, AGENTS, 0)
    boss = _supervisor(database_url, made.agents[0].tenant)
    port = free_port()
    env = {
        "CHAT_PORT": str(port),
        "SESSIONS_PER_MINUTE": "1000000",
        "MAX_AGENT_CHAT": str(LIMIT),
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    with Stage(database_url, redis_url, env) as stage:
        process = stage.start([PYTHON, "-m", "sidecar"])
        stage.start_worker()
        plan = {"kind": "hear", "port": port, "agents": [agent_of(agent, True) for agent in made.agents]}
        with people_at_work(plan) as pages, Turnover(port, boss.tenant) as turnover:
            assert pages.stdin and pages.stdout
            if pages.stdout.readline() != "open\n":
                raise RuntimeError("the agents' sockets did not open")
            turnover.fill(AGENTS * LIMIT + WAITING)
            wait(lambda: _waiting(database_url) == WAITING)
            yield port, process.pid, boss, turnover
            pages.stdin.close()


def _supervisor(database_url: str, tenant: str) -> Agent:
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cur:
            boss = people.add_account(cur, tenant, "boss@mail.test", "Boss", "", "supervisor")
            token = secrets.token_urlsafe(32)
            digest = people.token_digest(token)
            PEOPLE.run(cur, "put_token", digest=digest, tenant=tenant, agent=boss, life_s=TOKEN_LIFE_S)
            return Agent(tenant, boss, token)
    finally:
        conn.close()


def _waiting(database_url: str) -> int:
    conn = psycopg2.connect(database_url)
    try:
        with conn, conn.cursor() as cur:
            cur.execute("SELECT id FROM visits WHERE state = 'waiting' AND class = %s", (chat.CLASS,))
            return len(cur.fetchall())
    finally:
        conn.close()


# --- what five pages cost


def _cost(browser: Browser, port: int, pid: int, boss: Agent, turnover: Turnover) -> Figures:
    without = told("without pages", _used(pid, turnover))
    with _pages(browser, port, boss, VIEWS) as pages:
        sent = {view: _weighed(page) for view, page in pages.items()}
        time.sleep(0.1)
        pages_at_work = _used(pid, turnover, pages)
    used = told("with five pages", pages_at_work)
    each = {view: round(sum(sizes) / LOOK_S / 1000, 1) for view, sizes in sent.items()}
    ratio = round(used["cpu_s"] / without["cpu_s"], 2)
    return {"without": without, "with": used, "kb_a_second": told("KB a second", each), "ratio": ratio}


def _used(pid: int, turnover: Turnover, pages: Mapping[str, Page] | None = None) -> Figures:
    cpu, went = cpu_s(pid), turnover.went
    _look_on(LOOK_S, pages)
    return {"cpu_s": round(cpu_s(pid) - cpu, 2), "decisions_a_second": round((turnover.went - went) / LOOK_S, 1)}


def _look_on(seconds: float, pages: Mapping[str, Page] | None) -> None:
    """What a page is sent is only counted while somebody asks it something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.5)
        for page in (pages or {}).values():
            page.evaluate("0")


def _weighed(page: Page) -> list[int]:
    """The sizes of the frames that it is sent from now on."""
    sizes: list[int] = []
    devtools = page.context.new_cdp_session(page)
    devtools.on("Network.webSocketFrameReceived", lambda said: sizes.append(len(said["response"]["payloadData"])))
    devtools.send("Network.enable")
    return sizes


@contextmanager
def _pages(browser: Browser, port: int, boss: Agent, views: tuple[str, ...]) -> Iterator[dict[str, Page]]:
    contexts = []
    pages = {}
    for view in views:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}))
        page = pages[view] = contexts[-1].new_page()
        page.add_init_script(f"sessionStorage.setItem('giliran-agent', {json.dumps(boss.token)})")
        page.goto(f"http://127.0.0.1:{port}/ops#{view}")
        expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=OPEN_S)
    time.sleep(SETTLE_S)
    try:
        yield pages
    finally:
        for context in contexts:
            context.close()


# --- frames


def _traced(browser: Browser, port: int, boss: Agent, view: str) -> Figures:
    """Of one page alone: beside it nothing else of the browser works on these cores."""
    with _pages(browser, port, boss, (view,)) as pages:
        page = pages[view]
        if view == "queue":
            page.evaluate(SCROLL)
        browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline", "__metadata"])
        _look_on(TRACE_S, pages)
        events = json.loads(browser.stop_tracing())["traceEvents"]
    main = {(each["pid"], each["tid"]) for each in events if _names_main_thread(each)}
    works = sorted(
        each["dur"] / 1000
        for each in events
        if each["name"] == WORK and (each["pid"], each["tid"]) in main and "dur" in each
    )
    over = sum(ms > 50 for ms in works)
    return {"longest_ms": round(works[-1], 1) if works else None, "pieces": len(works), "over_50_ms": over}


def _names_main_thread(event: Mapping[str, Any]) -> bool:
    return event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
