"""Customers of our own chat, led by rules: a real sidecar over a real ledger. What their site and they themselves say,
how long it is kept, and what they and their agents are told.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db import seats, sessions
from db.chat import CLASS
from db.turn import Turn
from policies import POLICIES
from sidecar.customers.properties import canonical
from sidecar.live import positions
from tests.services.chat_of import TENANT, At, Chat, Customer, run_chat, until
from worker import roster
from worker.calls import Unserved
from worker.desk.base import UnservedRoom
from worker.rules import Rules as WorkerRules

API = Path(__file__).resolve().parents[2] / "docs" / "api.md"
SESSIONS = "/api/v1/public/sessions"
SECRET = "sixteen-or-more-letters"
RULES = """
[sticky]
within = "30d"
wait = "2m"
[queues.gold]
agents = { divisions = ["Gold"] }
[queues.sales]
agents = { divisions = ["Sales"] }
[queues.known]
agents = { divisions = ["Sales"] }
[queues.rest]
agents = { channel = true }
[[rules]]
name = "Gold customers"
when = { proved = true, property.tier = ["gold", "7"] }
queue = "gold"
priority = 20
[[rules]]
name = "Known customers"
when = { returning = true, email = "*@bank.co.id" }
queue = "known"
[[topics]]
label = { en = "Buy something", id = "Pembelian" }
queue = "sales"
[[topics]]
label = { id = "Lainnya" }
queue = "rest"
[default]
queue = "rest"
"""
BUY = {"en": "Buy something", "id": "Pembelian"}


def apply(chat: Chat, content: str) -> None:
    """As `giliran routing apply` does."""
    [row] = chat.rows("SELECT rules_version + 1 AS version FROM tenants WHERE id = %s", TENANT)
    sql = "INSERT INTO rule_files (tenant, version, content, applied_by) VALUES (%s, %s, %s, 'test')"
    chat.run(sql, TENANT, row.version, content)
    sql = "UPDATE tenants SET rules_version = %s, rules_digest = md5(%s), rerouting = true WHERE id = %s"
    chat.run(sql, row.version, content, TENANT)


def proof(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


async def come(at: At, email: str = "sari@bank.co.id", **more: Any) -> Customer:
    status, found = await at.post(SESSIONS, {"name": "Sari", "email": email, **more})
    assert status == 201, found
    return Customer(at, found)


async def in_turn(at: At, work: Callable[[Turn], bool]) -> None:
    assert await at.inside.parts.turns.change(TENANT, work)


def discovered(turn: Turn, room: str) -> bool:
    """As a worker does with a session that has no visit."""
    rules = WorkerRules(POLICIES["least_loaded"], 2, 1.0, 30.0, 600.0, keep_days=90)
    roster.learn(turn, Unserved((UnservedRoom(room, CLASS, None, CLASS),)), rules)
    return True


def place(chat: Chat, customer: Customer) -> tuple[Any, ...]:
    """Queue and rule of the room's newest visit, and what is kept of its properties."""
    sql = "SELECT queue, rule, facts FROM visits WHERE room = %s ORDER BY id DESC LIMIT 1"
    [row] = chat.rows(sql, customer.room)
    return row.queue, row.rule, row.facts and row.facts["properties"]


def kept(chat: Chat, customer: Customer) -> Any:
    [row] = chat.rows("SELECT facts, topic FROM sessions WHERE room = %s", customer.room)
    return row.facts, row.topic


def test_what_is_known_leads_a_chat_as_long_as_it_is_open_and_is_then_forgotten(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        early = await come(at, properties={"tier": "gold"})
        assert place(chat, early) == (None, None, None) and kept(chat, early) == (None, None), "there are no rules"
        apply(chat, RULES)
        budi = await come(at, topic=" pembelian", properties={"city": "Ubud", "tier": "gold"}, language="id-ID")
        known = {"tier": "gold", "topic": "buy something"}
        assert place(chat, budi) == ("sales", None, known), "not proved; and the city is no rule's business"
        facts, topic = kept(chat, budi)
        expected = {"source": "native", "channel_id": "native", "email": "sari@bank.co.id", "returning": False}
        assert facts == {**expected, "language": "id", "proved": False, "properties": known} and topic == BUY

        await in_turn(at, lambda turn: sessions.leave(turn, budi.room))
        assert place(chat, budi) == ("sales", None, None)
        assert (await budi.look())["status"] == "waiting", "back again"
        assert place(chat, budi) == ("sales", None, known)
        chat.run("DELETE FROM visits WHERE room = %s", budi.room)
        await in_turn(at, lambda turn: discovered(turn, budi.room))
        assert place(chat, budi) == ("sales", None, known)

        ani = await at.colleague("ani")
        shown = (await ani.get("queue"))[1]["sessions"]
        assert [(one["queue"], one["topic"]) for one in shown] == [(None, None), ("sales", BUY)]
        await ani.pick(budi)  # by hand: whoever they are, and whatever the queue
        assert place(chat, budi) == ("sales", None, None) and kept(chat, budi)[0] == facts
        await in_turn(at, lambda turn: seats.release(turn, budi.room, ani.id, lambda cur: True, "test"))
        assert place(chat, budi) == ("sales", None, known)
        [due] = chat.rows(
            "SELECT change_at <= clock_timestamp() AS now FROM visits WHERE state = 'waiting' AND room = %s", budi.room
        )
        assert due.now, "the next decision routes it by the rules of then"

        await ani.pick(budi)
        assert (await ani.get(f"sessions/{budi.room}"))[1]["topic"] == BUY
        await budi.post("end", {})
        assert kept(chat, budi) == (None, None)
        again = await come(at, topic="Buy something")
        assert place(chat, again) == ("known", "Known customers", {"topic": "buy something"})
        stranger = await come(at, "dewi@example.com", topic="Lainnya")
        sql = "SELECT s.room, v.sticky_agent FROM sessions s JOIN visits v USING (room) WHERE v.state = 'waiting'"
        stuck = {row.room: row.sticky_agent for row in chat.rows(sql)}
        assert (stuck[again.room], stuck[stranger.room]) == (ani.id, None), "their other session's agent"

    run_chat(database_url, redis_url, story)


ODD = {"tier": 'emas é "x" \n', "n": 7.0, "half": 0.5, "small": 0.00001, "vip": True, "Ä": -3}


def test_only_what_the_sites_own_server_has_signed_is_proved(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.run("UPDATE tenants SET identity_secret = %s", SECRET)
        apply(chat, RULES)
        signed = proof('sari@bank.co.id\n{"city":"Ubud","tier":"gold"}')
        assert f"`{signed}`" in API.read_text()
        gold = {"tier": "gold", "city": "Ubud"}
        ours = await come(at, properties=gold, properties_hash=signed.upper())
        assert place(chat, ours) == ("gold", "Gold customers", {"tier": "gold"})
        for wrong in (
            {"properties": {**gold, "tier": "platinum"}, "properties_hash": signed},
            {"properties": gold, "properties_hash": proof("sari@bank.co.id")},
            {"email": "dewi@bank.co.id", "properties": gold, "properties_hash": signed},
            {"properties": gold, "properties_hash": ["é"]},
        ):
            status, found = await at.post(SESSIONS, {"name": "Sari", "email": "sari@bank.co.id", **wrong})
            assert (status, found["error"]["code"]) == (403, "forbidden")
            assert found["error"]["message"].startswith("properties_hash:")
        alone = await come(at, properties=gold, user_hash=proof("sari@bank.co.id"))
        assert place(chat, alone) == ("rest", None, {"tier": "gold"}), "the address proves no property"
        python = json.dumps({**ODD, "n": 7, "small": 1}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert canonical(ODD) == python.replace('"small":1', '"small":0.00001')
        odd = await come(at, properties=ODD, properties_hash=proof(f"sari@bank.co.id\n{canonical(ODD)}"))
        assert kept(chat, odd)[0]["proved"] is True

    run_chat(database_url, redis_url, story)


WRONG: list[tuple[str, Any, str]] = [
    ("properties", [], "properties:"),
    ("properties", {str(n): n for n in range(21)}, "properties: has 21 keys"),
    ("properties", {"tier": None}, "properties.tier:"),
    ("properties", {"ok": 1, "tier": ["gold"]}, "properties.tier:"),
    ("properties", {"tier": "x" * 257}, "properties.tier: must have at most 256"),
    ("properties", {"k" * 65: 1}, f"properties.{'k' * 65}: a key must"),
    ("properties", {"": 1}, "properties.: a key must"),
    ("topic", "Sell something", "topic: is none"),
    ("topic", 7, "topic:"),
]


def test_a_wrong_property_or_topic_is_named(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        apply(chat, RULES)
        for field, value, said in WRONG:
            body = {"name": "Sari", "email": "sari@bank.co.id", field: value}
            status, found = await at.post(SESSIONS, body)
            assert (status, found["error"]["code"]) == (400, "invalid_payload"), (field, value)
            assert found["error"]["message"].startswith(said), found
        largest = {f"{'k' * 62}{n:02}": "x" * 256 for n in range(20)}
        await come(at, topic="", properties=largest)

    run_chat(database_url, redis_url, story)


def test_pages_are_told_topics_and_when_we_open(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "HOURS_EVERY_S", 0.5)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        desk = (await at.get(f"/api/v1/public/desk?tenant_id={TENANT}"))[1]
        assert (desk["topics"], desk["closed"]) == ([], None)
        sari = await come(at)
        page = await sari.live()
        assert (await page.until_told("chat.queue.position"))["closed"] is None
        lines = at.inside.parts.positions
        await until(lambda: lines.line(TENANT), what="a look at the line")
        opens = datetime.now(UTC) + timedelta(days=3)
        day = opens.strftime("%a").lower()
        hours = f'[hours]\ntimezone = "UTC"\nopen = ["{day} 08:00-17:00"]\n'
        apply(chat, hours + RULES)
        lines.stirred(TENANT)  # as whatever happens in the line
        told = await page.until_told("chat.queue.position", lambda one: one["closed"] is not None)
        expected = {"en": f"on {opens:%A} at 08:00", "id": told["closed"]["opens"]["id"]}
        closed = {"opens_at": opens.strftime("%Y-%m-%dT08:00:00.000Z"), "opens": expected}
        assert told["closed"] == closed and expected["id"].startswith("hari ") and told["eta_seconds"] is None
        assert (await sari.look())["closed"] == closed
        other = await chat.sidecar()  # which has nothing of a second ago
        desk = (await other.get(f"/api/v1/public/desk?tenant_id={TENANT}"))[1]
        assert (desk["topics"], desk["closed"]) == ([BUY, {"id": "Lainnya"}], closed)
        apply(chat, hours.replace("[hours]", '[hours]\noutside = "serve"') + RULES)
        await until(lambda: page.told("chat.queue.position")[-1]["closed"] is None, what="open, though nobody moved")

    run_chat(database_url, redis_url, story)
