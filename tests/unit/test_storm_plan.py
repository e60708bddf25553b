"""What a storm will do: the same seed makes the same plan, and whatever an act begins it ends in time."""

from collections import Counter

from scripts.storms.acts import ACTS
from scripts.storms.plan import REST_S, plan
from tests.variants import each

NAMES = list(ACTS)


def test_a_seed_repeats_its_plan_whatever_the_order_of_the_names():
    assert plan(7, 45, NAMES, 400) == plan(7, 45, NAMES[::-1], 400)
    assert plan(7, 45, NAMES, 400) != plan(8, 45, NAMES, 400)


def test_fewer_acts_leave_the_customers_as_they_are():
    every, few = ([s for s in plan(7, 45, names, 400) if not s.number] for names in (NAMES, NAMES[:3]))
    assert every == few
    assert abs(sum(step.how.get("count", 0) for step in every) - 400) < 40


def test_every_act_is_drawn_in_some_of_the_first_seeds():
    drawn = {step.act for seed in range(1, 11) for step in plan(seed, 45, NAMES, 400)}
    assert drawn - {""} == set(ACTS)


@each("seed", range(1, 6))
def test_what_begins_ends_before_the_storm_does_and_no_two_have_the_same_thing_to_themselves(seed):
    steps = [step for step in plan(seed, 45, NAMES, 400) if step.number]
    assert all(step.at_s <= 45 for step in steps if step.deed.endswith(" ends"))
    begun = Counter(step.deed for step in steps)
    assert all(begun[deed.removesuffix(" ends")] == n for deed, n in begun.items() if deed.endswith(" ends"))
    until: dict[str, float] = {}
    for number in sorted({step.number for step in steps}):
        own = [step for step in steps if step.number == number]
        if uses := ACTS[own[0].act].uses:
            assert own[0].at_s >= until.get(uses, 0)
            until[uses] = max(step.at_s for step in own) + REST_S
