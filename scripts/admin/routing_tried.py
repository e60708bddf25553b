"""How a trial of the rules looks: pure, from where a webhook would lead to text or data."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from routing import facts
from routing.facts import Facts
from routing.model import CHANNEL, Rules
from routing.reading import span
from routing.route import BY_DEFAULT, BY_RULE, BY_TOPIC, Route
from scripts.admin.table import table
from views import routed
from views.words import clean, moment

AGENTS_MAX = 20  # lines that a person reads
DESK, LAST_READ, FILE = "desk", "ledger", "file"


class Able(NamedTuple):
    """Who may serve the room now. `source`: who says so: the desk now, the ledger as last read, or the file alone."""

    agents: list[dict[str, Any]]
    source: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """`tenant` None: a file alone is tried. `served_by`: who served the room last, if that still counts."""

    found: Route
    rules: Rules
    known: Facts
    able: Able
    tenant: str | None = None
    version: int | None = None
    served_by: str | None = None


def zone(rules: Rules) -> ZoneInfo:
    return ZoneInfo(rules.hours.zone if rules.hours else "UTC")


def as_data(trial: Trial) -> dict[str, Any]:
    found = trial.found
    return {
        "tenant": trial.tenant,
        "version": trial.version,
        "rule": found.rule,
        "by": found.by,
        "queue": found.queue,
        "priority": found.priority,
        "agents": trial.able.agents,
        "agents_by": trial.able.source,
        "missing": trial.able.missing,
        "served_by": asdict(trial.rules.queue(found.queue).agents),
        "served_before_by": trial.served_by,
        "steps": [{**routed.step_data(due.step), "due_at": due.due_at} for due in found.steps],
        "hours": found.hours,
        "serve_from": found.serve_from,
    }


def text(trial: Trial) -> str:
    found = trial.found
    rows = [
        ("queue", _queue_text(found)),
        ("priority", str(found.priority)),
        ("served by", routed.agents_text(trial.rules.queue(found.queue).agents)),
        *(("then", f"after {span(due.step.after_s)} {routed.step_text(due.step)}") for due in found.steps),
        ("first", f"{clean(trial.served_by)}, who served it last" if trial.served_by else ""),
        ("hours", _hours_text(found, trial.rules)),
        ("known", _known_text(trial.known)),
        *(("missing", clean(words, 200)) for words in trial.able.missing),
    ]
    lines = [f"{name:<9}  {words}" for name, words in rows if words]
    return "\n".join([*lines, *_able_text(trial.able)])


def _able_text(able: Able) -> list[str]:
    """Those who could take it first."""
    if able.source == FILE:
        return []
    said = "as the desk names them now" if able.source == DESK else "as a worker last read them"
    if not able.agents:
        return [f"agents     nobody, {said}"]
    order = sorted(able.agents, key=lambda one: (not one["online"], one["load"] - one["limit"], one["id"]))
    rows = [(clean(a["id"]), clean(a["name"], 30), _yes(a["online"]), a["load"], a["limit"]) for a in order]
    shown = table(("AGENT", "NAME", "ONLINE", "LOAD", "LIMIT"), rows[:AGENTS_MAX], "  ")
    more = [f"  … and {len(rows) - AGENTS_MAX} more (--json has all)"] if len(rows) > AGENTS_MAX else []
    return [f"agents     {said}", shown, *more]


def _yes(online: bool) -> str:
    return "yes" if online else "no"


def _queue_text(found: Route) -> str:
    why = {
        BY_RULE: f"by the rule '{clean(found.rule)}'",
        BY_TOPIC: "by the topic that the customer chose",
        BY_DEFAULT: "by default: no rule fits",
    }
    shown = clean(found.queue).removeprefix(CHANNEL)
    return f"{shown}, {why[found.by]}" if found.by in why else f"of the channel '{shown}': no rule fits, and no default"


def _hours_text(found: Route, rules: Rules) -> str:
    if found.hours == "open":
        return "open" if rules.hours else "always open"
    opens = found.serve_from if rules.hours and rules.hours.outside == "wait" else None
    if opens is None:
        return "closed, and served all the same" if found.serve_from else "closed, with no next opening"
    return f"closed until {moment(opens)} ({opens.astimezone(zone(rules)):%a %H:%M} in {clean(zone(rules).key)})"


def _known_text(known: facts.Facts) -> str:
    data = facts.as_data(known)
    shown = {**data, **{facts.PROPERTY + key: value for key, value in data["properties"].items()}}
    pairs = [f"{name} {clean(value)}" for name, value in shown.items() if name not in ("properties", "proved")]
    return ", ".join(pairs) or "nothing"
