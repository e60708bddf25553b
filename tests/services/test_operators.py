"""Operators of the installation, and the supervisors of Qiscus's tenants: their accounts, and what is open to whom."""

import asyncio
import re

import pytest

from db import operators, people
from db.people import FAILURES_MOST
from scripts.admin.installation import typing_user
from testbed.passwords import CHEAP, PASSWORD, hash_of
from tests.services.chat_floor import Floor
from tests.services.chat_of import TENANT, Chat, Page, run_chat
from tests.services.line_of import Line
from tests.services.test_admin import Ground
from tests.services.test_login import HERE, add_other_tenant, end_of
from worker.desk.base import RosterAgent
from worker.sweep import Sweeper

OPS = "ops@shop.example"


@pytest.fixture
def ground(database_url, redis_url, monkeypatch):
    monkeypatch.setattr(people, "HASHER", CHEAP)
    return Ground(database_url, redis_url)


def add(ground: Ground, email: str = OPS, password: str = PASSWORD):
    return ground.run("operator", "add", email, "--name", "Ops", "--password-file", "-", stdin=f"{password}\n")


# --- the commands


def test_operators_are_added_listed_disabled_and_enabled_and_each_act_is_in_the_audit(ground):
    assert "no operator yet" in ground.ok("operator", "list")
    assert "logs in on /ops" in add(ground).stdout
    twice, weak, odd = add(ground, "OPS@shop.example"), add(ground, "b@x.id", "password"), add(ground, "nobody")
    assert [each.exit_code for each in (twice, weak, odd)] == [4, 4, 4]
    assert "an operator already" in twice.stderr and "no e-mail address" in odd.stderr

    assert ground.json("operator", "disable", "OPS@SHOP.example")["disabled"] is True
    assert "disabled: can't log in" in ground.ok("operator", "list")
    assert "is enabled" in ground.ok("operator", "enable", OPS)
    assert "has a new password" in ground.ok(
        "operator", "password", OPS, "--password-file", "-", stdin="another-1234\n"
    )
    assert people.matches(ground.sql("SELECT password_hash FROM operators")[0].password_hash, "another-1234")
    (one,) = ground.json("operator", "list")["operators"]
    assert (one["email"], one["name"], one["disabled"]) == (OPS, "Ops", False)
    for act in ("disable", "enable", "unlock", "password"):
        unknown = ground.run("operator", act, "who@x.id", *(["--password-file", "-"] if act == "password" else []))
        assert unknown.exit_code == 3 and "no operator 'who@x.id'" in unknown.stderr

    acts = ground.json("audit")["acts"]
    assert [each["what"].removeprefix("operator ") for each in acts] == ["password", "enable", "disable", "add"]
    assert {(each["who"], each["tenant"], each["subject"]) for each in acts} == {
        (f"giliran:{typing_user()}", None, OPS)
    }
    assert not re.search(f"argon2|{PASSWORD}|another-1234", str(ground.sql("SELECT * FROM audit")))


def test_guessing_an_operators_password_is_limited_like_anybodys_and_unlock_ends_it(line: Line, monkeypatch) -> None:
    monkeypatch.setattr(people, "HASHER", CHEAP)
    ground = Ground(line.database_url, line.redis_url)

    async def story() -> None:
        async with Floor(line) as floor:
            await floor.store.run(lambda cur: operators.add(cur, "Ops@Shop.example", "Ops", hash_of(PASSWORD)))

            async def enters(password: str = PASSWORD, tenant: str | None = None, address: str = HERE) -> str:
                return await end_of(floor.login.login(tenant, OPS, password, address))

            assert [await enters("wrong") for _ in range(FAILURES_MOST)] == ["LoginRefused"] * FAILURES_MOST
            assert await enters() == "LoginLater" and await enters(address="203.0.113.9") == "in"
            assert "locked after wrong passwords until" in ground.ok("operator", "list")
            assert "wrong passwords are forgotten" in ground.ok("operator", "unlock", OPS)
            token, ops, *_ = await floor.login.login(None, OPS, PASSWORD, HERE)
            assert (ops.tenant, ops.role, ops.is_operator, ops.has_chats) == ("", "operator", True, False)
            assert await floor.who(token) == ops and await floor.login.valid([token, "other"]) == {token}

            assert await enters(tenant=line.tenant) == "LoginRefused", "of no tenant"
            await floor.hire("ops", "admin")
            assert await enters(tenant=line.tenant) == "in", "an account of the same e-mail is another one"
            assert (await floor.login.login(None, OPS, PASSWORD, HERE))[1] == ops
            add_other_tenant(line)
            assert await enters() == "in"
            assert await enters("wrong") == await end_of(floor.login.login(None, "no@x.id", PASSWORD, HERE))

            await floor.login.logout(token)
            assert await floor.who(token) is None
            again = (await floor.login.login(None, OPS, PASSWORD, HERE))[0]
            ground.ok("operator", "disable", OPS)
            assert await floor.who(again) is None and await floor.login.valid([again]) == set()
            assert await enters() == await end_of(floor.login.login(None, "no@x.id", PASSWORD, HERE)) != "in"

    asyncio.run(story())


# --- people of a Qiscus tenant


def test_supervisors_of_a_qiscus_tenant_are_no_agents_of_it(ground, line: Line) -> None:
    """Rosters, decisions and what is pruned leave them as they are; no seat is theirs."""
    app = line.tenant
    refused = ground.run("agent", "add", "joko@x.id", "--name", "J", "--password-file", "-", stdin=f"{PASSWORD}\n")
    assert refused.exit_code == 4 and "its agents are those of Qiscus" in refused.stderr
    more = ("--name", "Dewi", "--role", "supervisor", "--tenant", app, "--password-file", "-")
    dewi = ground.json("agent", "add", "dewi@x.id", *more, stdin=f"{PASSWORD}\n")["agent"]
    before = line.one("SELECT * FROM agents WHERE id = %s", dewi)
    line.run("UPDATE agents SET seen_at = now() - interval '1 year' WHERE id = %s", dewi)
    for agents in (("ani", "budi"), ("ani",), ()):
        line.roster(*agents)
    line.roster("ani", RosterAgent("budi", "Budi", True, 1))
    line.arrive_all(["r1", "r2", "r3", "r4", "r5"])
    line.drain()
    assert {row.crew["offline"] for row in line.rows("SELECT crew FROM rounds")} == {0}
    Sweeper(line.work())._prune(app)
    after = line.one("SELECT * FROM agents WHERE id = %s", dewi)
    assert (after.available, after.open_seats, after.name) == (False, 0, before.name)
    assert set(line.seats()) - {"ani", "budi"} <= {dewi} and line.seats().get(dewi, 0) == 0
    (tenant,) = ground.json("tenant", "list")["tenants"]
    assert (tenant["agents"], tenant["online"]) == (2, 2)
    listed = {row["id"]: row for row in ground.json("agent", "list")["agents"]}
    assert (listed[dewi]["role"], listed[dewi]["free"], listed[dewi]["email"]) == ("supervisor", 0, "dewi@x.id")
    assert line.rows("SELECT FROM accounts WHERE agent = %s", dewi)


# --- what is open to whom

STRANGER, AGENT, ELSEWHERE, OF_QISCUS, BOSS, ADMIN, OPERATOR = (
    "stranger", "agent", "admin of another tenant", "admin of a Qiscus tenant", "supervisor", "admin", "operator",
)  # fmt: skip
BODY = {"queue": "q", "priority": 1, "scope": "tenant", "value": 3, "paused": True, "draining": False}
OF_ANYBODY = {"auth/login", "auth/logout", "me"}  # who has an account
OF_ADMINS = {("PUT", "limits"), ("PUT", "routing")}
OF_OPERATORS = {("GET", "health")}


def test_each_request_of_agents_and_of_supervisors_is_open_to_whom_it_is_for(database_url: str, redis_url: str) -> None:
    """Every route that there is, so also of those to come: what each kind of person is told."""

    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.tenant("warung")
        chat.run("INSERT INTO tenants (id, base_url, secret_key) VALUES ('app', 'http://127.0.0.1:1', 'x')")
        hired = {AGENT: ("agent", TENANT), BOSS: ("supervisor", TENANT), ADMIN: ("admin", TENANT)}
        hired |= {ELSEWHERE: ("admin", "warung"), OF_QISCUS: ("admin", "app")}
        tokens = {STRANGER: ""}
        for number, (who, (role, tenant)) in enumerate(hired.items()):
            chat.hire(f"p{number}", role, tenant)
            tokens[who] = (await at.colleague(f"p{number}", tenant)).token
        with chat.ledger.transaction() as cur:
            operators.add(cur, OPS, "Ops", hash_of(PASSWORD))
        tokens[OPERATOR] = (await at.post("/api/v1/auth/login", {"email": OPS, "password": PASSWORD}))[1]["token"]

        async def asked(method: str, path: str, token: str) -> int:
            head = {"Authorization": f"Bearer {token}"} if token else {}
            async with at.http.request(method, at.url + path, headers=head, json=BODY) as answer:
                assert answer.status < 500, (method, path, await answer.text())
                return answer.status

        routes = {(route.method, re.sub(r":[^/]*}", "}", route.path)) for route in at.inside.routes()}
        forbidden: set[tuple[str, str]] = set()
        for method, path in sorted(routes):
            if not path.startswith("/api/v1/") or "/public/" in path or path.removeprefix("/api/v1/") in OF_ANYBODY:
                continue
            place = re.sub(r"{\w+}", "x1", path.replace("{tenant}", TENANT))
            told = {who: await asked(method, place, token) for who, token in tokens.items()}
            line = f"{method} {path}: {told}"
            if told[STRANGER] != 401:
                assert "/ops/" not in path, line  # else a customer's, by a key
            elif "/ops/" not in path:
                assert told[OF_QISCUS] == told[OPERATOR] == 403 and 401 not in (told[AGENT], told[BOSS]), line
            else:
                assert told[AGENT] == 403 and told[OPERATOR] not in (401, 403), line
                forbidden |= {(method, path.split("/")[-1]) for who in (BOSS, ADMIN) if told[who] == 403}
                if "{tenant}" in path:
                    assert told[ELSEWHERE] == told[OF_QISCUS] == 404, line
                    nowhere = place.replace(f"/{TENANT}", "/nowhere")
                    assert await asked(method, nowhere, tokens[OPERATOR]) == 404, nowhere
        assert forbidden <= OF_ADMINS | OF_OPERATORS and ("PUT", "limits") in forbidden

    run_chat(database_url, redis_url, story)


def test_who_has_no_chats_is_told_so_and_has_no_presence(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.run("INSERT INTO tenants (id, base_url, secret_key) VALUES ('app', 'http://127.0.0.1:1', 'x')")
        chat.hire("dewi", "supervisor", "app")
        dewi = await at.colleague("dewi", "app")
        assert {"presence": None, "tenant_id": "app"}.items() <= (await dewi.get("me"))[1]["agent"].items()
        status, told = await dewi.get("queue")
        assert (status, told["error"]["message"]) == (403, "the chats of this tenant are in Qiscus: use /ops")
        page = Page(await at.http.ws_connect(f"{at.url}/ws"))
        await page.say("auth", token=dewi.token)
        assert await page.closed() == 4001 and page.told("error")[0]["code"] == "forbidden"
        assert chat.rows("SELECT FROM presence") == []

        ops = Page(await at.http.ws_connect(f"{at.url}/ws/ops"))
        await ops.say("auth", token=dewi.token)
        about = {"agent_id": dewi.id, "name": "Dewi", "email": "dewi@example.com"}
        assert (await ops.until_told("auth.ok"))["agent"] == {**about, "role": "supervisor", "tenant_id": "app"}
        Ground(chat.database_url, chat.redis_url).ok("agent", "disable", "dewi@example.com", "--tenant", "app")
        assert await ops.closed() == 4001 and (await dewi.get("me"))[0] == 401

    run_chat(database_url, redis_url, story)
