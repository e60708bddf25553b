"""The supervisors' socket and acts against who means no good, and tenants that go away meanwhile."""

import logging
from typing import Any

import aiohttp
import pytest

from db import operators
from sidecar.ops.sockets import SOCKETS_MOST
from testbed.passwords import PASSWORD, hash_of
from tests.services.chat_of import TENANT, At, Chat, Colleague, Page, run_chat, until
from tests.services.test_ops import done, qiscus, screen, supervisor

OPS = "ops@example.com"


async def operator(chat: Chat, at: At) -> Colleague:
    with chat.ledger.transaction() as cur:
        operators.add(cur, OPS, "Ops", hash_of(PASSWORD))
    _, entry = await at.post("/api/v1/auth/login", {"email": OPS, "password": PASSWORD})
    return Colleague(at, entry["token"], entry["agent"])


def wrongs(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]


ASKED: list[tuple[dict[str, Any], str | None]] = [
    ({"view": "everything"}, "invalid_payload"),
    ({"view": "health"}, "forbidden"),
    ({"view": "queue", "tenant": "warung"}, "not_found"),
    ({"view": "now", "tenant": "warung"}, "not_found"),
    ({"view": "room", "tenant": TENANT, "room": "nobody's"}, None),
    ({"view": "queue", "state": "odd"}, "invalid_payload"),
    ({"view": "queue", "offset": 2**53, "limit": 2**53}, None),
    ({"view": "queue", "offset": 2**80}, "invalid_payload"),
    ({"view": "queue", "offset": -1}, "invalid_payload"),
    ({"view": "queue", "limit": True}, "invalid_payload"),
    ({"view": "queue", "q": "a\0b%_\\ '"}, None),
    ({"view": "queue", "q": "x" * 5000}, "invalid_payload"),
    ({"view": "queue", "queue": "channel:99999999999999999999999999"}, None),
    ({"view": "queue", "queue": ["a"]}, "invalid_payload"),
    ({"view": "decisions", "agent": "\u202e", "policy": "no such", "queue": "🙂"}, "invalid_payload"),
    ({"view": "agents", "tenant": {"$ne": 1}}, "invalid_payload"),
]


def test_what_a_page_asks_for_is_checked_and_costs_nobody_else_anything(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.tenant("warung")
        sri = await supervisor(chat, at)
        for asked, code in ASKED:
            page = (await screen(sri)).page
            await page.say("ops.watch", watch="w", **asked)
            answered = await until(lambda page=page: page.told("ops.state") or page.told("error"))
            assert answered[0].get("code") == code, (asked, answered)
            await page.say("ops.watch", watch="after", view="queue")
            await page.until_told("ops.state", lambda told: told["watch"] == "after")
            await page.close()

    run_chat(database_url, redis_url, story)
    assert wrongs(caplog) == []


def test_a_tenant_that_is_removed_ends_what_is_watched_of_it_and_nothing_else(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        ops = await screen(await operator(chat, at))
        await ops.watch("own", "queue", tenant=qiscus(chat, "app"))
        await ops.watch("all", "now")
        await ops.until("own", lambda found: True)
        chat.run("DELETE FROM tenants WHERE id = 'app'")
        told = await ops.page.until_told("error")
        assert (told["code"], told["watch"]) == ("not_found", "own")
        await ops.until("all", lambda found: found["order"] == [TENANT])
        qiscus(chat, "bpp")
        await ops.until("all", lambda found: found["order"] == ["bpp", TENANT])
        assert len(ops.page.told("error")) == 1

    run_chat(database_url, redis_url, story)
    assert wrongs(caplog) == []


def test_nobody_opens_sockets_without_end(database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri = await supervisor(chat, at)
        pages = [(await screen(sri)).page for _ in range(SOCKETS_MOST)]
        more = Page(await at.http.ws_connect(f"{at.url}/ws/ops"))
        await more.say("auth", token=sri.token)
        assert await more.closed() == 1013 and more.told("error")[0]["code"] == "rate_limited"
        await pages[0].close()
        await until(lambda: at.inside.parts.sockets.number(("supervisor", TENANT, sri.id)) < SOCKETS_MOST)
        await screen(sri)
        for token in (None, "", "wrong", sri.token + "x", 7):
            page = Page(await at.http.ws_connect(f"{at.url}/ws/ops"))
            await page.say("auth", token=token)
            assert await page.closed() == 4001, token
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await at.http.ws_connect(f"{at.url}/ws/ops", headers={"Origin": "https://evil.example"})

    run_chat(database_url, redis_url, story)
    assert wrongs(caplog) == []


def test_an_operator_acts_in_every_tenant_and_is_named_in_its_audit(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri, ops = await supervisor(chat, at), await operator(chat, at)
        chat.hire("ani")
        ani = await at.colleague("ani")
        page = await ani.page()
        budi, citra = await at.customer("Budi"), await at.customer("Citra")
        await ani.pick(budi)
        room, agent = f"{TENANT}/rooms/{citra.room}", f"{TENANT}/agents/{ani.id}"
        for method, path, body in (
            ("PUT", f"{TENANT}/limits", {"scope": "tenant", "value": 4}),
            ("PUT", f"{TENANT}/limits", {"scope": "agent", "agent": ani.id, "value": 2}),
            ("PUT", f"{TENANT}/drain", {"draining": True}),
            ("PUT", f"{TENANT}/drain", {"draining": False}),
            ("POST", f"{room}/priority", {"priority": 3}),
            ("POST", f"{room}/retry", {}),
            ("POST", f"{room}/close", {}),
            ("POST", f"{agent}/return", {}),
            ("POST", f"{agent}/logout", {}),
        ):
            status, told = await done(ops, method, f"{path}?dry_run=1", **body)
            assert status == 200 and "done" not in told, (path, told)
            status, told = await done(ops, method, path, **body)
            assert (status, told["done"]) == (200, True), (path, told)
        assert await page.closed() == 4001
        acts = (await sri.get(f"ops/{TENANT}/audit"))[1]["acts"]
        assert {act["who"] for act in acts} == {OPS} and len(acts) >= 8, "a dry run is no act"
        assert chat.rows("SELECT status FROM sessions WHERE room = %s", citra.room)[0].status == "ended"
        assert chat.rows("SELECT state FROM visits WHERE room = %s", budi.room)[0].state == "waiting"
        assert (await done(sri, "PUT", f"{TENANT}/limits", scope="tenant", value=9))[0] == 403
        assert (await done(ops, "PUT", f"{TENANT}/limits", scope="agent", agent="nobody", value=1))[0] == 404
        assert (await done(ops, "PUT", f"{TENANT}/limits", scope="tenant", value=1e3))[0] == 400

    run_chat(database_url, redis_url, story)
    assert wrongs(caplog) == []
