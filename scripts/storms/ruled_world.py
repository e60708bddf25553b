"""A tenant with rules, made up from a seed: who is in which division, the rules files, the customers. Pure.

`ruled_plan` says when what happens, `ruled` does it; the judge reads the files' text and none of what is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

DIVISIONS = ("Penjualan", "Bali", "Jakarta", "Layanan Emas", "Teknik", "Tagihan", "Café", "Malam")
CHANNELS = (131314, 131313, 131315)
VALUES: dict[str, tuple[Any, ...]] = {
    "city": ("zqDenpasar", "zqUbud", "zqJakarta", "zq  bandung ", "ZQDENPASAR", "zqSolo"),
    "tier": ("zqgold", "zqSilver", "ZQGOLD", "zqplatinum"),
    "plan": ("zqécole", "zqe\u0301cole", "zqÉCOLE", "zqbasic"),
    "age": (42, "42", 17, 4242, True),
    "vip": (True, "TRUE", False, "zqno"),
    "lang code": ("zqid", "zqen", "zq ms"),
}
KNOWN = tuple(VALUES)
STRANGE: tuple[Any, ...] = (None, [], {"zq": 1}, "zq" + "x" * 300, "", ["zqgold"])
NAMES = ("Adi Zqhartono", "Bunga Zqpermata", "Citra Zqhalim", "Dewi Zqutami")
PREFIX = "zq"  # of all that is known of a customer: no log may hold it
LONGEST_S = 20
MESSAGES = """[messages]
queued = "Q{version} {{position}} {{eta}}"
again_every = "30s"
closed = "C {{opens}}"
"""


@dataclass(frozen=True)
class Sizes:
    rooms: int = 1_000
    agents: int = 200
    queues: int = 20
    rules: int = 50
    limit: int = 2


@dataclass(frozen=True)
class Member:
    """An agent as they begin: numbers of divisions, channels (None: all)."""

    divisions: tuple[int, ...]
    channels: tuple[int, ...] | None


def members(seed: int, count: int) -> list[Member]:
    """Most are in one division, some in several, a few in none; a few serve one channel only."""
    chance = Random(f"members {seed}")
    return [
        Member(
            tuple(chance.sample(range(len(DIVISIONS)), chance.choice((1, 1, 1, 1, 1, 2, 2, 3, 0)))),
            (chance.choice(CHANNELS),) if chance.random() < 0.1 else None,
        )
        for _ in range(count)
    ]


@dataclass(frozen=True)
class Times:
    """The lines of [hours] of one version; empty: always open."""

    zone: str = ""
    spans: tuple[str, ...] = ()


def file(seed: int, version: int, sizes: Sizes, agents: Sequence[tuple[int, str]], times: Times, last: bool) -> str:
    """The text of one version. `agents`: ids and e-mails. `last`: nobody may be left without anybody for ever."""
    chance = Random(f"file {seed} {version}")
    queues = [f"q{number:02}" for number in range(sizes.queues)]
    parts = [*_hours(times), '[sticky]\nwithin = "1h"\nwait = "6s"\n']
    parts.append(MESSAGES.format(version=version))
    parts += [_queue(chance, name, agents, last) for name in queues]
    led = queues + chance.choices(queues, k=max(0, sizes.rules - len(queues)))
    chance.shuffle(led)
    parts += [_rule(chance, number, queue) for number, queue in enumerate(led)]
    if version % 2:
        parts.append(f'[default]\nqueue = "{chance.choice(queues)}"\n')
    return "\n".join(parts)


def _hours(times: Times) -> list[str]:
    spans = ", ".join(f'"{span}"' for span in times.spans)
    return [f'[hours]\ntimezone = "{times.zone}"\nopen = [{spans}]\noutside = "wait"\n'] if times.spans else []


def _queue(chance: Random, name: str, agents: Sequence[tuple[int, str]], last: bool) -> str:
    lines = [f"[queues.{name}]", f"agents = {_who(chance, agents)}", f"priority = {chance.choice((0, 0, 0, 5, 10))}"]
    if (limit := chance.choice((None, None, 1, 1, 2))) is not None:
        lines.append(f"limit = {limit}")
    for after_s in sorted(chance.sample(range(2, LONGEST_S), chance.choice((0, 1, 2, 3)))):
        lines += [f"[[queues.{name}.steps]]", f'after = "{after_s}s"']
        what = chance.choice(("agents", "priority", "both"))
        lines += [f"agents = {_who(chance, agents)}"] if what != "priority" else []
        lines += [f"priority = {chance.choice((3, 8, 15, 30))}"] if what != "agents" else []
    if last or chance.random() < 0.5:
        everybody = ", ".join(f'"{division}"' for division in DIVISIONS)
        lines += [f"[[queues.{name}.steps]]", f'after = "{LONGEST_S}s"', f"agents = {{ divisions = [{everybody}] }}"]
    return "\n".join(lines) + "\n"


def _who(chance: Random, agents: Sequence[tuple[int, str]]) -> str:
    few = chance.sample(list(agents), min(3, len(agents)))
    names = chance.sample(DIVISIONS, chance.choice((1, 1, 2)))
    divisions = "divisions = [" + ", ".join(f'"{_told(chance, name)}"' for name in names) + "]"
    ids = f"ids = [{', '.join(str(id_) for id_, _ in few)}]"
    emails = "emails = [" + ", ".join(f'"{email.upper()}"' for _, email in few) + "]"
    kinds = [*[divisions] * 5, ids, emails, "channel = true", f"{divisions}, {ids}", f"{ids}, {emails}"]
    return "{ " + chance.choice(kinds) + " }"


def _told(chance: Random, name: str) -> str:
    """As a person may write it."""
    return chance.choice((name, name, name.upper(), name.lower()))


def _rule(chance: Random, number: int, queue: str) -> str:
    lines = ["[[rules]]", f'name = "R{number:02}"', f"when = {{ {', '.join(_when(chance))} }}", f'queue = "{queue}"']
    if (priority := chance.choice((None, None, None, 0, 20))) is not None:
        lines.append(f"priority = {priority}")
    return "\n".join(lines) + "\n"


def _when(chance: Random) -> list[str]:
    """One to three keys, mostly of what is known of a customer: a rule should fit some and leave others."""
    found: dict[str, str] = {}
    for _ in range(chance.choice((1, 2, 2, 3))):
        key = chance.choice((*KNOWN, *KNOWN, "source", "channel", "email", "name", "returning", "hours"))
        found[key] = f"property.{_key(key)} = {_values(chance, VALUES[key])}" if key in VALUES else _plain(chance, key)
    if set(found) <= {"returning", "hours", "source", "channel"}:
        key = chance.choice(KNOWN)
        found[key] = f"property.{_key(key)} = {_values(chance, VALUES[key])}"
    return list(found.values())


def _key(key: str) -> str:
    return f'"{key}"' if " " in key else key


def _values(chance: Random, known: Sequence[Any]) -> str:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in known]
    chosen = chance.sample(texts, chance.choice((1, 2)))
    return "[" + ", ".join(f'"{text}"' for text in dict.fromkeys(chosen)) + "]"


def _plain(chance: Random, key: str) -> str:
    words: dict[str, tuple[str, ...]] = {
        "source": ('"wa"', '["QISCUS", "telegram"]'),
        "channel": ("131313", '"example wa"', '["131314", "131315"]'),
        "email": ('"*3@EXAMPLE.com"', '["customer1*", "*5@example.com"]'),
        "name": ('"adi *"', '"* zqhalim"', '"*zq*u*"'),
        "returning": ("true", "false"),
        "hours": ('"open"', '"closed"'),
    }
    return f"{key} = {chance.choice(words[key])}"


def customer(chance: Random) -> dict[str, Any]:
    """One who comes for the first time, as the simulator takes it."""
    keys = chance.sample(KNOWN, chance.choice((0, 1, 2, 3, 4)))
    properties = {_written(chance, key): chance.choice(VALUES[key]) for key in keys}
    if chance.random() < 0.1:
        properties[chance.choice(KNOWN)] = chance.choice(STRANGE)
    if chance.random() < 0.1:
        properties |= {"zqother": "zqvalue", "zq" + "k" * 90: "zqvalue"}
    made: dict[str, Any] = {"channel": chance.choice(CHANNELS), "properties": properties}
    return made | ({"name": chance.choice(NAMES)} if chance.random() < 0.5 else {})


def _written(chance: Random, key: str) -> str:
    return chance.choice((key, key, key.upper(), f" {key.title()} "))
