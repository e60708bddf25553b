"""Pure: the text of a rules file → `Rules`, or every fault that it has, each with its line.

Comes first of all: `giliran routing check` and whoever applies a file asks it. What it reads is in model.py; whether
the parts fit together is looked at in cross.py.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from routing import cross, hours_text, when_text
from routing.facts import LANGUAGES, TOPIC
from routing.faults import At, Fault, FaultyRules, Findings, shown, suggestion
from routing.messages import PLACEHOLDER, PLACEHOLDERS, PLAIN
from routing.model import Agents, Messages, Queue, Rule, Rules, Step, Sticky, Topic
from routing.reading import VALUE, Section, duration, flag, kind, listed, tables, text, whole
from routing.texts import fold
from routing.toml_lines import lines
from routing.when import When

BYTES_MAX = 256 * 1024
MESSAGE_MAX, LABEL_MAX, RULE_NAME_MAX = 1000, 80, 80  # characters
PRIORITY_MAX = 1000
QUEUE_LIMIT_MAX = 1000  # as any limit of an agent
RULES_MAX, QUEUES_MAX, STEPS_MAX, TOPICS_MAX = 500, 200, 20, 50  # each rule is compared with each before it
YEAR_S, DAY_S = 365 * 86_400, 86_400
AGAIN_LEAST_S = 30  # a customer who is told more often stops to read

QUEUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
# `tomllib` takes memory by the square of a key's parts.
DEEP_KEY = re.compile(
    r"""(?<![\w.-])(?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*')){32}"""
)
SECTIONS = ("hours", "sticky", "messages", "queues", "rules", "topics", "default")
SERVED_BY = 'say who serves it, agents = { divisions = ["Sales"] } or { channel = true }'
NO_TOML = {  # how tomllib's words begin → what to do
    "Cannot overwrite a value": "a key comes twice",
    "Cannot declare": "a table begins a second time; give the second one another name, or join them",
    "Cannot mutate immutable namespace": "a table in braces ends with its brace: put its keys inside",
    "Expected '=' after a key": "'=' is missing behind a key",
    "Expected newline": "begin a new line behind a value",
    "Invalid initial character for a key": "a key was expected; what stands in braces { } has to be on one line",
    "Invalid value": "a value was expected; texts need quotes",
    "Unclosed array": "a list has no ] at its end",
    "Unclosed inline table": "a table in braces has no } at its end, on the same line",
    "Unterminated string": "a text has no quote at its end",
    "Illegal character": "a character that can't be here; a text ends on its line, unless it begins with three quotes",
}
PRIORITY = whole(-PRIORITY_MAX, PRIORITY_MAX)


@dataclass(frozen=True, slots=True)
class Checked:
    """`rules` is None where there are faults. Both are sorted by line."""

    rules: Rules | None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


def read(content: str | bytes) -> Rules:
    """Raises `FaultyRules`."""
    checked = check(content)
    if checked.rules is None:
        raise FaultyRules(checked.faults)
    return checked.rules


def check(content: str | bytes) -> Checked:
    try:
        source = _decoded(content)
    except FaultyRules as error:
        return Checked(None, error.faults)
    if deep := DEEP_KEY.search(source):
        line = source[: deep.start()].count("\n") + 1
        return Checked(None, (Fault(line, "", "has a key of more than 32 parts", "no known key has more than 5"),))
    try:
        tree = tomllib.loads(source)
        findings = Findings(lines(source))
    except RecursionError:
        return Checked(None, (Fault(1, "", "is nested too deeply"),))
    except ValueError as error:  # also of numbers with thousands of digits
        return Checked(None, (_no_toml(str(error), source),))
    rules = _rules(Section(tree, At(findings), SECTIONS))
    cross.check(rules, At(findings))
    faults = tuple(sorted(findings.faults))
    return Checked(None if faults else rules, faults, tuple(sorted(findings.warnings)))


def _decoded(content: str | bytes) -> str:
    if len(content) > BYTES_MAX:
        raise FaultyRules([Fault(1, "", f"is larger than {BYTES_MAX // 1024} KiB")])
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FaultyRules([Fault(line, "", "is not text in UTF-8", "save it as UTF-8")]) from None


def _no_toml(error: str, source: str) -> Fault:
    """What `tomllib` says, with its line in front. The end of the file is its last line that is not empty."""
    found = re.fullmatch(r"(.*?)(?: \(at (?:line (\d+), column \d+|end of document)\))?", error, re.DOTALL)
    words, line = (found[1], found[2]) if found else (error, None)
    remedy = next((ours for theirs, ours in NO_TOML.items() if words.startswith(theirs)), shown(words, 120))
    return Fault(int(line or source.rstrip().count("\n") + 1), "", "is not valid TOML", remedy)


def _rules(section: Section) -> Rules:
    topics = section.get("topics", _each_topic) or ()
    return Rules(
        hours=_part(section, "hours", ("timezone", "open", "closed", "outside"), hours_text.read),
        sticky=_part(section, "sticky", ("within", "wait"), _sticky),
        messages=_part(section, "messages", ("queued", "again_every", "closed"), _messages) or Messages(),
        queues=section.get("queues", _queues) or {},
        rules=tuple(_in_all_languages(rule, topics) for rule in section.get("rules", _each_rule) or ()),
        topics=topics,
        default=_part(section, "default", ("queue",), lambda part: part.need("queue", VALUE, "name a queue")),
    )


def _part(section: Section, name: str, known: tuple[str, ...], read_part: Any) -> Any:
    if name not in section:
        return None
    return read_part(Section(section.values[name], section.at / name, known, f"begin it with [{name}]"))


def _sticky(section: Section) -> Sticky:
    within = section.need("within", duration(1, YEAR_S), 'add within = "30d", say')
    return Sticky(within or 1, section.get("wait", duration(0, DAY_S)) or 0)


def _messages(section: Section) -> Messages:
    found = Messages(
        queued=section.get("queued", _template),
        again_every_s=section.get("again_every", duration(AGAIN_LEAST_S, DAY_S)),
        closed=section.get("closed", _template),
    )
    if "again_every" in section and "queued" not in section:
        (section.at / "again_every").warn("has no effect without 'queued'", "add the message, or take it out")
    return found


def _template(value: Any, at: At) -> Mapping[str, str] | None:
    return _by_language(value if type(value) is dict else {PLAIN: value}, at, type(value) is dict, MESSAGE_MAX)


def _by_language(values: Mapping[str, Any], at: At, is_table: bool, longest: int) -> Mapping[str, str] | None:
    section = Section(values, at, LANGUAGES)
    if not values:
        return at.fault("is empty", 'write { en = "…", id = "…" }')
    found = {}
    for language in values:
        if language in LANGUAGES:
            place = at / language if is_table else at
            found[language] = text(longest, longest != MESSAGE_MAX)(section.values[language], place)
            _check_placeholders(found[language] or "", place, str(at.path[-1]))
    return {language: words for language, words in found.items() if words is not None} or None


def _check_placeholders(words: str, at: At, name: str) -> None:
    known = PLACEHOLDERS.get(name)
    for word in PLACEHOLDER.findall(words):
        if known and word not in known:
            at.fault(f"unknown placeholder {{{shown(word)}}}", suggestion(word, known))


def _queues(value: Any, at: At) -> dict[str, Queue] | None:
    if type(value) is not dict:
        return at.fault(f"must be tables with names, is {kind(value)}", "begin each with [queues.NAME]")
    if len(value) > QUEUES_MAX:
        return at.fault(f"are {len(value)}", f"{QUEUES_MAX} are the most")
    by_lower: dict[str, str] = {}
    for name in value:
        if not QUEUE_NAME.fullmatch(name):
            (at / name).fault("is not a name for a queue", "use 1 to 40 letters, digits and _ . -")
        if (other := by_lower.setdefault(name.lower(), name)) != name:
            (at / name).fault(f"has the name of '{shown(other)}'", "upper and lower case do not tell queues apart")
    return {name: _queue(name, one, at / name) for name, one in value.items()}


def _queue(name: str, value: Any, at: At) -> Queue:
    section = Section(value, at, ("agents", "limit", "priority", "target", "steps"), f"begin it with [queues.{name}]")
    return Queue(
        name,
        section.need("agents", _agents, SERVED_BY) or Agents(),
        section.get("limit", whole(0, QUEUE_LIMIT_MAX)),
        section.get("priority", PRIORITY) or 0,
        section.get("target", duration(1, DAY_S)),
        section.get("steps", lambda steps, place: _steps(name, steps, place)) or (),
    )


def _agents(value: Any, at: At) -> Agents | None:
    section = Section(value, at, ("divisions", "ids", "emails", "channel"), SERVED_BY)
    agents = Agents(
        section.get("divisions", listed(VALUE, '["Sales"]')) or (),
        section.get("ids", listed(_agent_id, "[150851]")) or (),
        section.get("emails", listed(_email, '["ani@example.com"]')) or (),
        section.get("channel", flag) or False,
    )
    if not any(agents_named(section)):
        at.fault("names nobody", SERVED_BY)
    return agents


def agents_named(section: Section) -> list[bool]:
    """`channel = false` names nobody."""
    return [key != "channel" or value is not False for key, value in section.values.items()]


def _agent_id(value: Any, at: At) -> str | None:
    if type(value) not in (str, int):
        return at.fault(f"must be an agent's id, is {kind(value)}", "`giliran agent list` prints the ids")
    return text(64)(str(value), at)


def _email(value: Any, at: At) -> str | None:
    found = VALUE(value, at)
    if found is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", found):
        return at.fault(f"'{shown(found)}' is not an e-mail address", "write one as ani@example.com")
    return found


def _steps(queue: str, value: Any, at: At) -> tuple[Step, ...]:
    found = [_step(one, place) for one, place in tables(value, at, f"queues.{queue}.steps", STEPS_MAX)]
    read_ones = [
        (step, place) for step, place in zip(found, map(at.__truediv__, range(len(found))), strict=True) if step
    ]
    for (before, _), (step, place) in zip(read_ones, read_ones[1:], strict=False):
        if step.after_s <= before.after_s:
            (place / "after").fault("is not later than that of the step before", "put the steps in order")
    return tuple(step for step, _ in read_ones)


def _step(value: Any, at: At) -> Step | None:
    section = Section(value, at, ("after", "agents", "priority"))
    after = section.need("after", duration(1, DAY_S), 'add after = "2m", say')
    agents, priority = section.get("agents", _agents), section.get("priority", PRIORITY)
    if "agents" not in section and "priority" not in section:
        at.fault("changes nothing", "add agents or priority")
    return Step(after, agents, priority) if after else None


def _each_rule(value: Any, at: At) -> tuple[Rule, ...]:
    return tuple(_rule(one, place) for one, place in tables(value, at, "rules", RULES_MAX))


def _rule(value: Any, at: At) -> Rule:
    section = Section(value, at, ("name", "when", "queue", "priority"))
    name = section.need("name", text(RULE_NAME_MAX), "`giliran why ROOM` names the rule by it") or ""
    when = section.need("when", _when, "when = {} fits everybody")
    queue = section.need("queue", VALUE, "name a queue") or ""
    return Rule(name, when or NEVER, queue, section.get("priority", PRIORITY))


NEVER = When(hours=frozenset())  # in place of a condition that can't be read


def _when(value: Any, at: At) -> When:
    return when_text.read(Section(value, at, when_text.KEYS, 'write { source = "wa" }, say'))


def _in_all_languages(rule: Rule, topics: Sequence[Topic]) -> Rule:
    """A rule that names a topic in one language means it in every other, too."""
    if TOPIC not in rule.when.properties:
        return rule
    labels = [{fold(words) for words in topic.label.values()} for topic in topics]
    wanted = rule.when.properties[TOPIC]
    wider = wanted.union(*(each for each in labels if each & wanted))
    return replace(rule, when=replace(rule.when, properties={**rule.when.properties, TOPIC: wider}))


def _each_topic(value: Any, at: At) -> tuple[Topic, ...]:
    return tuple(_topic(one, place) for one, place in tables(value, at, "topics", TOPICS_MAX))


def _topic(value: Any, at: At) -> Topic:
    section = Section(value, at, ("label", "queue"))
    label = section.need("label", _label, 'write label = { en = "Buy something", id = "Pembelian" }')
    return Topic(label or {}, section.need("queue", VALUE, "name a queue") or "")


def _label(value: Any, at: At) -> Mapping[str, str] | None:
    if type(value) is not dict:
        return at.fault(f"must be a table, is {kind(value)}", 'write { en = "Buy something", id = "Pembelian" }')
    return _by_language(value, at, True, LABEL_MAX)
