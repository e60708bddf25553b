"""Two agents walk through their pages at random: each page shows what a fresh one would. See tests/agentwalk.py."""

from collections.abc import Iterator

import pytest

from tests.agentwalk import Walk
from tests.chathouse import Shop, page_shop


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[Shop]:
    with page_shop(_databases, _redis_databases, MAX_AGENT_CHAT="20") as made:
        yield made


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1])
def test_two_agents_walk_and_their_pages_stay_like_fresh_ones(desk, shop, seed):
    walk = Walk(desk, shop, seed)
    for _ in range(6):
        walk.step()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [2, 3])
def test_two_agents_walk_for_two_hundred_steps(desk, shop, seed):
    walk = Walk(desk, shop, seed)
    for _ in range(200):
        walk.step()
    print(f"seed {seed}: {dict(walk.counted)}")
