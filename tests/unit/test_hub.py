"""The hub: each room's rows once, in order, without gaps, for whoever may hear them; pure, so every order is tried."""

import json
import random
from collections.abc import Callable
from typing import Any

from db.announce import News
from sidecar.live.hub import Head, Hub, units
from tests.variants import each

TENANT = "toko"


class Ear:
    def __init__(self, agent: str | None = None) -> None:
        self.agent = agent
        self.got: int | None = None
        self.pending: dict[tuple[str, str], float] = {}
        self.owed: Callable[[], None] | None = None
        self.frames: list[tuple[str, dict[str, Any]]] = []

    def take(self, frames: bytes, number: int) -> None:
        assert number == 1, "nothing is gathered here"
        self.push(frames)

    def push(self, frame: bytes) -> None:
        found = json.loads(frame[frame.index(b"{") :])
        self.frames.append((found["type"], found["payload"]))

    def seqs(self, room: str = "r") -> list[int]:
        return [
            payload["seq"]
            for kind, payload in self.frames
            if kind in ("chat.message.new", "chat.message.ack") and payload["session_id"] == room
        ]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.frames]


def row(seq: int, room: str = "r", **more: Any) -> News:
    payload = {"session_id": room, "seq": seq, "id": f"m{seq}", "created_at": "", "body": "", "sender_type": "customer"}
    return News(room, "chat.message.new", {**payload, "sender_id": "", **more}, "room", seq)


def event(seq: int, kind: str, to: str = "room") -> News:
    return News("r", kind, {"session_id": "r"}, to, seq)


def customer(hub: Hub, got: int = 0, room: str = "r", tenant: str = TENANT) -> Ear:
    ear = Ear()
    hub.enter(tenant, room, ear)
    assert hub.catch_up(tenant, room, ear, got, True)
    return ear


def agent(hub: Hub, name: str = "a1", heads: dict[str, int] | None = None, tenant: str = TENANT) -> Ear:
    ear = Ear(name)
    if not hub.watch(tenant, ear):
        hub.know(tenant, [Head(tenant, room, last, False) for room, last in (heads or {}).items()])
    return ear


def fetch(hub: Hub, stored: int) -> None:
    """What the feed does about gaps, until there is none."""
    while wanted := hub.missing():
        for tenant, room, after in wanted:
            for seq in range(after + 1, stored + 1):
                hub.hear(tenant, [row(seq, room)])


def test_rows_in_order_are_passed_on_at_once() -> None:
    hub = Hub()
    ear = customer(hub)
    for seq in (1, 2, 3):
        hub.hear(TENANT, [row(seq)])
    assert ear.seqs() == [1, 2, 3]
    assert hub.missing() == []


def test_a_row_that_came_before_is_not_passed_on_again() -> None:
    hub = Hub()
    ear = customer(hub)
    for seq in (1, 2, 1, 2, 3, 3):
        hub.hear(TENANT, [row(seq)])
    assert ear.seqs() == [1, 2, 3]


def test_a_later_row_waits_for_the_missing_ones() -> None:
    hub = Hub()
    ear = customer(hub)
    hub.hear(TENANT, [row(1)])
    hub.hear(TENANT, [row(4)])
    assert (ear.seqs(), hub.missing()) == ([1], [(TENANT, "r", 1)])
    hub.hear(TENANT, [row(2)])
    assert hub.missing() == [(TENANT, "r", 2)]
    hub.hear(TENANT, [row(3)])
    assert (ear.seqs(), hub.missing()) == ([1, 2, 3, 4], [])


@each("seed", range(200))
def test_whatever_the_order_and_the_losses_everybody_hears_each_row_once(seed: int) -> None:
    """Rows are lost, doubled and reordered; ears come at any moment; looks at the database come in between."""
    dice = random.Random(seed)
    hub, stored, ears = Hub(), 0, []  # type: ignore[var-annotated]
    watcher = agent(hub)
    on_the_way: list[int] = []
    for _ in range(60):
        what = dice.random()
        if what < 0.4:
            stored += 1
            on_the_way += [stored] * dice.choice((0, 1, 1, 2))
        elif what < 0.8 and on_the_way:
            hub.hear(TENANT, [row(on_the_way.pop(dice.randrange(len(on_the_way))))])
        elif what < 0.9:
            ear = Ear()
            hub.enter(TENANT, "r", ear)
            got = dice.randint(0, stored)  # its history was read a while ago
            while not hub.catch_up(TENANT, "r", ear, got, True):
                got = stored
            ears.append((got, ear))
        elif stored:
            hub.compare([Head(TENANT, "r", stored, False)])
            fetch(hub, stored)
    if stored:
        hub.compare([Head(TENANT, "r", stored, False)])
    fetch(hub, stored)
    assert watcher.seqs() == list(range(1, stored + 1))
    for got, ear in ears:
        assert ear.seqs() == list(range(got + 1, stored + 1))


def test_what_belongs_to_one_row_is_told_together_and_once() -> None:
    hub = Hub()
    ear, desk = customer(hub), agent(hub)
    happening = [row(1), event(1, "for.customer", "customer"), event(1, "for.agents", "agents"), event(1, "for.all")]
    for _ in range(2):
        hub.hear(TENANT, happening)
    assert ear.kinds() == ["chat.message.new", "for.customer", "for.all"]
    assert desk.kinds() == ["chat.message.new", "for.agents", "for.all"]


def test_happenings_wait_with_their_row() -> None:
    hub = Hub()
    ear = customer(hub)
    hub.hear(TENANT, [row(2), event(2, "later")])
    hub.hear(TENANT, [row(1), event(1, "sooner")])
    assert ear.kinds() == ["chat.message.new", "sooner", "chat.message.new", "later"]


def test_who_sent_it_gets_the_acknowledgement_in_its_place() -> None:
    took: list[float] = []
    hub = Hub(took.append)
    sender, other, desk = customer(hub), customer(hub), agent(hub, heads={"r": 0})
    sender.pending["r", "c1"] = 5.0
    hub.hear(TENANT, [row(2, client_id="c1")])
    assert sender.frames == [], "not before the row that comes first"
    hub.hear(TENANT, [row(1)])
    assert sender.kinds() == ["chat.message.new", "chat.message.ack"]
    assert sender.frames[1][1]["client_id"] == other.frames[1][1]["client_id"] == "c1"
    assert "client_id" not in desk.frames[1][1]
    assert (took, sender.pending) == ([5.0], {})


def test_a_client_id_of_another_sender_is_not_taken_for_ones_own() -> None:
    hub = Hub()
    ear, desk = customer(hub), agent(hub, "a1", {"r": 0, "q": 0})
    ear.pending["r", "1"] = desk.pending["r", "1"] = 0.0
    hub.hear(TENANT, [row(1, client_id="1", sender_type="agent", sender_id="a2")])
    hub.hear(TENANT, [row(1, "q", client_id="1", sender_type="agent", sender_id="a1")])
    assert ear.kinds() == ["chat.message.new"]
    assert desk.kinds() == ["chat.message.new", "chat.message.new"]


def test_agents_hear_all_rooms_of_their_tenant_and_customers_their_own() -> None:
    hub = Hub()
    here, there = agent(hub), agent(hub, tenant="warung")
    mine, other = customer(hub, room="r"), customer(hub, room="q")
    hub.hear(TENANT, [row(1, "r"), row(1, "q"), row(1, "new")])
    hub.hear(TENANT, [News("r", "chat.note.new", {"session_id": "r"}, "agents")])
    assert [len(ear.frames) for ear in (here, there, mine, other)] == [4, 0, 1, 1]


def test_what_is_never_stored_is_not_told_to_who_did_it() -> None:
    hub = Hub()
    typist, other, desk = customer(hub), customer(hub), agent(hub)
    hub.hear(TENANT, [News("r", "chat.typing", {"session_id": "r"})], but=typist)
    assert [len(ear.frames) for ear in (typist, other, desk)] == [0, 1, 1]


def test_what_comes_before_the_open_rooms_are_known_is_kept() -> None:
    hub = Hub()
    desk = Ear("a1")
    assert hub.watch(TENANT, desk) is False
    hub.hear(TENANT, [row(8, "old")])
    hub.hear(TENANT, [row(1, "young")])
    hub.know(TENANT, [Head(TENANT, "old", 7, False)])
    assert (desk.seqs("old"), desk.seqs("young")) == ([8], [1])
    assert hub.watch(TENANT, Ear("a2")) is True


def test_a_customer_who_came_while_an_agent_was_learning_the_rooms_misses_nothing() -> None:
    """All come back at once after a restart: the customer has heard up to 15 when the list already says 16."""
    hub = Hub()
    desk = Ear("a1")
    assert hub.watch(TENANT, desk) is False
    page = customer(hub, got=15)
    hub.hear(TENANT, [row(16)])
    hub.know(TENANT, [Head(TENANT, "r", 16, False)])
    hub.hear(TENANT, [row(17)])
    fetch(hub, 17)
    assert page.seqs() == [16, 17]
    assert desk.seqs() == [17], "16 is in its list"


def test_a_room_whose_first_word_was_lost_is_told_from_its_beginning() -> None:
    hub = Hub()
    desk = agent(hub)
    hub.compare([Head(TENANT, "r", 2, False)])
    assert hub.missing() == [(TENANT, "r", 0)]
    fetch(hub, 2)
    assert desk.seqs() == [1, 2]


def test_a_customer_who_comes_before_the_first_word_does_not_hide_the_room_from_agents() -> None:
    hub = Hub()
    desk = agent(hub)
    ear = customer(hub, got=2)
    hub.hear(TENANT, [row(3)])
    fetch(hub, 3)
    assert (desk.seqs(), ear.seqs()) == ([1, 2, 3], [3])


def test_what_nobody_hears_is_forgotten() -> None:
    hub = Hub()
    desk, ear = agent(hub, heads={"r": 3}), customer(hub, got=3)
    hub.unwatch(TENANT, desk)
    assert hub.heard() == ([], [(TENANT, "r", 3)])
    hub.leave(TENANT, "r", ear)
    assert (hub._tenants, hub.heard()) == ({}, ([], []))


def test_an_ended_room_is_forgotten_after_a_while_and_not_begun_anew() -> None:
    hub = Hub()
    desk = agent(hub, heads={"r": 3})
    for _ in range(40):
        hub.compare([Head(TENANT, "r", 3, True)])
    assert hub.heard_of(TENANT) == []
    hub.compare([Head(TENANT, "r", 3, True)])
    assert (hub.missing(), desk.frames) == ([], [])


def test_rows_that_are_not_there_are_given_up() -> None:
    hub = Hub()
    ear = customer(hub)
    hub.hear(TENANT, [row(5)])
    hub.give_up([(TENANT, "r")])
    hub.hear(TENANT, [row(1)])
    assert (hub.missing(), ear.seqs()) == ([], [1])


def test_news_of_one_row_are_one_unit() -> None:
    news = [row(1), event(1, "a"), row(2), News("r", "t", {}), News("r", "t", {}), row(2, "q")]
    assert [len(unit) for unit in units(news)] == [2, 1, 1, 1, 1]
