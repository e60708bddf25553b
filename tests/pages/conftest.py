"""One browser and one sidecar for all pages of a test process; each test finds their shop empty."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from db.inbox import limit_key
from testbed.agentpages import Desk, desks
from testbed.chathouse import Shop, page_shop
from testbed.chatpages import Agent, opening
from testbed.chromium import chromium
from testbed.opspages import Ops, supervising
from testbed.servers import free_port

expect.set_options(timeout=20_000)  # what is asked for each 10 s; and a machine that is busy is slow


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="package")
def site_port() -> int:
    """Of somebody's site, which may use the widget."""
    return free_port()


@pytest.fixture(scope="package")
def home(_databases, _redis_databases, site_port: int) -> Iterator[Shop]:
    origin = f"http://127.0.0.1:{site_port}"
    with page_shop(_databases, _redis_databases, ALLOWED_ORIGINS=origin, UPLOAD_MAX_MB="1") as made:
        yield made


@pytest.fixture
def shop(home: Shop) -> Shop:
    """Nobody waits, everybody has a free hand, and it is the only tenant: no page need be told which."""
    home.empty()
    home.home.forget_others(home)
    return home


@pytest.fixture
def served_shop(shop: Shop) -> Iterator[Shop]:
    """The same with a worker; an agent has one chat at most."""
    with shop.home.house.worker():
        shop.home.house.redis.set(limit_key(shop.id), 1)
        yield shop


@pytest.fixture
def desk(browser: Browser, shop: Shop) -> Iterator[Callable[..., Desk]]:
    """`desk("agent@demo.com")`: a page with somebody signed in. No worker runs, so nothing comes by itself."""
    with desks(browser, shop) as made:
        yield made


@pytest.fixture
def ops(browser: Browser, shop: Shop) -> Iterator[Callable[..., Ops]]:
    """`ops("supervisor@demo.com")`: the supervisors' page with somebody signed in; `ops(None)`: nobody."""
    shop.home.run("DELETE FROM audit")
    with supervising(browser, shop) as made:
        yield made


@pytest.fixture
def opened(browser: Browser, shop: Shop) -> Iterator[Callable[..., Page]]:
    """`opened("/chat?tenant=shop")`: a page."""
    with opening(browser, shop) as made:
        yield made


@pytest.fixture
def agent(shop: Shop) -> Agent:
    """Works without a page."""
    return Agent(shop)
