"""A short day in a browser, walked at random: pages show what fresh ones would. The long one: `./scripts/day`."""

import pytest

from testbed.walk.day import Sizes, day

SHORT = Sizes(agents=2, supervisors=0, customers=2, sidecars=1, workers=0, lost_s=(0.3, 2), all_every=100)


@pytest.mark.timeout(300)
def test_agents_and_customers_walk_and_their_pages_stay_like_fresh_ones(_databases, _redis_databases, browser):
    with day(_databases, _redis_databases, browser, seed=4, sizes=SHORT) as walk:
        for _ in range(4):
            walk.step()
        walk.close()
