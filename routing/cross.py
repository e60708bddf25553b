"""Pure: whether the parts of a rules file fit together: names that must exist, rules that can never decide.

Comes after file.py has read each part by itself.
"""

from collections.abc import Iterator

from routing.faults import At, shown, suggestion
from routing.model import Agents, Queue, Rules, Topic
from routing.texts import KEYS_MAX, fold
from routing.when import When


def check(rules: Rules, at: At) -> None:
    _check_queues_exist(rules, at)
    _check_queues_are_reached(rules, at)
    _check_rule_names(rules, at)
    _check_labels(rules.topics, at / "topics")
    _check_properties(rules, at)
    _warn_of_shadows(rules, at)
    _warn_without_hours(rules, at)
    for queue in rules.queues.values():
        _warn_of_queue(queue, at / "queues" / queue.name)


def _named(rules: Rules, at: At) -> Iterator[tuple[str, At]]:
    """Each mention of a queue that could be read."""
    for key in ("rules", "topics"):
        for number, one in enumerate(getattr(rules, key)):
            yield one.queue, at / key / number / "queue"
    yield rules.default or "", at / "default" / "queue"


def _check_queues_exist(rules: Rules, at: At) -> None:
    for name, place in _named(rules, at):
        if name and name not in rules.queues:
            place.fault(f"there is no queue '{shown(name)}'", suggestion(name, rules.queues))


def _check_queues_are_reached(rules: Rules, at: At) -> None:
    reached = {name for name, _ in _named(rules, at)}
    for name in rules.queues:
        if name not in reached:
            (at / "queues" / name).fault(
                "no rule, no topic and no default leads to this queue", "name it in one of them, or take it out"
            )


def _check_rule_names(rules: Rules, at: At) -> None:
    seen: dict[str, int] = {}
    for number, rule in enumerate(rules.rules):
        first = seen.setdefault(fold(rule.name), number)
        if rule.name and first != number:
            place = at / "rules" / number / "name"
            line = (at / "rules" / first).line
            place.fault(f"another rule is called '{shown(rule.name)}' (line {line})", "names tell rules apart")


def _check_labels(topics: tuple[Topic, ...], at: At) -> None:
    seen: set[str] = set()
    for number, topic in enumerate(topics):
        labels = {fold(text) for text in topic.label.values()}
        if twice := sorted(labels & seen):
            (at / number / "label").fault(f"another topic is called '{shown(twice[0])}'", "labels tell topics apart")
        seen |= labels


def _check_properties(rules: Rules, at: At) -> None:
    keys: set[str] = set()
    for number, rule in enumerate(rules.rules):
        for key in rule.when.properties:
            if key not in keys and len(keys) == KEYS_MAX:
                place = at / "rules" / number / "when" / "property"
                place.fault(f"names one property more than {KEYS_MAX}", f"{KEYS_MAX} are kept of an arrival")
                return
            keys.add(key)


def _warn_of_shadows(rules: Rules, at: At) -> None:
    for number, rule in enumerate(rules.rules):
        for before, earlier in enumerate(rules.rules[:number]):
            if earlier.when.covers(rule.when):
                line = (at / "rules" / before).line
                text = f"never decides: '{shown(earlier.name)}' (line {line}) fits all that it fits, and comes first"
                (at / "rules" / number).warn(text, "put the narrower rule first")
                break
    if rules.default and any(rule.when == When() for rule in rules.rules):
        (at / "default").warn("never decides: a rule fits everybody", "take one of them out")


def _warn_without_hours(rules: Rules, at: At) -> None:
    if rules.hours is not None:
        return
    if rules.messages.closed is not None:
        (at / "messages" / "closed").warn("is never sent without [hours]", "add [hours], or take it out")
    for number, rule in enumerate(rules.rules):
        if rule.when.hours:
            (at / "rules" / number / "when" / "hours").warn("without [hours] it is always open", "add [hours]")


def _warn_of_queue(queue: Queue, at: At) -> None:
    if queue.limit == 0:
        (at / "limit").warn("pauses the queue", "nobody is given a room of it")
    lifted, able = queue.priority, [queue.agents]
    for number, step in enumerate(queue.steps):
        place = at / "steps" / number
        if step.priority is not None and step.priority <= lifted:
            (place / "priority").warn("has no effect", f"a room of this queue has {lifted} by then, and keeps it")
        if step.agents is not None and any(_includes(each, step.agents) for each in able):
            (place / "agents").warn("adds nobody", "they may serve it already")
        lifted = max(lifted, step.priority if step.priority is not None else lifted)
        able += [step.agents] if step.agents is not None else []


def _includes(wide: Agents, narrow: Agents) -> bool:
    return all(
        set(map(fold, getattr(narrow, key))) <= set(map(fold, getattr(wide, key)))
        for key in ("divisions", "ids", "emails")
    ) and (wide.channel or not narrow.channel)
