"""What somebody else wrote into Redis: our keys made into something else, entries that no receiver made. Whatever it
was, rooms are served again within seconds."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from db.inbox import INSTALLATION, TENANTS, UNSORTED, key
from db.upkeep import TYPES
from testbed.house import House, street

LIMIT = 2


@pytest.fixture(scope="module")
def _home(_databases: Any, _redis_databases: Any) -> Iterator[House]:
    with street(_databases, _redis_databases, DESK_LAG_SECONDS="1", IDLE_SECONDS="3") as made:
        yield made


@pytest.fixture
def home(_home: House) -> Iterator[House]:
    yield _home
    _home.forget_tenants()


def a_list(client: Any, name: str) -> None:
    client.delete(name)
    client.lpush(name, "x")


def a_text(client: Any, name: str) -> None:
    client.set(name, "\u2028{[")


def a_hash(client: Any, name: str) -> None:
    client.delete(name)
    client.hset(name, "*", "no number")


MADE: dict[str, Callable[[Any, str], None]] = {"list": a_list, "text": a_text, "hash": a_hash}
OURS = [*TYPES, TENANTS, UNSORTED, INSTALLATION, "rq:queue:giliran", "rq:queues", "rq:workers"]


@pytest.mark.long
@pytest.mark.parametrize("into", ["list", *(pytest.param(n, marks=pytest.mark.long) for n in ("text", "hash"))])
def test_keys_of_ours_made_into_something_else_stop_nobody_for_long(home: House, into: str) -> None:
    """All at once, while customers wait, and a second tenant goes on."""
    tenant, other = home.new_tenant("odd", agents=4), home.new_tenant("other", agents=4)
    tenant.sim.add_customers(4)
    tenant.until_states(20, held=4)
    for name in OURS:
        MADE[into](home.redis, key(tenant.id, name) if name in TYPES else name)
    for each in (tenant, other):
        each.sim.add_customers(4)
    tenant.until(lambda: tenant.states().get("held") == 8, 40, "all are served")
    other.until(lambda: other.states().get("held") == 4, 40, "all are served")
    for each in (tenant, other):
        each.judge(LIMIT, in_order=False)


ODD: list[dict[str, str]] = [
    {"x": "y"},
    {"kind": "arrived"},
    {"kind": "dancing", "room": "r1"},
    {"kind": "arrived", "room": "a\0b"},
    {"kind": "arrived", "room": "x" * 100_000},
    {"kind": "arrived", "room": "r2", "latest": "soon"},
    {"kind": "arrived", "room": "r3", "latest": "9" * 400},
    {"kind": "resolved", "room": "r4", "service": "-1e999"},
    {"kind": "arrived", "room": "r5", "at": "yesterday"},
    {"kind": "arrived", "room": "r6", "at": "99999999999999999999-1"},
    {"kind": "arrived", "room": "r7", "class": "\u202e" * 10_000},
]


@pytest.mark.long
def test_entries_that_no_receiver_made_hold_up_nobody_behind_them(home: House) -> None:
    tenant = home.new_tenant("entries", agents=4)
    tenant.sim.add_customers(1)
    tenant.until_states(20, held=1)
    for fields in ODD:
        home.redis.xadd(key(tenant.id, "inbox"), fields)  # type: ignore[arg-type]
        home.redis.xadd(UNSORTED, {"tenant": tenant.id, "named": "1", "open": "1", **fields})
    (customer,) = tenant.sim.add_customers(1)
    tenant.until(lambda: tenant.states().get("held", 0) >= 2, 20, "who came behind them is served")
    home.until(lambda: home.redis.xlen(key(tenant.id, "inbox")) == 0, 20, "nothing is left in the inbox")
    home.until(lambda: home.redis.xlen(UNSORTED) == 0, 20, "nothing is left unsorted")
    assert customer
