"""Which queue a room comes to, who may serve it, what its customer is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.facts import Facts, Named, of_chat, of_webhook
from routing.file import read
from routing.messages import Sent, due, eta, message, opening
from routing.model import Messages
from routing.route import named, route
from routing.team import Agent, may_serve
from routing.when import Pattern, When
from tests.variants import each

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)  # a Monday, 10:00 in Jakarta
NIGHT = datetime(2026, 11, 30, 13, tzinfo=UTC)
SATURDAY_NIGHT = datetime(2026, 12, 5, 13, tzinfo=UTC)

QUEUES = "".join(
    f"[queues.{name}]\nagents = {{ channel = true }}\n" for name in ("gold", "bali", "night", "buy", "other")
)
TEXT = (
    QUEUES
    + """
[hours]
timezone = "Asia/Jakarta"
open = ["mon-fri 08:00-17:00"]
[[rules]]
name = "Gold customers"
when = { source = ["wa", "native"], property.tier = ["gold", "platinum"], proved = false }
queue = "gold"
priority = 20
[[rules]]
name = "Bali"
when = { property.city = ["Denpasar", "Ubud"] }
queue = "bali"
[[rules]]
name = "Office"
when = { email = ["*@corp.id", "boss@*"], returning = true }
queue = "gold"
[[rules]]
name = "Wholesale"
when = { property.topic = "Grosir" }
queue = "gold"
[[rules]]
name = "Night"
when = { hours = "closed", channel = ["Example WA", 77] }
queue = "night"
[[topics]]
label = { en = "Buy something", id = "Pembelian" }
queue = "buy"
[[topics]]
label = { en = "Wholesale", id = "Grosir" }
queue = "buy"
[default]
queue = "other"
"""
)
RULES = read(TEXT)
NAMED = named(RULES)


def webhook(**body: Any) -> Facts:
    return of_webhook(body, NAMED)


def gone_to(facts: Facts, now: datetime = NOW) -> tuple[str, str | None]:
    found = route(facts, RULES, now)
    return found.queue, found.rule


def test_the_first_rule_that_fits_decides_else_the_topic_else_the_default() -> None:
    assert gone_to(webhook(source="WA", extras='{"user_properties": {"Tier": "GOLD", "city": "Ubud"}}')) == (
        "gold",
        "Gold customers",
    )
    assert gone_to(webhook(source="fb", extras='{"user_properties": {"Tier": "GOLD", "city": "ubud "}}')) == (
        "bali",
        "Bali",
    )
    assert gone_to(webhook(email="Ani@Corp.ID", latest_service={"id": 1})) == ("gold", "Office")
    assert gone_to(webhook(email="ani@corp.id", latest_service=None)) == ("other", None)
    assert gone_to(of_chat({"topic": "PEMBELIAN"}, NAMED)) == ("buy", None)
    assert gone_to(of_chat({"topic": "wholesale"}, NAMED)) == ("gold", "Wholesale"), (
        "a topic has one meaning in all languages"
    )
    assert gone_to(of_chat({"topic": "nonsense"}, NAMED)) == ("other", None)
    assert gone_to(webhook(extras='{"user_properties": {"topic": "Pembelian"}}')) == ("other", None), (
        "Qiscus has no topics"
    )
    assert gone_to(of_chat({"properties": {"tier": "gold"}}, NAMED)) == ("gold", "Gold customers")
    assert gone_to(of_chat({"properties": {"tier": "gold"}}, NAMED, proved=True)) == ("other", None)


def test_a_channel_is_meant_by_its_id_or_by_its_name_and_hours_by_the_clock() -> None:
    for channel in ({"id": 77}, {"id": "77", "name": "x"}, {"id": 1, "name": "EXAMPLE wa"}):
        assert gone_to(webhook(channel=channel), NIGHT) == ("night", "Night")
        assert gone_to(webhook(channel=channel), NOW) == ("other", None)
    assert gone_to(webhook(channel={"id": 1, "name": "Example"}), NIGHT) == ("other", None)


def test_without_a_default_a_room_comes_to_the_queue_of_its_channel() -> None:
    rules = read("")
    assert route(Facts(source="wa", channel_id="131313"), rules, NOW).queue == "channel:131313"
    found = route(Facts(source="wa"), rules, NOW)
    assert (found.queue, found.by, found.rule, found.priority, found.steps) == ("channel:wa", "channel", None, 0, ())
    assert (found.hours, found.serve_from, found.sticky) == ("open", NOW, None)
    assert may_serve(rules, found.queue, 0, [], {}, {"7"}).agents == {"7"}


def test_steps_are_due_after_the_arrival_but_not_before_we_open() -> None:
    steps = "[[queues.other.steps]]\nafter = '2m'\npriority = 5\n"
    text = TEXT.replace("[hours]", f"{steps}[hours]")
    assert [due.due_at for due in route(Facts(), read(text), NOW).steps] == [NOW + timedelta(minutes=2)]
    found = route(Facts(), read(text), NIGHT)
    assert (found.hours, found.serve_from) == ("closed", datetime(2026, 12, 1, 1, tzinfo=UTC))
    assert [due.due_at for due in found.steps] == [datetime(2026, 12, 1, 1, 2, tzinfo=UTC)]
    served = route(Facts(), read(text.replace("timezone", "outside = 'serve'\ntimezone")), NIGHT)
    assert (served.hours, served.steps[0].due_at) == ("closed", NIGHT + timedelta(minutes=2))


def test_a_rules_priority_goes_before_its_queues_and_a_step_never_puts_a_room_back() -> None:
    text = QUEUES.replace(
        "[queues.bali]\n",
        "[queues.bali]\npriority = 3\nsteps = [{ after = '1m', priority = 4 }, { after = '2m', priority = 9 }]\n",
    )
    text += "\n".join(
        f"[[rules]]\nname = '{q}'\nqueue = '{q}'\nwhen.source = '{q}'" for q in ("gold", "night", "buy", "other")
    )
    rules = read(
        text + "\n[[rules]]\nname = 'b'\nqueue = 'bali'\nwhen.source = 'x'\npriority = 5\n[default]\nqueue = 'bali'"
    )
    assert route(Facts(source="x"), rules, NOW).priority == 5
    assert route(Facts(), rules, NOW).priority == 3
    bali = rules.queues["bali"]
    assert [bali.priority_at(5, bali.step_at(waited)) for waited in (0, 59.9, 60, 120, 10**6)] == [5, 5, 5, 9, 9]


@each(
    ("pattern", "fit", "miss"),
    [
        ("*", ["", "x"], []),
        ("a@x.id", ["a@x.id"], ["a@x.idd", ""]),
        ("*@x.id", ["@x.id", "a@x.id", "@x.id@x.id"], ["a@x.id.com"]),
        ("a*a", ["aa", "aba"], ["a", "ab"]),
        ("*a*b*", ["ab", "xaxbx"], ["ba", "a"]),
        ("a**b", ["ab", "axb"], ["a"]),
        ("ab*ba", ["abba"], ["aba"]),
    ],
)
def test_a_star_stands_for_any_text(pattern: str, fit: list[str], miss: list[str]) -> None:
    assert all(Pattern(pattern).fits(text) for text in fit)
    assert not any(Pattern(pattern).fits(text) for text in miss)


def slowly_fits(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return slowly_fits(pattern[1:], text) or bool(text) and slowly_fits(pattern, text[1:])
    return bool(text) and pattern[0] == text[0] and slowly_fits(pattern[1:], text[1:])


@settings(max_examples=200, deadline=None)
@given(st.text("ab*", max_size=6), st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_patterns_are_judged_as_somebody_slow_does_and_cover_what_they_say(wide: str, narrow: str, text: str) -> None:
    assert Pattern(narrow).fits(text) is slowly_fits(narrow, text)
    if When(email=(Pattern(wide),)).covers(When(email=(Pattern(narrow),))) and Pattern(narrow).fits(text):
        assert Pattern(wide).fits(text)


values = st.frozensets(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=2)
patterns = st.lists(st.text("ab*", min_size=1, max_size=3).map(Pattern), min_size=1, max_size=2).map(tuple)
flags = st.frozensets(st.booleans(), min_size=1)
whens = st.builds(
    When,
    source=st.none() | values,
    channel=st.none() | values,
    properties=st.dictionaries(st.sampled_from(["x", "y"]), values, max_size=2),
    email=st.none() | patterns,
    name=st.none() | patterns,
    returning=st.none() | flags,
    hours=st.none() | st.frozensets(st.sampled_from(["open", "closed"]), min_size=1),
    proved=st.none() | flags,
)
words = st.none() | st.sampled_from(["a", "b", "c", "ab"])
some_facts = st.builds(
    Facts,
    source=words,
    channel_id=words,
    channel_name=words,
    email=words,
    name=words,
    returning=st.none() | st.booleans(),
    properties=st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["a", "b", "d"]), max_size=3),
    proved=st.booleans(),
)


@settings(max_examples=120, deadline=None)
@given(whens, whens, some_facts, st.booleans())
def test_what_covers_another_fits_whatever_the_other_fits(
    wide: When, narrow: When, facts: Facts, is_open: bool
) -> None:
    assert When().covers(narrow) and narrow.covers(narrow) and When().fits(facts, is_open)
    if wide.covers(narrow) and narrow.fits(facts, is_open):
        assert wide.fits(facts, is_open)


nonsense = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(["tier", "gold", "city"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "tier", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["source", "extras", "email", "channel", "latest_service"]), nonsense),
    st.integers(0, 10**8),
)
def test_any_payload_comes_to_one_queue_and_always_to_the_same(body: dict[str, Any], seconds: int) -> None:
    now = NOW + timedelta(seconds=seconds)
    first, again = (route(of_webhook(dict(body), NAMED), read(TEXT), now) for _ in range(2))
    assert first == again and first.queue in RULES.queues
    if first.rule == "Gold customers":
        assert body.get("source") in ("wa", "native")


def test_what_the_rules_name_is_what_the_receiver_keeps() -> None:
    assert Named(frozenset({"channel", "email", "returning"}), frozenset({"tier", "city", "topic"})) == NAMED
    assert named(read("")) == Named()


# Who may serve


TEAM = read(
    """
[queues.q]
agents = { divisions = ["sales ", "Gone"], ids = [7, 404], emails = ["BUDI@x.id", "no@x.id"] }
[[queues.q.steps]]
after = "1m"
agents = { divisions = ["Support", "Empty"] }
[[queues.q.steps]]
after = "2m"
agents = { channel = true }
[default]
queue = "q"
"""
)
AGENTS = [Agent("1"), Agent("2", "budi@X.id"), Agent("3"), Agent("7"), Agent("8")]
DIVISIONS = {"Sales": {"1"}, "SALES": {"3"}, "Support": {"8"}, "Empty": set()}


def test_who_may_serve_grows_with_the_steps_and_what_is_missing_is_said() -> None:
    teams = [may_serve(TEAM, "q", step, AGENTS, DIVISIONS, {"9"}) for step in range(3)]
    assert [team.agents for team in teams] == [
        {"1", "2", "3", "7"},
        {"1", "2", "3", "7", "8"},
        {"1", "2", "3", "7", "8", "9"},
    ]
    assert teams[0].missing == (
        "the desk has no division 'Gone'",
        "the desk has no agent 404",
        "the desk has no agent no@x.id",
    )
    gone, *strangers = teams[0].missing
    assert teams[1].missing == (gone, "the division 'Empty' is empty", *strangers), "divisions first"


def test_a_queue_that_the_rules_no_longer_have_is_served_by_whom_the_desk_names() -> None:
    assert may_serve(TEAM, "old", 3, AGENTS, DIVISIONS, {"9"}).agents == {"9"}


# What the customer is told


QUEUED = {"id": "Anda nomor {position}, perkiraan {eta}. {x} {", "en": "You are number {position}, about {eta}."}


def test_a_message_is_said_in_the_customers_language_where_it_is_known() -> None:
    assert message(QUEUED, "en", 3, 95) == "You are number 3, about 2 minutes."
    assert message(QUEUED, "id", 3, 60) == "Anda nomor 3, perkiraan 1 menit. {x} {"
    assert message(QUEUED, None, 3, 0).startswith("Anda nomor 3, perkiraan kurang dari 1 menit.")
    assert message(QUEUED, "fr", None, None).startswith("Anda nomor belum diketahui, perkiraan belum diketahui.")
    assert message({"en": "Back {opens}, {opens}."}, "id", opens="today") == "Back today, today."


def test_each_message_goes_out_once_and_again_only_for_a_new_position_after_its_time() -> None:
    told = Messages(QUEUED, 180, {"id": "Kami buka lagi {opens}."})
    sent = Sent(queued_at=NOW, position=3)
    soon, later = NOW + timedelta(seconds=179), NOW + timedelta(seconds=180)
    assert due(told, Sent(), 3, False, NOW) == "queued"
    assert [due(told, sent, place, False, at) for place, at in ((2, soon), (3, later), (2, later), (4, later))] == [
        None,
        None,
        "queued",
        "queued",
    ]
    assert due(told, sent, 2, True, later) == "closed", "the position is of no use until we open"
    assert due(told, Sent(closed=True), 2, True, later) is None
    assert due(told, Sent(closed=True), 2, False, later) == "queued"
    assert due(Messages(QUEUED), sent, 2, False, later) is None, "without again_every it goes out once"
    assert due(Messages(), Sent(), 1, False, NOW) is due(Messages(), Sent(), 1, True, NOW) is None


def test_an_estimate_is_rounded_up_to_what_people_say() -> None:
    said = [eta(seconds, "en") for seconds in (None, 0, 0.5, 60, 61, 3540, 3541, 3660, 86_400)]
    assert said == [
        "not yet known",
        "less than a minute",
        "1 minute",
        "1 minute",
        "2 minutes",
        "59 minutes",
        "1 hour",
        "2 hours",
        "24 hours",
    ]
    assert [eta(seconds, "id") for seconds in (125, 7000)] == ["3 menit", "2 jam"]


def test_the_next_opening_is_said_as_people_say_it_in_the_tenants_time_zone() -> None:
    def told(opens: datetime | None, language: str) -> str | None:
        return opening(opens, NIGHT, "Asia/Jakarta", language)

    at = datetime(2026, 12, 1, 1, tzinfo=UTC)  # 08:00 in Jakarta
    assert [told(at + timedelta(days=days), "id") for days in (-1, 0, 1, 6, 31)] == [
        "hari ini pukul 08.00",
        "besok pukul 08.00",
        "hari Rabu pukul 08.00",
        "tanggal 7 Desember pukul 08.00",
        "tanggal 1 Januari 2027 pukul 08.00",
    ]
    assert [told(at + timedelta(days=days), "en") for days in (-1, 0, 1, 6, 31)] == [
        "today at 08:00",
        "tomorrow at 08:00",
        "on Wednesday at 08:00",
        "on 7 December at 08:00",
        "on 1 January 2027 at 08:00",
    ]
    assert told(None, "id") is None
    assert opening(datetime(2026, 11, 30, 17, tzinfo=UTC), NIGHT, "Asia/Jakarta", "en") == "tomorrow at 00:00"


def test_what_is_compared_is_folded_on_both_sides() -> None:
    cities = {"gold": "KOTA  Straße", "bali": "日本", "night": "É", "buy": 7, "other": "x"}
    rule = "[[rules]]\nname = '{0}'\nqueue = '{0}'\nwhen.property.kota = '{1}'\n"
    rules = read(QUEUES + "".join(rule.format(queue, city) for queue, city in cities.items()))
    for city, queue in [
        ("kota strasse", "gold"),
        ("日本", "bali"),
        ("E\u0301", "night"),
        (7, "buy"),
        (7.0, "buy"),
        ("7", "buy"),
    ]:
        facts = of_webhook({"extras": {"user_properties": {"KOTA": city}}}, named(rules))
        assert route(facts, rules, NOW).queue == queue
