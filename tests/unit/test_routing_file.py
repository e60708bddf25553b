"""A rules file, read: what it means, and every fault with its line, its reason and what would be right."""

# ruff: noqa: E501 -- a table of faulty files is read by its columns
import tomllib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.faults import FaultyRules
from routing.file import BYTES_MAX, check, read
from routing.hours import Span
from routing.model import Agents, Rules, Step, Sticky
from routing.when import Pattern
from tests.variants import each

WHOLE = """\
[hours]
timezone = "Asia/Jakarta"
open = ["mon-fri 08:00-17:00", "sat 22:00-02:00"]
closed = ["2026-12-25", "2027-01-01..2027-01-03", 2026-12-26]
outside = "serve"

[sticky]
within = "30d"
wait = "2m"

[messages]
queued = { id = "Anda nomor {position}, perkiraan {eta}.", en = "You are number {position}." }
again_every = "3m"
closed = "Kami buka lagi {opens}."

[queues.sales]
agents = { divisions = ["Sales"], ids = [150851, "7"], emails = ["ani@x.id"], channel = true }
limit = 1
priority = -5
target = "60s"

[[queues.sales.steps]]
after = "2m"
agents = { divisions = ["Support"] }
[[queues.sales.steps]]
after = "1h"
priority = 10

[[rules]]
name = "Gold customers"
when = { source = ["WA", "fb"], channel = 131313, property.Tier = ["gold", 7, true], email = "*@X.id", returning = true }
queue = "sales"
priority = 20

[[topics]]
label = { en = "Buy something", id = "Pembelian" }
queue = "sales"

[default]
queue = "sales"
"""


def faults(text: str | bytes) -> list[tuple[int, str]]:
    return [(fault.line, str(fault)) for fault in check(text).faults]


def warnings(text: str) -> list[tuple[int, str]]:
    checked = check(text)
    assert checked.faults == ()
    return [(warning.line, str(warning)) for warning in checked.warnings]


def with_queue(text: str) -> str:
    """The text with a queue `q`, which is the default, behind it."""
    return f'{text}\n[queues.q]\nagents = {{ channel = true }}\n[default]\nqueue = "q"\n'


def test_a_whole_file_is_read_as_it_is_meant() -> None:
    assert check(WHOLE).faults == check(WHOLE).warnings == ()
    rules = read(WHOLE)
    assert rules.hours is not None
    assert rules.hours.spans == (*(Span(day, 480, 1020) for day in range(5)), Span(5, 1320, 1560))
    closed = ((date(2026, 12, 25), date(2026, 12, 26)), (date(2027, 1, 1), date(2027, 1, 3)))
    assert (rules.hours.zone, rules.hours.closed, rules.hours.outside) == ("Asia/Jakarta", closed, "serve")
    assert rules.sticky == Sticky(2_592_000, 120)
    assert rules.messages.queued == {
        "id": "Anda nomor {position}, perkiraan {eta}.",
        "en": "You are number {position}.",
    }
    assert (rules.messages.again_every_s, rules.messages.closed) == (180, {"id": "Kami buka lagi {opens}."})
    sales = rules.queues["sales"]
    assert sales.agents == Agents(("Sales",), ("150851", "7"), ("ani@x.id",), True)
    assert (sales.limit, sales.priority, sales.target_s) == (1, -5, 60)
    assert sales.steps == (Step(120, Agents(("Support",)), None), Step(3600, None, 10))
    (rule,) = rules.rules
    assert (rule.name, rule.queue, rule.priority) == ("Gold customers", "sales", 20)
    assert (rule.when.source, rule.when.channel, rule.when.returning) == ({"wa", "fb"}, {"131313"}, {True})
    assert (rule.when.properties, rule.when.email) == ({"tier": {"gold", "7", "true"}}, (Pattern("*@x.id"),))
    assert (rules.topics[0].label, rules.default) == ({"en": "Buy something", "id": "Pembelian"}, "sales")


@each("text", ["", "\ufeff", "# nothing\r\n", b"\xef\xbb\xbf# from a Windows editor\r\n"])
def test_an_empty_file_changes_nothing(text: str | bytes) -> None:
    assert read(text) == Rules()


def test_several_faults_are_named_at_once_in_the_order_of_the_lines() -> None:
    text = (
        WHOLE.replace("limit = 1", "limt = true")
        .replace("17:00", "25:00")
        .replace("{eta}", "{eat}")
        .replace('queue = "sales"\npriority = 20', 'queue = "slaes"')
        .replace("Asia/Jakarta", "WIB")
        .replace('after = "1h"', 'after = "1m"')
        .replace("[sticky]", "[stick]")
    )
    assert faults(text) == [
        (2, "hours.timezone: 'WIB' is not the name of a time zone: write 'Asia/Jakarta'"),
        (3, "hours.open[1]: '25:00' is not a time: from 00:00 to 24:00"),
        (7, "stick: unknown key: did you mean 'sticky'?"),
        (12, "messages.queued.id: unknown placeholder {eat}: did you mean 'eta'?"),
        (18, "queues.sales.limt: unknown key: did you mean 'limit'?"),
        (26, "queues.sales.steps[2].after: is not later than that of the step before: put the steps in order"),
        (32, "rules[1].queue: there is no queue 'slaes': did you mean 'sales'?"),
    ]
    with pytest.raises(FaultyRules, match=r"^line 2: hours\.timezone: .*\n(.*\n){5}line 32: .*$"):
        read(text)


@each(
    ("section", "key", "line", "near"),
    [
        ("", "ruels = 1", 1, "rules"),
        ("[hours]", 'time_zone = "x"', 2, "timezone"),
        ("[sticky]", 'witin = "1d"', 2, "within"),
        ("[messages]", 'queue = "x"', 2, "queued"),
        ("[queues.a]", "limits = 1", 2, "limit"),
        ("[queues.a]", 'agents.division = ["x"]', 2, "divisions"),
        ("[[queues.a.steps]]", 'afer = "1m"', 2, "after"),
        ("[[rules]]", "whne = {}", 2, "when"),
        ("[[rules]]", "when.source = 1\nwhen.chanel = 1", 3, "channel"),
        ("[[topics]]", "lable = {}", 2, "label"),
        ("[[topics]]", 'label.ind = "x"', 2, "id"),
        ("[default]", 'queu = "x"', 2, "queue"),
    ],
)
def test_an_unknown_key_is_named_at_every_level_with_the_nearest_known_one(section, key, line, near) -> None:
    text = f"{section}\n{key}".lstrip() if not section else f"{section}\n{key}"
    named = [(at, fault) for at, fault in faults(text) if "unknown key" in fault]
    assert [at for at, _ in named] == [line]
    assert f"did you mean '{near}'?" in named[0][1]


def test_a_key_that_is_like_no_other_is_told_what_there_is() -> None:
    assert faults("[sticky]\nwithin = '1d'\nxyzzy = 1") == [(3, "sticky.xyzzy: unknown key: known: within, wait")]


ONE_FAULT = [
    ("[hours]\ntimezone='UTC'\nopen='mon 08:00-09:00'", 3, "must be a list"),
    ("[hours]\ntimezone='UTC'\nopen=[]", 3, "empty list"),
    ("[hours]\nopen=['mon 08:00-09:00']", 1, "has no 'timezone'"),
    ("[hours]\ntimezone='UTC'", 1, "has no 'open'"),
    ("[hours]\ntimezone=7\nopen=['mon 08:00-09:00']", 2, "must be a time zone"),
    ("[hours]\ntimezone='asia/jakarta'\nopen=['mon 08:00-09:00']", 2, "did you mean 'Asia/Jakarta'?"),
    ("[hours]\ntimezone='../etc/passwd'\nopen=['mon 08:00-09:00']", 2, "not the name of a time zone"),
    ("[hours]\ntimezone='America'\nopen=['mon 08:00-09:00']", 2, "not the name of a time zone"),
    ("[hours]\ntimezone='UTC'\nopen=['mun 08:00-09:00']", 3, "'mun' is not a day: did you mean"),
    ("[hours]\ntimezone='UTC'\nopen=[\n'mon 08:00-09:00',\n'tue 8-9']", 5, "'tue 8-9' can't be read"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 08:00-08:00']", 3, "is empty: for a whole day write 00:00-24:00"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 24:00-02:00']", 3, "is empty"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 08:60-09:00']", 3, "'08:60' is not a time"),
    ("[hours]\ntimezone='UTC'\nopen=['mon-fri 08:00-17:00',\n'fri 16:30-18:00']", 4, "overlaps 'mon-fri 08:00-17:00' on fri 16:30"),
    ("[hours]\ntimezone='UTC'\nopen=['sun 22:00-02:00',\n'mon 01:00-03:00']", 4, "overlaps 'sun 22:00-02:00' on mon 01:00"),
    ("[hours]\ntimezone='UTC'\nopen=['mon,mon 08:00-09:00']", 3, "overlaps itself on mon 08:00"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 08:00-09:00']\nclosed=['2026-02-30']", 4, "'2026-02-30' can't be read"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 08:00-09:00']\nclosed=['2026-03-02..2026-03-01']", 4, "ends before it begins: write '2026-03-01..2026-03-02'"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 08:00-09:00']\nclosed=[2026-03-02T10:00:00]", 4, "must be a day"),
    ("[hours]\ntimezone='UTC'\nopen=['mon 08:00-09:00']\noutside='waits'", 4, "did you mean 'wait'?"),
    ("hours = 1", 1, "must be a table, is a whole number: begin it with [hours]"),
    ("[sticky]\nwithin='30 days'", 2, "'30 days' is not a duration: write a number with s, m, h or d"),
    ("[sticky]\nwithin=30", 2, "must be a duration in quotes"),
    ("[sticky]\nwithin='0s'", 2, "out of range: from 1s to 365d"),
    ("[sticky]\nwait='2m'", 1, "has no 'within'"),
    ("[messages]\nqueued=''", 2, "is empty"),
    ("[messages]\nqueued='a\\u0000'".replace("'", '"'), 2, "control character"),
    ("[messages]\nqueued={}", 2, "is empty"),
    ("[messages]\nqueued='{opens}'", 2, "unknown placeholder {opens}"),
    ("[messages]\nqueued='x'\nagain_every='1s'", 3, "out of range"),
    ("[queues.'a b']\nagents={channel=true}\n[default]\nqueue='a b'", 1, "is not a name for a queue"),
    ("[queues.'channel:wa']\nagents={channel=true}\n[default]\nqueue='channel:wa'", 1, "is not a name for a queue"),
    ("[queues.a]\nagents={channel=true}\n[queues.A]\nagents={channel=true}\n[[topics]]\nlabel.id='x'\nqueue='A'\n[default]\nqueue='a'", 3, "has the name of 'a'"),
    ("[[queues]]\nname='a'", 1, "begin each with [queues.NAME]"),
    ("[queues.q]\n[default]\nqueue='q'", 1, "has no 'agents': say who serves it"),
    ("[queues.q]\nagents={}\n[default]\nqueue='q'", 2, "names nobody"),
    ("[queues.q]\nagents={channel=false}\n[default]\nqueue='q'", 2, "names nobody"),
    ("[queues.q]\nagents={divisions='Sales'}\n[default]\nqueue='q'", 2, "must be a list, is a text"),
    ("[queues.q]\nagents={ids=[true]}\n[default]\nqueue='q'", 2, "must be an agent's id, is true or false"),
    ("[queues.q]\nagents={emails=['ani']}\n[default]\nqueue='q'", 2, "not an e-mail address"),
    ("[queues.q]\nagents={channel=true}\nlimit=true\n[default]\nqueue='q'", 3, "is true or false"),
    ("[queues.q]\nagents={channel=true}\npriority=1001\n[default]\nqueue='q'", 3, "from -1000 to 1000"),
    ("[queues.q]\nagents={channel=true}\n[queues.q.steps]\nafter='1m'\n[default]\nqueue='q'", 3, "begin each with [[queues.q.steps]]"),
    ("[queues.q]\nagents={channel=true}\n[[queues.q.steps]]\nafter='1m'\n[default]\nqueue='q'", 3, "changes nothing"),
    ("[queues.q]\nagents={channel=true}\nsteps=[{after='2m',priority=1},\n{after='2m',priority=2}]\n[default]\nqueue='q'", 4, "put the steps in order"),
    ("[queues.lonely]\nagents={channel=true}", 1, "no rule, no topic and no default leads to this queue"),
    ("[rules]\nname='a'", 1, "begin each with [[rules]]"),
    ("[[topics]]\nlabel='x'\nqueue='q'\n[queues.q]\nagents={channel=true}", 2, "must be a table"),
    ("default='q'", 1, "begin it with [default]"),
    ("a = 1\na = 2\n\n", 2, "a key comes twice"),
    ("[a]\n[a]", 2, "begins a second time"),
    ("x = [1,\n2", 2, "is not valid TOML"),
    (f"x = {'[' * 5000}", 1, "nested too deeply"),
    (f"x = {'9' * 5000}", 1, "is not valid TOML"),
    ("x" * (BYTES_MAX + 1), 1, "is larger than 256 KiB"),
    ("#\n" + ".".join(["a"] * 60_000) + " = 1", 2, "a key of more than 32 parts"),
    ("[messages]\nqueued = \"a\\tb\"", 2, "control character: take it out"),
    ("[queues.q]\nagents.divisions = [\"a\\nb\"]\n[default]\nqueue = 'q'", 2, "control character: write it on one line"),
    (f"[queues.q]\nagents.ids = {[1] * 401}\n[default]\nqueue = 'q'", 2, "has 401 elements: 400 are the most"),
    (b"a = 1\nb = '\xff'", 2, "not text in UTF-8"),
    ("x = { a = 1,\n b = 2 }", 1, "has to be on one line"),
    ("x = wa", 1, "texts need quotes"),
    (b"a = '\0'", 1, "is not valid TOML"),
]  # fmt: skip

RULE = [
    ("", "has no 'when'"),
    ("when = 1", "must be a table"),
    ("when = { source = [] }", "empty list, which nothing fits"),
    ("when = { source = '' }", "nothing can be equal to it"),
    ("when = { source = { a = 1 } }", "must be a text, a number, true or false, is a table"),
    ("when = { source = 2026-12-25 }", "is a date"),
    ("when = { property = 'gold' }", "must name a property, is a text"),
    ("when = { property = {} }", "names no property"),
    ("when = { property.a.b = 1 }", "quote a key that has a dot in it"),
    ("when = { property.A = 1, property.a = 2 }", "comes twice"),
    (f"when = {{ property.{'a' * 65} = 1 }}", "is not the key of a property"),
    (f"when = {{ property.a = '{'x' * 257}' }}", "nothing can be equal to it"),
    ("when = { returning = 'yes' }", "must be true or false"),
    ("when = { hours = 'close' }", "did you mean 'closed'?"),
    ("when = { proved = 1 }", "must be true or false"),
    ("when = {}\npriority = '1'", "must be a whole number"),
]


@each(("text", "line", "words"), ONE_FAULT)
def test_what_is_wrong_is_said_with_its_line(text: str | bytes, line: int, words: str) -> None:
    (found,) = faults(text)
    assert found[0] == line and words in found[1]


@each(("text", "words"), RULE)
def test_what_is_wrong_with_a_rule_is_said(text: str, words: str) -> None:
    (found,) = faults(with_queue(f"[[rules]]\nname = 'a'\nqueue = 'q'\n{text}"))
    assert found[0] in (1, 4, 5) and words in found[1]


def test_names_tell_rules_and_topics_apart() -> None:
    rule = "[[rules]]\nname = '{}'\nwhen = {{ returning = {} }}\nqueue = 'q'\n"
    (found,) = faults(with_queue(rule.format("Gold", "true") + rule.format(" gold", "false")))
    assert found == (6, "rules[2].name: another rule is called ' gold' (line 1): names tell rules apart")
    topic = "[[topics]]\nlabel = {}\nqueue = 'q'\n"
    (found,) = faults(with_queue(topic.format("{ en = 'Buy', id = 'Beli' }") + topic.format("{ en = 'BUY' }")))
    assert found[0] == 5 and "another topic is called 'buy'" in found[1]


def test_no_more_properties_may_be_named_than_are_kept() -> None:
    rules = "".join(f"[[rules]]\nname = '{n}'\nwhen.property.k{n} = 1\nqueue = 'q'\n" for n in range(21))
    assert check(with_queue(rules.replace("k20", "k19"))).faults == ()
    (found,) = faults(with_queue(rules))
    assert found[0] == 83 and "one property more than 20" in found[1]


def test_no_more_rules_are_read_than_can_be_compared_with_one_another() -> None:
    rules = "".join(f"[[rules]]\nname = '{n}'\nwhen.source = '{n}'\nqueue = 'q'\n" for n in range(501))
    assert faults(with_queue(rules)) == [(2001, "rules[501]: is one more than 500: 500 are the most")]


def shadowed(*whens: str) -> list[int]:
    """Numbers of the rules that never decide."""
    rules = "".join(f"[[rules]]\nname = '{n}'\nwhen = {when}\nqueue = 'q'\n" for n, when in enumerate(whens))
    text = f"[queues.q]\nagents = {{ channel = true }}\n{rules}[hours]\ntimezone = 'UTC'\nopen = ['mon 08:00-09:00']"
    return [(line - 3) // 4 for line, words in warnings(text) if "never decides" in words]


def test_a_rule_behind_one_that_fits_all_that_it_fits_is_warned_about() -> None:
    assert shadowed("{}", "{ source = 'wa' }") == [1]
    assert shadowed("{ source = ['wa', 'fb'] }", "{ source = 'WA', property.a = 1 }", "{ source = 'ig' }") == [1]
    assert shadowed("{ property.a = [1, 2] }", "{ property.a = [2, 3] }", "{ property.A = '2', email = 'x@y' }") == [2]
    assert shadowed("{ email = '*@x.id' }", "{ email = ['a*@x.id', 'b@x.id'] }", "{ email = '*@x.*' }") == [1]
    assert shadowed("{ hours = 'open' }", "{ hours = ['open', 'closed'] }", "{ returning = true, hours = 'open' }") == [
        2
    ]


def test_what_can_be_used_but_hardly_means_what_it_says_is_warned_about() -> None:
    text = with_queue(
        "[messages]\nagain_every = '1m'\nclosed = 'x'\n[[rules]]\nname='a'\nwhen.source='whatsapp'\nwhen.property.a='x*'\nwhen.hours='closed'\nqueue='q'"
    )
    text = text.replace(
        "channel = true }",
        "channel = true }\nlimit = 0\npriority = 3\nsteps = [{ after = '1m', priority = 3 },\n{ after = '2m', agents = { channel = true } }]",
    )
    assert [(line, words.partition(":")[0]) for line, words in warnings(text)] == [
        (2, "messages.again_every"),
        (3, "messages.closed"),
        (6, "rules[1].when.source"),
        (7, "rules[1].when.property.a"),
        (8, "rules[1].when.hours"),
        (12, "queues.q.limit"),
        (14, "queues.q.steps[1].priority"),
        (15, "queues.q.steps[2].agents"),
    ]  # fmt: skip
    assert any("did you mean 'wa'?" in words for _, words in warnings(text))


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "sales", "2m", "x"]),
)
KEYS = [
    "hours",
    "sticky",
    "messages",
    "queues",
    "rules",
    "topics",
    "default",
    "timezone",
    "open",
    "closed",
    "outside",
    "within",
    "queued",
    "agents",
    "divisions",
    "channel",
    "steps",
    "after",
    "when",
    "property",
    "source",
    "name",
    "queue",
    "label",
    "id",
    "x y",
]
trees = st.recursive(plain, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)), max_leaves=25)  # fmt: skip


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml(inner)}' for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return {None: '"nothing"', True: "true", False: "false"}.get(value) or (
        f'"{value}"' if isinstance(value, str) else repr(value)
    )  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), trees, max_size=5))
def test_any_tree_of_tables_is_read_or_refused_with_lines_that_exist(tree: dict[str, object]) -> None:
    text = "\n".join(f'"{key}" = {toml(value)}' for key, value in tree.items())
    tomllib.loads(text)
    checked = check(text)
    assert (checked.rules is None) == bool(checked.faults)
    assert list(checked.faults) == sorted(checked.faults)
    assert all(1 <= fault.line <= max(1, len(tree)) and "\n" not in str(fault) for fault in checked.faults)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 30), st.text(max_size=5))
def test_any_damage_to_a_file_is_refused_or_read_and_never_raises(at: int, cut: int, put: str) -> None:
    checked = check(WHOLE[:at] + put + WHOLE[at + cut :])
    assert (checked.rules is None) == bool(checked.faults)
