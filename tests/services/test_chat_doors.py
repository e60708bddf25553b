"""Who may do what at the sidecar's doors: origins, proxies, limits, keys, answers, pages and their policy."""

import asyncio
import gzip
import hashlib
import hmac
import ipaddress
import itertools
import json
import logging
import os
import re
import socket
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from db import sessions
from db.inbox import key
from sidecar.live.connection import Connection
from sidecar.live.parts import Demo
from sidecar.web import strangers
from sidecar.web.site import FOLDER, PAGES
from testbed.passwords import PASSWORD
from tests.services.chat_of import TENANT, At, Chat, run_chat
from tests.variants import first_rows

NEW = {"name": "Budi", "email": "budi@example.com"}
SESSIONS = "/api/v1/public/sessions"


def test_a_session_is_started_looked_at_and_ended(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        status, found = await at.post(SESSIONS, {**NEW, "message": "halo"})
        assert status == 201 and sorted(found) == ["customer_id", "position", "session_id", "session_key", "status"]
        assert (found["status"], found["position"]) == ("waiting", 1)
        path = f"{SESSIONS}/{found['session_key']}"
        status, look = await at.get(path)
        assert status == 200
        told = ("session_id", "status", "position", "waiting", "agents_online", "agent", "last_seq", "more")
        assert [look[name] for name in told] == [found["session_id"], "waiting", 1, 1, 0, None, 2, False]
        assert look["customer"] == {"name": "Budi", "email": "budi@example.com"}
        assert [(row["seq"], row["body"]) for row in look["messages"]] == [(1, "Budi started the chat"), (2, "halo")]
        assert (await at.post(f"{path}/rating", {"rating": 6}))[0] == 400
        assert (await at.post(f"{path}/rating", {"rating": 5, "comment": "fine"}))[0] == 200
        assert (await at.post(f"{path}/end", {}))[1]["status"] == "ended"
        assert (await at.post(f"{path}/end", {}))[0] == 200, "ending what has ended is no error"
        status, found = await at.post(f"{path}/messages", {"body": "one more thing"})
        assert (status, found["error"]["code"]) == (409, "session_ended")
        [visit] = chat.rows("SELECT state, reason FROM visits")
        assert tuple(visit) == ("closed", "ended by customer")
        async with at.http.get(f"{at.url}{path}/transcript?format=txt") as answer:
            assert answer.headers["Content-Disposition"].startswith("attachment")
            assert "halo" in await answer.text()

    run_chat(database_url, redis_url, story)


WRONG: list[tuple[str, object]] = [
    ("name", ""),
    ("name", "x" * 101),
    ("name", "a\nb"),
    ("name", 7),
    ("email", "nobody"),
    ("email", None),
    ("message", ["x"]),
    ("message", "x" * 10_001),
    ("tenant_id", "nowhere"),
    ("tenant_id", 7),
    ("language", 7),
    ("language", "x" * 36),
]


def test_a_wrong_field_is_named(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        for field, value in WRONG:
            status, found = await at.post(SESSIONS, {**NEW, field: value})
            assert (status, found["error"]["code"]) == (400, "invalid_payload"), (field, value)
            assert found["error"]["message"].startswith(f"{field}:")

    run_chat(database_url, redis_url, story)


def test_the_language_of_the_page_is_kept_where_it_is_one_of_ours(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        for told in ("id-ID", "EN", "fr", "", None):
            assert (await at.post(SESSIONS, {**NEW, "language": told}))[0] == 201
        kept = [row.language for row in chat.rows("SELECT language FROM sessions ORDER BY id")]
        assert kept == ["id", "en", None, None, None]

    run_chat(database_url, redis_url, story)


def test_with_two_tenants_one_has_to_be_named(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.tenant("warung")
        status, found = await at.post(SESSIONS, NEW)
        assert status == 400 and found["error"]["message"].startswith("tenant_id:")
        assert (await at.post(SESSIONS, {**NEW, "tenant_id": "warung"}))[0] == 201
        assert (await at.get("/api/v1/about"))[1] == {"demo": None, "tenants": []}

    run_chat(database_url, redis_url, story)


def test_whatever_is_wrong_with_a_request_the_answer_has_one_shape(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()

        async def asked(method: str, path: str, **more: Any) -> tuple[int, str]:
            async with at.http.request(method, URL(at.url + path, encoded=True), **more) as answer:
                assert answer.content_type == "application/json"
                found = await answer.json()
                assert sorted(found["error"]) == ["code", "message"]
                return answer.status, found["error"]["code"]

        json_type = {"Content-Type": "application/json"}
        assert await asked("GET", "/nowhere") == (404, "not_found")
        assert await asked("GET", "/api/v1/nowhere") == (404, "not_found")
        assert await asked("DELETE", SESSIONS) == (405, "method_not_allowed")
        assert await asked("POST", SESSIONS, data="x") == (415, "unsupported_media_type")
        assert await asked("POST", SESSIONS, data="{", headers=json_type) == (400, "invalid_json")
        assert await asked("POST", SESSIONS, data="[]", headers=json_type) == (400, "invalid_payload")
        assert await asked("POST", SESSIONS, data="x" * 300_000, headers=json_type) == (413, "payload_too_large")
        assert await asked("GET", f"{SESSIONS}/nokey") == (404, "not_found")
        assert await asked("GET", "/ws") == (426, "upgrade_required")
        assert await asked("GET", "/ws/public/nokey") == (426, "upgrade_required")
        assert await asked("GET", "/static/../app.py") == (404, "not_found")
        assert await asked("GET", "/static/%2e%2e/app.py") == (404, "not_found")
        for name in ("%00", "css/%00.css", "x" * 300, f"{'x' * 300}.css", "%ff.css", "css", "css/base.css/x.css"):
            assert await asked("GET", f"/static/{name}") == (404, "not_found"), name
        assert await asked("GET", "/api/v1/queue") == (401, "unauthorized")

    run_chat(database_url, redis_url, story)


def test_new_sessions_of_one_address_are_limited(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        proxies = (ipaddress.ip_network("127.0.0.0/8"),)
        at = await chat.sidecar(sessions_a_minute=5, trusted_proxies=proxies)

        async def start(address: str) -> tuple[int, str | None]:
            headers = {"X-Forwarded-For": address}
            async with at.http.post(at.url + SESSIONS, json=NEW, headers=headers) as answer:
                return answer.status, answer.headers.get("Retry-After")

        headers = {"X-Forwarded-For": "203.0.113.7"}
        for _ in range(10):  # counts for no limit
            async with at.http.post(at.url + SESSIONS, json={**NEW, "email": "none"}, headers=headers) as answer:
                assert answer.status == 400
        answers = [await start("203.0.113.7") for _ in range(6)]
        assert [status for status, _ in answers] == [201] * 5 + [429]
        assert 12 < int(answers[-1][1] or 0) <= 60, "the first of the five has to be a minute ago"
        assert (await start("203.0.113.8"))[0] == 201
        assert (await start("203.0.113.8, 203.0.113.7"))[0] == 429, "the nearest that no proxy of ours has counts"
        assert (await start("203.0.113.7:4711"))[0] == 429, "some proxies write the port, too"
        lines = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.7")]
        async with at.http.post(at.url + SESSIONS, json=NEW, headers=CIMultiDict(lines)) as answer:
            assert answer.status == 429, "the client's own line is none of our proxy's"
        network = [await start(f"2001:db8:0:1::{n:x}") for n in range(6)]
        assert [status for status, _ in network] == [201] * 5 + [429], "a household has a whole network"
        assert (await start("2001:db8:0:2::1"))[0] == 201
        assert (await start("::ffff:203.0.113.7"))[0] == 429

    run_chat(database_url, redis_url, story)


@pytest.mark.parametrize("declared", [False, True])
def test_forwarded_addresses_of_strangers_are_not_believed_and_that_is_said(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture, declared: bool
) -> None:
    """Once a minute at most: whoever has not declared their proxy learns why everybody has one address."""

    async def story(chat: Chat) -> None:
        proxies = [ipaddress.ip_network("127.0.0.0/8")] if declared else []
        at = await chat.sidecar(sessions_a_minute=3, trusted_proxies=proxies)
        answers = [await at.post(SESSIONS, NEW, None, **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(4)]
        assert [status for status, _ in answers] == [201, 201, 201, 201 if declared else 429]
        said = [record.getMessage() for record in caplog.records if "proxy_not_trusted" in record.getMessage()]
        assert len(said) == (0 if declared else 1)
        assert declared or ("peer=127.0.0.1" in said[0] and "TRUSTED_PROXIES" in said[0])

    run_chat(database_url, redis_url, story)


def test_what_a_chat_begins_with_does_not_tell_whether_its_address_ever_chatted(
    database_url: str, redis_url: str
) -> None:
    """Anybody may write any address. Only who proved it is the same customer each time."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar(secret_key="k" * 32)
        secret = "the secret of this site's server"
        chat.run("UPDATE tenants SET identity_secret = %s", secret)
        proof = {"user_hash": hmac.new(secret.encode(), NEW["email"].encode(), hashlib.sha256).hexdigest()}
        told = [(await at.post(SESSIONS, {**NEW, **more}))[1]["customer_id"] for more in ({}, {}, {}, proof, proof)]
        assert len({*told}) == 4 and told[-1] == told[-2]
        assert all(isinstance(one, int) and 2**20 < one < 2**53 for one in told), "no running number; any program's"

    run_chat(database_url, redis_url, story)


OURS = (ipaddress.ip_network("127.0.0.0/8"),)
EVE, BUDI = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}


def test_made_up_keys_and_tokens_cost_a_bounded_number_of_queries_and_a_line_a_minute(
    database_url: str, redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MISSES_AT_ONCE", 10.0)
    monkeypatch.setattr(strangers, "MISSES_A_SECOND", 0.01)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar(trusted_proxies=OURS)
        chat.hire("ani")
        login = {"email": "ani@example.com", "password": PASSWORD}
        token = (await at.post("/api/v1/auth/login", login))[1]["token"]
        key = (await at.post(SESSIONS, NEW))[1]["session_key"]

        async def asked(method: str, path: str, **headers: str) -> int:
            async with at.http.request(method, at.url + path, headers=headers) as answer:
                assert answer.status != 429 or int(answer.headers["Retry-After"]) >= 1
                return answer.status

        file = f"/api/v1/files/{'0' * 32}"
        mine = [("GET", f"{SESSIONS}/{key}", BUDI), ("GET", "/api/v1/me", {**BUDI, "Authorization": f"Bearer {token}"})]
        assert [await asked(method, path, **headers) for method, path, headers in mine] == [200, 200]
        guesses = [
            lambda n: asked("GET", f"{SESSIONS}/guess{n}", **EVE),
            lambda n: asked("POST", f"{SESSIONS}/guess{n}/messages", **EVE),
            lambda n: asked("GET", f"{file}?key=guess{n}", **EVE),
            lambda n: asked("GET", "/api/v1/queue", **EVE, Authorization=f"Bearer guess{n}"),
            lambda n: asked("GET", file, **EVE, Authorization=f"Bearer guess{n}"),
            lambda n: asked("POST", f"{SESSIONS}/guess{n}/attachments", **EVE),
        ]
        found = [await guess(n) for n in range(10) for guess in guesses]
        assert set(found[:10]) == {401, 404} and set(found[10:]) == {429}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await at.http.ws_connect(f"{at.url}/ws/public/guess", headers=EVE)
        assert refused.value.status == 429
        async with at.http.ws_connect(f"{at.url}/ws", headers=EVE) as socket:
            await socket.send_json({"type": "auth", "payload": {"token": "guess"}})
            assert (await socket.receive_json())["payload"]["code"] == "rate_limited"
        for method, path, headers in mine:
            assert await asked(method, path, **{**headers, **EVE}) == 200, "who is known here is let in"
        assert await asked("GET", f"{SESSIONS}/guess", **BUDI) == 404, "another address has a budget of its own"
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len([line for line in lines if "203.0.113.7" in line]) <= 3, lines
        async with at.http.get(at.url + "/metrics") as metrics:
            [told] = re.findall(r"^giliran_sidecar_strangers_refused_total (\S+)", await metrics.text(), re.M)
            assert float(told) >= 62

    run_chat(database_url, redis_url, story)


def test_what_anybody_may_ask_has_a_budget_for_each_address(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "ASKS_AT_ONCE", 6.0)
    monkeypatch.setattr(strangers, "ASKS_A_SECOND", 0.01)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar(trusted_proxies=OURS)

        async def asked(path: str, headers: dict[str, str]) -> int:
            async with at.http.get(at.url + path, headers=headers) as answer:
                return answer.status

        paths = ["/api/v1/public/desk", "/api/v1/about"]
        assert [await asked(path, EVE) for _ in range(4) for path in paths] == [200] * 6 + [429] * 2
        assert [await asked(path, BUDI) for path in paths] == [200, 200]
        assert {await asked("/readyz", EVE) for _ in range(20)} == {200}, "a balancer asks, too"

    run_chat(database_url, redis_url, story)


def test_the_sockets_of_one_address_are_bounded(database_url: str, redis_url: str) -> None:
    """Those of customers and of agents, with or without a login; who leaves makes room."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar(trusted_proxies=OURS, sockets_an_address=3)
        key = (await at.post(SESSIONS, NEW))[1]["session_key"]
        public, agents = f"{at.url}/ws/public/{key}", f"{at.url}/ws"

        async def refused(url: str, headers: dict[str, str]) -> int:
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await at.http.ws_connect(url, headers=headers)
            return error.value.status

        first = await at.http.ws_connect(public, headers=EVE)
        more = [await at.http.ws_connect(url, headers=EVE) for url in (public, agents)]
        assert [await refused(url, EVE) for url in (public, agents)] == [429, 429]
        for url in (public, agents):
            await (await at.http.ws_connect(url, headers=BUDI)).close()
        await first.close()
        async with asyncio.timeout(20):
            while True:
                try:
                    await (await at.http.ws_connect(public, headers=EVE)).close()
                    break
                except aiohttp.WSServerHandshakeError:
                    await asyncio.sleep(0.02)
        for one in more:
            await one.close()
        of_this_machine = [await at.http.ws_connect(agents) for _ in range(5)]
        for one in of_this_machine:
            await one.close()

    run_chat(database_url, redis_url, story)


def test_a_packed_body_is_not_unpacked_and_is_no_json(database_url: str, redis_url: str) -> None:
    """Whether it is packed well or not: nothing that a few bytes can become fills the memory."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        plain = json.dumps(NEW).encode()
        for coding, body in (("gzip", gzip.compress(plain)), ("deflate", zlib.compress(plain)), ("gzip", b"\x1f\x8b{")):
            headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
            async with at.http.post(at.url + SESSIONS, data=body, headers=headers) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_json"), coding
        assert (await at.post(SESSIONS, NEW))[0] == 201

    run_chat(database_url, redis_url, story)


def test_a_page_of_a_site_that_is_not_allowed_can_read_why(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        async with at.http.post(at.url + SESSIONS, json=NEW, headers={"Origin": "https://evil.example"}) as answer:
            assert (await answer.json())["error"]["code"] == "origin_not_allowed"
            assert answer.headers["Access-Control-Allow-Origin"] == "https://evil.example"
        async with at.http.get(at.url + "/api/v1/queue", headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_keys_and_ids_of_chats_that_begin_together_have_nothing_in_common(database_url: str, redis_url: str) -> None:
    """Nothing of them is made from the clock or counted."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        started = [one.started for one in await asyncio.gather(*(at.customer(f"C{n}") for n in range(100)))]
        for name, least in (("session_key", 43), ("session_id", 21)):
            words = sorted(one[name] for one in started)
            assert len(set(words)) == 100 and min(map(len, words)) >= least
            alike = [len(os.path.commonprefix(pair)) for pair in itertools.pairwise(words)]
            assert max(alike) < 8, name
            assert sum(word[1:].isdigit() for word in words) < 4, "one of 12,000 ids in hex happens to be digits only"

    run_chat(database_url, redis_url, story)


def test_no_running_number_and_no_id_opens_a_chat(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer("Budi", "halo")
        await budi.post("end", {})
        numbers = chat.rows("SELECT id, customer FROM sessions")[0]
        ways = [("GET", ""), ("GET", "/transcript"), ("POST", "/messages"), ("POST", "/end"), ("POST", "/rating")]
        for guess in {str(numbers.id), str(numbers.customer), "0", "1", budi.room}:
            for method, path in ways:
                async with at.http.request(method, f"{at.url}{SESSIONS}/{guess}{path}", json={"body": "x"}) as answer:
                    assert answer.status == 404, (guess, method, path)
            async with at.http.ws_connect(f"{at.url}/ws/public/{guess}") as ws:
                await ws.receive()
                await ws.receive()
                assert ws.close_code == 4404, guess
        assert len(chat.stored(budi.room)) == 3

    run_chat(database_url, redis_url, story)


def test_messages_over_http_are_limited_too(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(messages_a_second=2)
        budi = await at.customer()
        statuses = [(await budi.post("messages", {"body": "x"}))[0] for _ in range(8)]
        assert statuses[:6] == [201] * 6 and 429 in statuses

    run_chat(database_url, redis_url, story)


ORIGINS = [  # origin, with nothing allowed, with it allowed, in a demo
    (None, True, True, True),
    ("self", True, True, True),
    ("https://shop.example", False, True, False),
    ("https://SHOP.example", False, True, False),
    ("https://shop.example.evil.example", False, False, False),
    ("http://shop.example", False, False, False),
    ("http://localhost:3000", False, False, True),
    ("http://127.0.0.1:9", False, False, True),
    ("null", False, False, False),
    ("https://", False, False, False),
    ("http://[::", False, False, False),
]


@pytest.mark.parametrize(("origin", "alone", "allowed", "demo"), first_rows(ORIGINS, 4))
def test_pages_of_other_origins_are_let_in_by_name_only(
    database_url: str, redis_url: str, origin: str | None, alone: bool, allowed: bool, demo: bool
) -> None:
    async def story(chat: Chat) -> None:
        kinds: list[tuple[dict[str, Any], bool]] = [
            ({}, alone),
            ({"allowed_origins": ("https://shop.example",)}, allowed),
            ({"demo": Demo(TENANT, "", "")}, demo),
        ]
        for config, wanted in kinds:
            at = await chat.sidecar(**config)
            said = {"Origin": at.url if origin == "self" else origin} if origin else {}
            assert await lets_in(at, said) == wanted, (origin, config)

    run_chat(database_url, redis_url, story)


async def lets_in(at: At, said: dict[str, str]) -> bool:
    """REST and sockets agree."""
    budi = await at.customer()
    async with at.http.post(at.url + SESSIONS, json=NEW, headers=said) as answer:
        found = await answer.json()
        rest = answer.status == 201
        assert rest or (answer.status, found["error"]["code"]) == (403, "origin_not_allowed")
        assert not rest or answer.headers.get("Access-Control-Allow-Origin") == said.get("Origin")
    for path in (f"/ws/public/{budi.key}", "/ws"):
        try:
            async with at.http.ws_connect(at.url + path, headers=said):
                opened = True
        except aiohttp.WSServerHandshakeError as error:
            assert error.status == 403
            opened = False
        assert opened == rest
    return rest


def test_a_browser_may_ask_first_for_what_the_widget_needs(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(allowed_origins=("https://shop.example",))
        headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        async with at.http.options(at.url + SESSIONS, headers=headers) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
        async with at.http.options(at.url + "/api/v1/auth/login", headers=headers) as answer:
            assert answer.status in (404, 405) and "Access-Control-Allow-Origin" not in answer.headers

    run_chat(database_url, redis_url, story)


def test_a_user_hash_proves_who_a_customer_is(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.run("UPDATE tenants SET identity_secret = 'sesame'")
        right = hmac.new(b"sesame", b"budi@example.com", hashlib.sha256).hexdigest()
        assert (await at.post(SESSIONS, {**NEW, "user_hash": right}))[0] == 201
        assert (await at.post(SESSIONS, NEW))[0] == 201
        for wrong in ("0" * 64, "é", 7):
            status, found = await at.post(SESSIONS, {**NEW, "user_hash": wrong})
            assert (status, found["error"]["code"]) == (403, "forbidden")
        proved = chat.rows("SELECT proved, count(*) AS n FROM customers GROUP BY 1 ORDER BY 1")
        assert [tuple(row) for row in proved] == [(False, 1), (True, 1)]

    run_chat(database_url, redis_url, story)


def test_pages_are_served_with_a_policy_that_lets_nothing_else_run(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        for path, name in PAGES.items():
            if not (FOLDER / name).exists():
                continue
            async with at.http.get(at.url + path) as answer:
                assert answer.status == 200, path
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with at.http.get(at.url + "/static/css/base.css") as answer:
            assert (answer.status, answer.content_type) == (200, "text/css")
            assert answer.headers["Cache-Control"] == "no-cache"
            packed, tag = int(answer.headers["Content-Length"]), answer.headers["ETag"]
        assert packed < (FOLDER / "css/base.css").stat().st_size / 2, "packed for who can read it"
        async with at.http.get(at.url + "/static/css/base.css", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with at.http.get(at.url + "/static/css/base.css", headers={"Accept-Encoding": "identity"}) as answer:
            assert await answer.read() == (FOLDER / "css/base.css").read_bytes()

    run_chat(database_url, redis_url, story)


def test_the_demo_tells_its_accounts_and_nobody_else_does(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        chat.hire("ani")
        demo = await chat.sidecar(demo=Demo(TENANT, "open", "http://sim"))
        about = (await demo.get("/api/v1/about"))[1]
        account = {"email": "ani@example.com", "password": "open", "role": "agent"}
        assert about["demo"] == {"accounts": [account], "simulator_url": "http://sim"}
        assert about["tenants"] == [{"id": TENANT, "name": "Toko"}]
        assert (await (await chat.sidecar()).get("/api/v1/about"))[1]["demo"] is None

    run_chat(database_url, redis_url, story)


@pytest.mark.parametrize("whose", ["OPEN_OF_CUSTOMER", "OPEN_OF_ORIGIN"])
def test_one_sender_has_so_many_chats_open_and_no_more(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    monkeypatch.setattr(sessions, whose, 3)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()

        async def begin(number: int) -> tuple[int, dict[str, Any]]:
            email = "Budi@Example.com" if whose == "OPEN_OF_CUSTOMER" else f"budi{number}@example.com"
            email = email.lower() if number % 2 else email
            return await at.post("/api/v1/public/sessions", {"name": "Budi", "email": email, "tenant_id": TENANT})

        begun = [await begin(n) for n in range(3)]
        assert [status for status, _ in begun] == [201] * 3
        status, said = await begin(3)
        assert (status, said["error"]["code"]) == (429, "rate_limited")
        assert "open" in said["error"]["message"]
        assert (await at.post(f"/api/v1/public/sessions/{begun[0][1]['session_key']}/end", {}))[0] == 200
        assert (await begin(4))[0] == 201
        if whose == "OPEN_OF_CUSTOMER":
            await at.customer("Citra")

    run_chat(database_url, redis_url, story)


def test_metrics_tell_of_wrong_passwords_and_of_no_path_that_a_stranger_made_up(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        login = {"tenant": TENANT, "email": "x@example.com", "password": "wrong wrong"}
        assert (await at.post("/api/v1/auth/login", login))[0] == 401
        assert (await at.get("/made/up"))[0] == 404
        assert (await at.get(f"{SESSIONS}/made-up-key"))[0] == 404
        async with at.http.get(at.url + "/metrics") as answer:
            text = await answer.text()
        assert 'giliran_sidecar_answers_total{route="/api/v1/auth/login",status="401"} 1.0' in text
        assert 'giliran_sidecar_answers_total{route="",status="404"} 1.0' in text
        assert 'giliran_sidecar_answers_total{route="/api/v1/public/sessions/{key}",status="404"} 1.0' in text
        assert "made" not in text and "metrics" not in text

    run_chat(database_url, redis_url, story)


def test_metrics_tell_of_sockets_and_of_how_long_messages_took(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer()
        page = await budi.live()
        await page.wrote("halo")
        async with at.http.get(at.url + "/metrics") as answer:
            text = await answer.text()
        assert 'giliran_sidecar_connections{who="customer"} 1.0' in text
        assert "giliran_sidecar_delivery_seconds_count 1.0" in text
        assert f'giliran_sidecar_answers_total{{route="{SESSIONS}",status="201"}} 1.0' in text
        assert re.search(r"^giliran_sidecar_disk_free_bytes [1-9]", text, re.M)
        assert (await at.get("/readyz")) == (200, {"status": "ready"})

    run_chat(database_url, redis_url, story)


@pytest.mark.long
def test_a_hundred_customers_who_come_at_once_have_a_hundred_places(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        started = await asyncio.gather(*((here if n % 2 else there).customer(f"C{n}") for n in range(100)))
        assert sorted(one.started["position"] for one in started) == list(range(1, 101))

    run_chat(database_url, redis_url, story)


def test_the_end_of_a_chat_frees_its_seat_and_wakes_the_line(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar(default_limit=1)
        chat.hire("ani")
        ani = await at.colleague("ani")
        first, second = await at.customer("Budi"), await at.customer("Citra")
        await ani.pick(first)
        assert (await ani.post(f"queue/{second.room}/pick"))[1]["error"]["code"] == "at_max_load"
        ticket = key(TENANT, "ticket")
        await at.inside.parts.redis.delete(ticket)
        await first.post("end", {})
        assert await at.inside.parts.redis.get(ticket), "a look at the line was asked for"
        assert [row.open_seats for row in chat.rows("SELECT open_seats FROM agents")] == [0]
        await ani.pick(second)

    run_chat(database_url, redis_url, story)


def test_delivered_and_read_are_told_to_the_other_side_and_kept(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("ani")
        ani = await at.colleague("ani")
        desk = await ani.page()
        budi = await at.customer("Budi", "halo")
        page = await budi.live()
        await ani.pick(budi)
        await desk.say("chat.message.delivered", session_id=budi.room, up_to_seq=2)
        assert (await page.until_told("chat.message.delivered"))["up_to_seq"] == 2
        assert (await ani.post(f"sessions/{budi.room}/read", {"up_to_seq": 2}))[0] == 200
        told = await page.until_told("chat.message.read")
        assert told == {"session_id": budi.room, "up_to_seq": 2, "by": "agent"}
        await page.say("chat.message.read", up_to_seq=99)
        assert (await desk.until_told("chat.message.read", lambda one: one["by"] == "customer"))["up_to_seq"] == 3
        look = await budi.look()
        assert (look["agent_read"], look["agent_got"]) == (2, 2)
        new = await budi.live()
        assert new.told("chat.message.read") == [told], "a page that comes later knows it too"

    run_chat(database_url, redis_url, story)


def test_a_page_that_leaves_while_its_socket_is_opened_leaves_no_stack_trace(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = Connection.open

    async def opened_too_late(connection: Connection, request: web.Request) -> None:
        assert request.transport
        request.transport.abort()
        await opened(connection, request)

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        budi = await at.customer("Budi")
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(Connection, "open", opened_too_late)
            with pytest.raises(aiohttp.ClientError):
                await budi.page()
        assert (await budi.live()).seqs() == [1]

    run_chat(database_url, redis_url, story)
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_taken_port_is_one_clear_sentence(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "GILIRAN_DATA": str(tmp_path)}
        env |= {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "CHAT_PORT": str(port), "DEMO": "0"}
        command = [sys.executable, "-m", "sidecar"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(f"sidecar: can't listen on 127.0.0.1:{port}") and "set CHAT_PORT to a free port" in last
    assert "Traceback" not in done.stderr
