"""What supervisors see, by REST and live, over a whole sidecar, real servers and real sockets."""

import asyncio
from typing import Any

import pytest

from db import operators
from testbed.passwords import PASSWORD, hash_of
from tests.services.chat_of import TENANT, At, Chat, Colleague, Page, run_chat, until
from views.shown import Shown, change

OTHER = "warung"


class Screen:
    """A page of `/ops`: its socket, and each watch's picture, made of what came as a page makes it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def watch(self, name: str, view: str, **asked: Any) -> None:
        await self.page.say("ops.watch", watch=name, view=view, **asked)

    def shown(self, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = None
        for kind, told in self.page.frames:
            if told.get("watch") != name:
                continue
            if kind == "ops.state":
                found = {"seq": told["seq"], "head": told["head"], "order": told["order"], "rows": told["rows"]}
            elif kind == "ops.change" and found:
                assert told["seq"] == found["seq"] + 1, "a change has no gap to the one before"
                found = {
                    "seq": told["seq"],
                    "head": {**found["head"], **told.get("head", {})},
                    "order": told.get("order", found["order"]),
                    "rows": merged(found["rows"], told.get("rows", {})),
                }
        return found

    async def until(self, name: str, holds: Any) -> dict[str, Any]:
        def look() -> Any:
            found = self.shown(name)
            return found if found and holds(found) else None

        return await until(look, what=f"what {name} shows")


def merged(before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    kept = {key: row for key, row in before.items() if changes.get(key, row) is not None}
    return {**kept, **{key: {**before.get(key, {}), **row} for key, row in changes.items() if row is not None}}


async def screen(who: Colleague) -> Screen:
    page = Page(await who.at.http.ws_connect(f"{who.at.url}/ws/ops"))
    await page.say("auth", token=who.token)
    await page.until_told("auth.ok")
    return Screen(page)


async def supervisor(chat: Chat, at: At, name: str = "sri", tenant: str = TENANT) -> Colleague:
    chat.hire(name, "supervisor", tenant)
    return await at.colleague(name, tenant)


def test_a_supervisor_sees_the_queue_and_why_it_waits(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri = await supervisor(chat, at)
        rooms = [(await at.customer(name)).room for name in ("Budi", "Citra", "Dewi")]
        status, overview = await sri.get("ops/overview")
        (tenant,) = overview["tenants"]
        assert (status, tenant["tenant"], tenant["waiting"], tenant["agents_online"]) == (200, TENANT, 3, 0)
        assert {"no_worker", "nobody_online"} <= {each["code"] for each in tenant["problems"]}
        status, queue = await sri.get(f"ops/{TENANT}/queue?limit=2")
        assert [room["room"] for room in queue["rooms"]] == rooms[:2]
        assert [room["place"] for room in queue["rooms"]] == [1, 2]
        assert queue["rooms"][0]["why"] == "no worker is running" and queue["rooms"][0]["customer"] == "Budi"
        assert (queue["total"], queue["next"]) == (3, "2")
        status, rest = await sri.get(f"ops/{TENANT}/queue?cursor=2")
        assert [room["room"] for room in rest["rooms"]] == rooms[2:] and rest["next"] is None
        status, found = await sri.get(f"ops/{TENANT}/queue?q=citr")
        assert [room["room"] for room in found["rooms"]] == [rooms[1]]
        status, room = await sri.get(f"ops/{TENANT}/rooms/{rooms[1]}")
        assert (room["state"], room["customer"], room["waiting"]["place"]) == ("waiting", "Citra", 2)
        assert [each["kind"] for each in room["visits"][0]["timeline"]] == ["arrived"]

    run_chat(database_url, redis_url, story)


def test_what_is_live_is_what_a_fresh_load_shows(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri = await supervisor(chat, at)
        chat.hire("ani")
        ani = await at.colleague("ani")
        early = await screen(sri)
        for view in ("now", "queue", "agents", "decisions"):
            await early.watch(view, view)
            assert (await early.until(view, lambda found: True))["seq"] == 1
        page = await ani.page()
        customers = [await at.customer(name) for name in ("Budi", "Citra", "Dewi")]
        await ani.pick(customers[1])
        await early.watch("room", "room", room=customers[1].room)
        await early.until("queue", lambda found: found["order"] == [customers[0].room, customers[2].room])
        await early.until("agents", lambda found: found["rows"][ani.id]["ours"] == 1)
        await early.until("room", lambda found: found["head"]["state"] == "held")
        late = await screen(sri)
        for view, more in (("now", {}), ("queue", {}), ("agents", {}), ("room", {"room": customers[1].room})):
            await late.watch(view, view, **more)
            fresh = await late.until(view, lambda found: True)
            live = await early.until(view, lambda found, fresh=fresh: plain(found) == plain(fresh))
            assert plain(live) == plain(fresh)
        await page.close()

    run_chat(database_url, redis_url, story)


def plain(shown: dict[str, Any]) -> Any:
    return {part: shown[part] for part in ("head", "order", "rows")}


def test_nobody_sees_another_tenant_and_agents_see_nothing_here(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.tenant(OTHER)
        sri = await supervisor(chat, at)
        chat.hire("ani")
        ani = await at.colleague("ani")
        theirs = await at.customer("Joko", tenant=OTHER)
        for path in (f"ops/{OTHER}/queue", f"ops/{OTHER}/agents", f"ops/{OTHER}/rooms/{theirs.room}"):
            assert (await sri.get(path))[0] == 404
        assert (await sri.get(f"ops/{TENANT}/rooms/{theirs.room}"))[0] == 404
        assert [each["tenant"] for each in (await sri.get("ops/overview"))[1]["tenants"]] == [TENANT]
        assert (await sri.get("ops/health"))[0] == 403, "for operators"
        for path in ("ops/overview", f"ops/{TENANT}/queue", f"ops/{TENANT}/decisions"):
            assert (await ani.get(path))[0] == 403
            assert (await at.get(f"/api/v1/{path}"))[0] == 401
        page = Page(await at.http.ws_connect(f"{at.url}/ws/ops"))
        await page.say("auth", token=ani.token)
        assert await page.closed() == 4001 and page.told("error")[0]["code"] == "forbidden"
        mine = await screen(sri)
        await mine.watch("1", "queue", tenant=OTHER)
        assert (await mine.page.until_told("error"))["code"] == "not_found"
        await mine.watch("2", "secrets")
        await mine.page.until_told("error", lambda error: error["code"] == "invalid_payload")
        chat.run("UPDATE tokens SET revoked_at = clock_timestamp() WHERE agent = %s", sri.id)
        assert await mine.page.closed() == 4001

    run_chat(database_url, redis_url, story)


def test_a_change_makes_the_new_picture_of_the_old_one() -> None:
    before = Shown({"a": 1, "b": 2, "c": 3}, ["x", "y"], {"x": {"n": 1, "m": 1}, "y": {"n": 2, "m": 7}})
    now = Shown({"a": 1, "b": None, "c": 4}, ["y", "z"], {"y": {"n": None, "m": 7}, "z": {"n": 9, "m": None}})
    found = change(before, now)
    rows = {"x": None, "y": {"n": None}, "z": {"n": 9, "m": None}}
    assert found == {"head": {"b": None, "c": 4}, "order": ["y", "z"], "rows": rows}
    assert merged(before.rows, found["rows"]) == now.rows
    assert change(now, now) == {}


async def _pages(at: At, sri: Colleague, number: int) -> list[Screen]:
    return list(await asyncio.gather(*(screen(sri) for _ in range(number))))


def test_pages_that_watch_the_same_share_one_look(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri = await supervisor(chat, at)
        screens = await _pages(at, sri, 5)
        for each in screens:
            await each.watch("q", "queue")
            await each.until("q", lambda found: True)
        looks = 0
        read = at.inside.ops.views.read

        async def counted(asked: Any) -> Shown:
            nonlocal looks
            looks += 1
            return await read(asked)

        monkeypatch.setattr(at.inside.ops.views, "read", counted)
        await at.customer("Budi")
        for each in screens:
            await each.until("q", lambda found: len(found["order"]) == 1)
        assert looks <= 3

    run_chat(database_url, redis_url, story)


def qiscus(chat: Chat, tenant: str) -> str:
    sql = "INSERT INTO tenants (id, name, base_url, secret_key) VALUES (%s, %s, 'http://127.0.0.1:1', 'x')"
    chat.run(sql, tenant, tenant)
    return tenant


def test_a_supervisor_of_a_qiscus_app_signs_in_by_the_same_form_and_sees_it(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        chat.hire("dewi", "supervisor", qiscus(chat, "app"))
        chat.hire("joko", "agent", "app")
        body = {"email": "dewi@example.com", "password": PASSWORD}
        status, entry = await at.post("/api/v1/auth/login", body)
        assert (status, entry["agent"]["tenant_id"], entry["agent"]["role"]) == (200, "app", "supervisor")
        dewi = Colleague(at, entry["token"], entry["agent"])
        (tenant,) = (await dewi.get("ops/overview"))[1]["tenants"]
        assert (tenant["tenant"], tenant["desk"], tenant["agents_all"]) == ("app", "qiscus", 1)
        assert (await dewi.get(f"ops/{TENANT}/queue"))[0] == 404
        refused = await at.post("/api/v1/auth/login", {**body, "email": "joko@example.com", "tenant_id": "app"})
        unknown = await at.post("/api/v1/auth/login", {**body, "email": "nobody@example.com"})
        assert refused == unknown and refused[0] == 401, (
            "an agent of Qiscus has another way in, and nobody learns of it"
        )

    run_chat(database_url, redis_url, story)


def test_an_operator_sees_every_tenant_and_has_no_chats(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        qiscus(chat, "app")
        with chat.ledger.transaction() as cur:
            operators.add(cur, "Ops@Example.com", "Ops", hash_of(PASSWORD))
        body = {"email": "ops@example.com", "password": PASSWORD}
        assert (await at.post("/api/v1/auth/login", {**body, "tenant_id": TENANT}))[0] == 401
        assert (await at.post("/api/v1/auth/login", {**body, "password": "wrong"}))[0] == 401
        status, entry = await at.post("/api/v1/auth/login", body)
        assert (status, entry["agent"]["role"], entry["agent"]["tenant_id"]) == (200, "operator", None)
        ops = Colleague(at, entry["token"], entry["agent"])
        assert (await ops.get("me"))[1]["agent"]["email"] == "Ops@Example.com"
        assert [each["tenant"] for each in (await ops.get("ops/overview"))[1]["tenants"]] == ["app", TENANT]
        assert (await ops.get("ops/app/queue"))[0] == 200 and (await ops.get("ops/elsewhere/queue"))[0] == 404
        for path in ("queue", "sessions", "agents", "canned", "search?q=a"):
            assert (await ops.get(path))[0] == 403, path
        chats = Page(await at.http.ws_connect(f"{at.url}/ws"))
        await chats.say("auth", token=ops.token)
        assert await chats.closed() and chats.told("error")[0]["code"] == "forbidden"
        page = await screen(ops)
        await page.watch("all", "now")
        assert (await page.until("all", lambda found: True))["order"] == ["app", TENANT]
        status, found = await ops.get("ops/health")
        kinds = [row["kind"] for row in found["rows"]]
        assert (status, found["postgres"]["ok"], found["redis"]["ok"]) == (200, True, True)
        assert kinds == ["desk", "sidecar"] and found["rows"][1]["load"]["customers"] == 0
        await page.watch("health", "health")
        assert (await page.until("health", lambda found: True))["head"]["postgres"]["ok"]
        with chat.ledger.transaction() as cur:
            operators.change(cur, "ops@example.com", disabled=True)
        assert await page.page.closed() == 4001
        assert (await ops.get("me"))[0] == 401 and (await at.post("/api/v1/auth/login", body))[0] == 401

    run_chat(database_url, redis_url, story)


async def done(who: Colleague, method: str, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {who.token}"}
    async with who.at.http.request(method, f"{who.at.url}/api/v1/ops/{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


RULES = """
[queues.gold]
agents = { channel = true }
[queues.rest]
agents = { channel = true }
[[rules]]
name = "Gold"
when = { property.tier = "gold" }
queue = "gold"
[default]
queue = "rest"
"""


def test_an_act_says_its_effect_first_and_is_written_down(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri, boss = await supervisor(chat, at), await supervisor(chat, at, "boss")
        chat.run("UPDATE accounts SET role = 'admin' WHERE agent = %s", boss.id)
        first, second = [(await at.customer(name)).room for name in ("Budi", "Citra")]
        room = f"{TENANT}/rooms/{second}"
        status, told = await done(sri, "POST", f"{room}/priority?dry_run=1", priority=5)
        assert (status, told["effect"]["code"]) == (200, "priority") and "done" not in told
        order = [each["room"] for each in (await sri.get(f"ops/{TENANT}/queue"))[1]["rooms"]]
        assert order == [first, second], "a dry run changes nothing"
        assert (await done(sri, "POST", f"{room}/priority", priority=5))[1]["done"]
        order = [each["room"] for each in (await sri.get(f"ops/{TENANT}/queue"))[1]["rooms"]]
        assert order == [second, first]
        assert (await done(sri, "PUT", f"{TENANT}/routing", content=RULES))[0] == 403, "for admins"
        status, checked = await done(sri, "POST", f"{TENANT}/routing/check", content=RULES)
        assert checked["ok"] and checked["moves"][0]["rooms"] == 2
        faulty = (await done(sri, "POST", f"{TENANT}/routing/check", content="[queues"))[1]
        assert not faulty["ok"] and faulty["faults"][0]["line"] == 1
        assert (await done(boss, "PUT", f"{TENANT}/routing", content=RULES, version=7))[0] == 409
        assert (await done(boss, "PUT", f"{TENANT}/routing", content=RULES, version=0))[1]["done"]
        assert (await sri.get(f"ops/{TENANT}/routing"))[1]["version"] == 1
        assert (await done(sri, "POST", f"{room}/move", queue="silver"))[0] == 404
        assert (await done(sri, "POST", f"{room}/move", queue="gold"))[1]["done"]
        assert (await sri.get(f"ops/{TENANT}/queue?queue=gold"))[1]["total"] == 1
        assert (await done(sri, "POST", f"{room}/close"))[1]["effect"]["code"] == "ended"
        assert (await done(sri, "POST", f"{room}/close"))[0] == 404
        acts = (await sri.get(f"ops/{TENANT}/audit"))[1]["acts"]
        whats = [(act["who"].partition("@")[0], act["what"]) for act in reversed(acts)]
        assert whats == [("sri", "priority"), ("boss", "routing apply"), ("sri", "move"), ("sri", "close")]
        assert (acts[-1]["before"], acts[-1]["after"], acts[-1]["address"]) == (0, 5, "127.0.0.1")

    run_chat(database_url, redis_url, story)


def test_agents_are_paused_limited_sent_home_and_their_chats_return(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        at = await chat.sidecar()
        sri = await supervisor(chat, at)
        chat.hire("ani")
        ani = await at.colleague("ani")
        page = await ani.page()
        budi = await at.customer("Budi")
        agent = f"{TENANT}/agents/{ani.id}"

        async def shown() -> dict[str, Any]:
            return next(a for a in (await sri.get(f"ops/{TENANT}/agents"))[1]["agents"] if a["agent"] == ani.id)

        assert (await done(sri, "PUT", f"{TENANT}/limits", scope="agent", agent=ani.id, value=3))[1]["done"]
        assert (await shown())["limit"] == 3
        assert (await done(sri, "PUT", f"{agent}/paused", paused=True))[1]["done"]
        assert ((await shown())["limit"], (await shown())["paused"]) == (0, True)
        assert (await ani.post(f"queue/{budi.room}/pick"))[0] == 409
        assert (await done(sri, "PUT", f"{agent}/paused", paused=False))[1]["done"]
        assert (await shown())["limit"] == 3, "as it was before the pause"
        await ani.pick(budi)
        assert [each["room"] for each in (await shown())["rooms"]] == [budi.room]
        assert (await done(sri, "POST", f"{agent}/return?dry_run=1"))[1]["effect"]["values"] == {"count": 1}
        assert (await shown())["ours"] == 1
        assert (await done(sri, "POST", f"{agent}/return"))[1]["done"]
        assert (await shown())["ours"] == 0
        assert (await done(sri, "PUT", f"{TENANT}/drain", draining=True))[1]["done"]
        assert (await ani.post(f"queue/{budi.room}/pick"))[0] == 403, "nothing is begun while the desk serves out"
        problems = (await sri.get("ops/overview"))[1]["tenants"][0]["problems"]
        assert "drained" in {each["code"] for each in problems}
        assert (await done(sri, "PUT", f"{TENANT}/drain", draining=False))[1]["done"]
        await ani.pick(budi)
        assert (await done(sri, "PUT", f"{TENANT}/limits", scope="tenant", value=5))[0] == 403, "for admins"
        assert (await done(sri, "PUT", f"{TENANT}/limits", scope="agent", agent="x", value=5))[0] == 404
        assert (await done(sri, "PUT", f"{TENANT}/limits", scope="agent", agent=ani.id, value=-1))[0] == 400
        assert (await done(sri, "POST", f"{agent}/logout"))[1]["done"]
        assert await page.closed() == 4001
        assert (await ani.get("me"))[0] == 401

    run_chat(database_url, redis_url, story)
