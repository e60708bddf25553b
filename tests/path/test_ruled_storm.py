"""The storm over a tenant with rules in small: nobody is killed, the rules close and open, and everything is judged."""

import pytest

from scripts.storms import ruled, ruled_plan
from scripts.storms.ruled_world import Sizes
from scripts.storms.stage import Verdict
from testbed.house import street

SIZES = Sizes(rooms=150, agents=40, queues=20, rules=50)
SECONDS = 15.0


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rooms_are_given_as_the_rules_say_while_rules_divisions_and_agents_change(
    _databases, _redis_databases, seed: int
) -> None:
    verdict = Verdict()
    with street(_databases, _redis_databases, **ruled.ENVIRONMENT) as home:
        storm = ruled.Ruled(home, seed, SECONDS, SIZES, verdict, lambda *_: None)
        storm.blow(ruled_plan.plan(seed, SECONDS, SIZES, kills=False))
    assert not verdict.broken
    assert verdict.facts["seats"] >= SIZES.rooms * 0.9
    assert set(verdict.facts["by_version"]) == {1, 3}, "while the second version is in force we are closed"
