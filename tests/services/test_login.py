"""Logging in: passwords, tokens, failed tries, and what another tenant's token opens (nothing)."""

import asyncio
import hashlib
import os
import re
import statistics
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from db import payloads, people
from db.logins import TOKEN_LIFE_S, LoginError, LoginLater
from db.people import FAILURES_ALONE_MOST, FAILURES_MOST, PEOPLE, AccountError, Agent
from db.postgres import Ledger, LedgerBusy
from sidecar.agents.login import HASHES_AT_ONCE
from testbed.passwords import PASSWORD, hash_of
from tests.services.chat_floor import Counter, Floor
from tests.services.chat_of import WITHIN_S, Chat, run_chat, until
from tests.services.line_of import TENANT, Line
from tests.variants import first_of

HERE, ELSEWHERE = "192.0.2.1", "203.0.113.9"
OTHER = "warung"

End = Callable[[Any, Agent], None]


def add_other_tenant(line: Line) -> None:
    line.run("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES (%s, '', '', 'native')", OTHER)


async def end_of(login) -> str:
    """The name of what a login ended with."""
    try:
        await login
    except LoginError as error:
        return type(error).__name__
    return "in"


# --- accounts


def test_a_password_is_kept_as_a_salted_slow_hash_only(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            for email in ("ani@shop.example", "budi@shop.example"):
                kept = people.hashed(PASSWORD)
                await floor.store.run(lambda cur, at=email, kept=kept: people.add_account(cur, TENANT, at, at, kept))
            hashes = [row.password_hash for row in line.rows("SELECT password_hash FROM accounts")]
            assert all(kept.startswith("$argon2id$v=19$m=65536,t=3,p=1$") for kept in hashes)
            assert len(set(hashes)) == 2, "salted"
            assert PASSWORD not in str(line.rows("SELECT * FROM accounts"))

    asyncio.run(story())


@pytest.mark.parametrize("kept", first_of(["as it was typed once", "NFC", "NFD"]))
def test_a_password_with_accents_is_the_same_whichever_way_a_keyboard_writes_them(kept: str) -> None:
    typed = {form: unicodedata.normalize(form, "Mérci-Ünal-각하") for form in ("NFC", "NFD")}
    kept_hash = people.hashed(typed[kept]) if kept in typed else people.HASHER.hash(typed["NFD"])
    assert people.matches(kept_hash, typed["NFC"]) and people.matches(kept_hash, typed["NFD"])
    assert not people.matches(kept_hash, "Merci-Unal-각하")


@pytest.mark.parametrize(
    ("email", "name", "password", "role", "says"),
    [
        ("nothing", "Ani", PASSWORD, "agent", "no e-mail"),
        ("a@x.id", "", PASSWORD, "agent", "a name has"),
        ("a@x.id", "A\nni", PASSWORD, "agent", "a name has"),
        ("a@x.id", "Ani", "short", "agent", "a password has"),
        ("a@x.id", "Ani", PASSWORD, "king", "no role"),
        ("ANI@shop.example", "Ani", PASSWORD, "agent", "an account already"),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(
    line: Line, email: str, name: str, password: str, role: str, says: str
) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            await floor.hire("ani")
            with pytest.raises(AccountError, match=says):
                await floor.store.run(
                    lambda cur: people.add_account(cur, TENANT, email, name, people.hashed(password), role)
                )

    asyncio.run(story())


# --- tokens


def test_a_login_gives_a_token_that_says_who_it_is(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            boss = await floor.hire("boss", "supervisor")
            token, agent, *_ = await floor.login.login(TENANT, " BOSS@shop.example ", PASSWORD, HERE)
            assert agent == boss
            assert await floor.who(token) == boss
            assert len(token) >= 43
            assert token not in str(line.rows("SELECT encode(digest, 'escape'), tenant FROM tokens"))
            assert await floor.who(token[:-1]) is None

    asyncio.run(story())


def test_the_tenant_may_be_left_out_where_one_only_can_be_meant(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:

            async def enters(email: str, password: str = PASSWORD) -> str:
                try:
                    return (await floor.login.login(None, email, password, HERE))[1].tenant
                except LoginError as error:
                    return type(error).__name__

            ani, unknown = await floor.hire("ani"), "nobody@shop.example"
            line.run("INSERT INTO tenants (id, base_url, secret_key) VALUES ('app', 'http://x', 'y')")
            line.run("INSERT INTO tenants (id, base_url, secret_key) VALUES ('bpp', 'http://x', 'y')")
            await floor.hire("ani", "admin", "app")
            assert await enters(ani.email) == TENANT, "our own chat goes first"
            dewi, joko = await floor.hire("dewi", "supervisor", "app"), await floor.hire("joko", "agent", "app")
            assert await enters(dewi.email) == "app", "the only one that knows her"
            assert await enters(joko.email) == await enters(unknown) == "LoginRefused", "agents have Qiscus's own way"
            assert await end_of(floor.login.login("app", joko.email, PASSWORD, HERE)) == "LoginRefused"
            rosa = await floor.hire("rosa", "admin", "app")
            await floor.hire("rosa", "admin", "bpp")
            assert await enters(rosa.email) == "LoginRefused", "which of the two is not known"
            assert await end_of(floor.login.login("bpp", rosa.email, PASSWORD, HERE)) == "in"

            add_other_tenant(line)
            assert (await enters(ani.email), await enters(dewi.email)) == (TENANT, "app")
            await floor.hire("ani", "agent", OTHER)
            assert await enters(ani.email) == "NoTenantNamed"
            assert await end_of(floor.login.login(OTHER, ani.email, PASSWORD, HERE)) == "in"
            line.run("UPDATE accounts SET disabled = true WHERE tenant = %s", OTHER)
            assert await enters(ani.email) == TENANT, "the other one lets nobody in any more"
            told = {await enters(unknown), await enters(dewi.email, "wrong"), await enters(ani.email, "wrong")}
            assert told == {"NoTenantNamed"}, "nobody learns which e-mails are known"
            assert await end_of(floor.login.login(OTHER, dewi.email, PASSWORD, HERE)) == "LoginRefused"

    asyncio.run(story())


def test_a_token_ends_by_time_by_logout_and_with_its_account(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")

            async def fresh() -> str:
                return (await floor.login.login(TENANT, ani.email, PASSWORD, HERE))[0]

            left, kept = await fresh(), await fresh()
            await floor.login.logout(left)
            assert await floor.who(left) is None
            assert await floor.who(kept) == ani
            assert await floor.login.valid([left, kept, "nonsense"]) == {kept}
            line.run("UPDATE tokens SET expires_at = clock_timestamp()")
            assert await floor.who(kept) is None
            last = await fresh()
            await floor.store.run(lambda cur: people.set_disabled(cur, TENANT, ani.agent_id, True))
            assert await floor.who(last) is None
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "LoginRefused"
            await floor.store.run(lambda cur: people.set_disabled(cur, TENANT, ani.agent_id, False))
            assert await floor.who(last) is None  # revoked for good
            assert await floor.who(await fresh()) == ani

    asyncio.run(story())


def test_a_new_password_ends_the_old_one_and_its_tokens(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            token, *_ = await floor.login.login(TENANT, ani.email, PASSWORD, HERE)
            await floor.store.run(lambda cur: people.set_password(cur, TENANT, ani.agent_id, hash_of("Another-1234")))
            assert await floor.who(token) is None
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "LoginRefused"
            assert await end_of(floor.login.login(TENANT, ani.email, "Another-1234", HERE)) == "in"

    asyncio.run(story())


@contextmanager
def held_hashes(floor: Floor) -> Iterator[None]:
    """The hashes of logins stand in line until the end of this."""
    all_held, let_go = threading.Barrier(HASHES_AT_ONCE + 1), threading.Event()
    for _ in range(HASHES_AT_ONCE):
        floor.login._threads.submit(lambda: all_held.wait(WITHIN_S) + let_go.wait(WITHIN_S))
    all_held.wait(WITHIN_S)
    try:
        yield
    finally:
        let_go.set()


def new_password(cur: Any, agent: Agent) -> None:
    assert people.set_password(cur, agent.tenant, agent.agent_id, hash_of("Another-1234"))


def disabling(cur: Any, agent: Agent) -> None:
    assert people.set_disabled(cur, agent.tenant, agent.agent_id, True)


ENDS = pytest.mark.parametrize("end", [new_password, disabling])


@ENDS
def test_a_login_under_way_does_not_outlive_the_end_of_its_password(line: Line, end: End) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            await floor.login.login(TENANT, ani.email, PASSWORD, HERE)  # the hash for nobody is made, too
            with held_hashes(floor):
                under_way = asyncio.create_task(end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)))
                await until(floor.login._threads._work_queue.qsize, what="a hash in line")
                await floor.store.run(lambda cur: end(cur, ani))
            assert await under_way == "LoginRefused"
            assert line.rows("SELECT digest FROM tokens WHERE revoked_at IS NULL") == []

    asyncio.run(story())


@ENDS
def test_a_token_made_while_its_password_ends_ends_with_it(line: Line, end: End) -> None:
    """The login has the account's row first: its token is there before the end is, and must be seen by it."""

    def waiting() -> int:
        sql = "SELECT count(*)::integer AS n FROM pg_stat_activity WHERE datname = current_database()"
        return line.one(f"{sql} AND wait_event_type = 'Lock'").n

    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            with closing(Ledger(line.database_url, "holder")) as holder:
                with holder.transaction() as cur:
                    cur.execute("SELECT FROM accounts WHERE agent = %s FOR UPDATE", (ani.agent_id,))
                    login = asyncio.create_task(floor.login.login(TENANT, ani.email, PASSWORD, HERE))
                    await until(lambda: waiting() == 1, what="the login at the account's row")
                    ending = asyncio.create_task(floor.store.run(lambda cur: end(cur, ani)))
                    await until(lambda: waiting() == 2, what="the end behind it")
                await login
                await ending
            assert line.rows("SELECT digest FROM tokens WHERE revoked_at IS NULL") == []

    asyncio.run(story())


# --- guessing


async def fail(floor: Floor, email: str, times: int, address: str = HERE) -> None:
    for _ in range(times):
        assert await end_of(floor.login.login(TENANT, email, "wrong", address)) == "LoginRefused"


def test_ten_failures_at_one_address_lock_the_account_there_and_nobody_else(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            await fail(floor, ani.email, FAILURES_MOST)
            with pytest.raises(LoginLater) as later:
                await floor.login.login(TENANT, ani.email.upper(), PASSWORD, HERE)
            assert 580 < later.value.wait_s <= 600
            assert await end_of(floor.login.login(TENANT, budi.email, PASSWORD, HERE)) == "in", "of the same office"
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, ELSEWHERE)) == "in", "not a weapon"
            line.run("UPDATE login_tries SET failed = ARRAY(SELECT at - interval '11 minutes' FROM unnest(failed) at)")
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "in"
            await fail(floor, ani.email, FAILURES_MOST)
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "LoginLater", "known or not"

    asyncio.run(story())


def test_a_hundred_failures_from_anywhere_lock_an_account_but_not_where_it_logged_in_lately(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            await floor.login.login(TENANT, ani.email, PASSWORD, HERE)
            for n in range(FAILURES_ALONE_MOST // FAILURES_MOST):
                await fail(floor, ani.email, FAILURES_MOST, f"198.51.100.{n}")
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, ELSEWHERE)) == "LoginLater"
            line.run("UPDATE login_addresses SET last_at = last_at - interval '31 days'")
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "LoginLater", "long ago"
            line.run("UPDATE login_addresses SET last_at = clock_timestamp()")
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "in"

    asyncio.run(story())


@pytest.mark.long
def test_a_right_password_does_not_wash_an_address_clean(line: Line) -> None:
    """Somebody with an account of their own guesses others': their own logins give them no more tries. Those who
    logged in there lately are not locked out by that."""

    async def story() -> None:
        async with Floor(line) as floor:
            eve, ani, budi = [await floor.hire(name) for name in ("eve", "ani", "budi")]
            await floor.login.login(TENANT, ani.email, PASSWORD, HERE)
            for n in range(FAILURES_ALONE_MOST // FAILURES_MOST):
                victim = await floor.hire(f"victim{n}")
                await fail(floor, victim.email, FAILURES_MOST)
                assert await end_of(floor.login.login(TENANT, eve.email, PASSWORD, HERE)) == "in"
            for email in (budi.email, "nobody@shop.example"):
                assert await end_of(floor.login.login(TENANT, email, PASSWORD, HERE)) == "LoginLater"
            assert await end_of(floor.login.login(TENANT, budi.email, PASSWORD, ELSEWHERE)) == "in"
            assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "in"

    asyncio.run(story())


@pytest.mark.parametrize("end", ["unlock", "new_password", "disabling"])
def test_who_unlocks_an_account_unlocks_it_everywhere(line: Line, end: str) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            await floor.login.login(TENANT, ani.email, PASSWORD, ELSEWHERE)
            await fail(floor, ani.email, FAILURES_MOST)
            if end == "unlock":
                assert await floor.store.run(lambda cur: people.unlock(cur, TENANT, ani.agent_id))
                assert await end_of(floor.login.login(TENANT, ani.email, PASSWORD, HERE)) == "in"
            else:
                ends = {"new_password": new_password, "disabling": disabling}
                await floor.store.run(lambda cur: ends[end](cur, ani))
            known = len(line.rows("SELECT subject FROM login_addresses"))
            assert known == (2 if end == "unlock" else 0), "who had the old password is no longer known"

    asyncio.run(story())


def test_however_an_e_mail_is_spelled_its_account_has_ten_tries(line: Line) -> None:
    """PostgreSQL takes more spellings for the same e-mail than Python does: its lower("İ") is "i"."""

    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            spellings = [ani.email, ani.email.upper(), ani.email.replace("i", "İ")]
            for n in range(FAILURES_MOST):
                guess = floor.login.login(TENANT, spellings[n % len(spellings)], "wrong", HERE)
                assert await end_of(guess) == "LoginRefused"
            for spelling in spellings:
                assert await end_of(floor.login.login(TENANT, spelling, PASSWORD, HERE)) == "LoginLater"

    asyncio.run(story())


@pytest.mark.long
def test_sidecars_with_one_key_count_together_and_with_another_key_alone(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        chat.hire("ani")
        here, beside, apart = [await chat.sidecar(secret_key=key * 32) for key in "aab"]
        wrong = {"email": "ani@example.com", "password": "wrong"}
        for _ in range(FAILURES_MOST):
            assert (await here.post("/api/v1/auth/login", wrong))[0] == 401
        assert (await beside.post("/api/v1/auth/login", wrong))[0] == 429
        assert (await apart.post("/api/v1/auth/login", wrong))[0] == 401

    run_chat(database_url, redis_url, story)


def test_who_failed_can_not_be_found_by_guessing(line: Line) -> None:
    """Without the key, hashes of all addresses and of known e-mails tell nothing."""

    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            for email in (ani.email, "nobody@shop.example"):
                assert await end_of(floor.login.login(TENANT, email, "wrong", HERE)) == "LoginRefused"
            known = [("address", HERE), *(("account", TENANT, who) for who in (ani.email, ani.agent_id)),
                     ("nobody", TENANT, "nobody@shop.example")]  # fmt: skip
            guesses = {hashlib.sha256("\0".join(parts).encode()).digest() for parts in known}
            kept = {bytes(row.subject) for row in line.rows("SELECT subject FROM login_tries")}
            assert len(kept) == 5 and not kept & guesses

    asyncio.run(story())


def test_guesses_at_the_same_instant_from_two_sidecars_get_no_more_tries(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Floor(line) as other:
            ani = await floor.hire("ani")
            logins = [
                each.login.login(TENANT, ani.email, f"wrong{n}", HERE) for n in range(20) for each in (floor, other)
            ]
            found = await asyncio.gather(*map(end_of, logins))
            assert sorted(set(found)) == ["LoginLater", "LoginRefused"]
            assert found.count("LoginRefused") == FAILURES_MOST

    asyncio.run(story())


def test_the_end_of_a_first_try_keeps_the_next_one_waiting(line: Line) -> None:
    """A subject without failures has no row yet; two tries that both found nothing to lock were one too many."""
    first, second = Ledger(line.database_url, "first"), Ledger(line.database_url, "second")
    with first.transaction() as mine:
        PEOPLE.run(mine, "lock_tries", subjects=[b"nobody failed yet"], mosts=[10])
        with pytest.raises(LedgerBusy, match="lock timeout"), second.transaction() as theirs:
            theirs.execute("SET LOCAL lock_timeout = '100ms'")
            PEOPLE.run(theirs, "lock_tries", subjects=[b"nobody failed yet"], mosts=[10])
    first.close()
    second.close()


@pytest.mark.long
def test_ten_thousand_logins_at_one_instant_let_other_requests_go_ahead_and_keep_little(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani = await floor.hire("ani")
            await counter.token(ani)
            flood = [
                asyncio.create_task(end_of(floor.login.login(TENANT, ani.email, "wrong", HERE))) for _ in range(10_000)
            ]
            await asyncio.sleep(0)  # all have begun
            assert await floor.store.run(lambda cur: people.account(cur, TENANT, ani.email)), "as a socket's work"
            assert (await counter.ask(ani, "GET", "canned"))[0] == 200
            assert not all(guess.done() for guess in flood), "it overtook them"
            assert set(await asyncio.gather(*flood)) <= {"LoginLater", "LoginRefused"}
            rows = line.rows("SELECT cardinality(failed) AS n FROM login_tries")
            assert [row.n for row in rows if row.n] == [FAILURES_MOST] * 3, "an account, an address, and both together"

    asyncio.run(story())


def test_a_flood_of_hashes_goes_after_the_chats(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            hashing = floor.login._threads.submit(os.getpriority, os.PRIO_PROCESS, 0)  # 0: the thread that asks
            assert await asyncio.wrap_future(hashing) > os.getpriority(os.PRIO_PROCESS, 0)

    asyncio.run(story())


def test_subjects_that_only_got_in_are_forgotten_too(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani = await floor.hire("ani")
            await floor.login.login(TENANT, ani.email, PASSWORD, HERE)
            line.run("UPDATE login_tries SET last_at = clock_timestamp() - interval '1 day'")
            line.run("UPDATE login_addresses SET last_at = clock_timestamp() - interval '31 days'")
            await floor.login.login(TENANT, ani.email, PASSWORD, ELSEWHERE)
            line.run("UPDATE login_tries SET last_at = clock_timestamp() - interval '1 day'")
            await floor.login.login(TENANT, ani.email, PASSWORD, ELSEWHERE)
            assert line.rows("SELECT subject FROM login_tries") == []
            assert len(line.rows("SELECT subject FROM login_addresses")) == 1

    asyncio.run(story())


@pytest.mark.long
def test_an_unknown_e_mail_takes_as_long_as_a_wrong_password(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor:
            ani, kept = await floor.hire("ani"), people.hashed(PASSWORD)
            await floor.store.run(lambda cur: people.set_password(cur, TENANT, ani.agent_id, kept))
            await end_of(floor.login.login(TENANT, "first@shop.example", "wrong", HERE))

            async def median_s(email: str) -> float:
                took = []
                for n in range(3):
                    began = time.process_time()  # of all threads: what the rest of the machine does is not in it
                    await end_of(floor.login.login(TENANT, email, "wrong", f"198.51.100.{n}"))
                    took.append(time.process_time() - began)
                return statistics.median(took)

            known_s, unknown_s = await median_s(ani.email), await median_s("nobody@shop.example")
            assert unknown_s > known_s / 2

    asyncio.run(story())


# --- over REST


def test_login_over_rest_answers_as_the_contract_says(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani = await floor.hire("ani")
            status, found = await counter.ask(None, "POST", "auth/login", {"email": ani.email, "password": PASSWORD})
            assert status == 200
            about = {"agent_id": ani.agent_id, "name": "ani", "email": ani.email, "role": "agent"}
            assert found["agent"] == {**about, "presence": "offline", "tenant_id": TENANT}
            assert sorted(found) == ["agent", "expires_at", "token"]
            kept = line.one("SELECT expires_at, expires_at - created_at AS life FROM tokens")
            assert found["expires_at"] == payloads.iso(kept.expires_at)
            assert round(kept.life.total_seconds()) == TOKEN_LIFE_S
            bearer = {"Authorization": f"Bearer {found['token']}"}
            assert (await counter.ask(None, "GET", "me", headers=bearer))[0] == 200
            assert (await counter.ask(None, "POST", "auth/logout", headers=bearer))[0] == 200
            assert await counter.refusal(None, "GET", "me", headers=bearer) == (401, "unauthorized")
            wrong = {"email": ani.email, "password": "wrong"}
            for _ in range(FAILURES_MOST):
                assert await counter.refusal(None, "POST", "auth/login", wrong) == (401, "unauthorized")
            response = await counter.fetch(None, "POST", "auth/login", json=wrong)
            assert response.status == 429
            assert 1 <= int(response.headers["Retry-After"]) <= 600

    asyncio.run(story())


@pytest.mark.parametrize("role", ["agent", "supervisor"])
def test_after_a_login_nobody_is_away_whatever_else_is_open(line: Line, role: str) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani = await floor.hire("ani", role)
            about = {"agent_id": ani.agent_id, "name": "ani"}
            await floor.presence.connected(ani, "page")
            await floor.presence.wish(ani, "away")
            floor.news.clear()
            _, found = await counter.ask(None, "POST", "auth/login", {"email": ani.email, "password": PASSWORD})
            assert found["agent"]["presence"] == "online"
            assert floor.told("chat.presence") == [{**about, "presence": "online"}], "colleagues hear it at once"
            assert line.agent(ani.agent_id).available == (role == "agent"), "and so does the line"
            await floor.presence.connected(ani, "another page")
            assert await floor.presence.of(ani) == "online"

    asyncio.run(story())


def test_a_login_without_a_page_tells_colleagues_nothing(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani = await floor.hire("ani")
            await floor.presence.wish(ani, "away")
            floor.news.clear()
            _, found = await counter.ask(None, "POST", "auth/login", {"email": ani.email, "password": PASSWORD})
            assert found["agent"]["presence"] == "offline"
            assert floor.told("chat.presence") == []
            await floor.presence.connected(ani, "page")
            assert floor.told("chat.presence")[-1]["presence"] == "online"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "a@x.id"}, "password"),
        ({"email": "a@x.id", "password": 7}, "password"),
        ({"email": ["a"], "password": PASSWORD}, "email"),
        ({"email": "a@x.id", "password": PASSWORD, "tenant_id": 3}, "tenant_id"),
        ({"email": "a@x.id", "password": "x" * 2000}, "password"),
        ({"email": "a@x.id", "password": PASSWORD}, "tenant_id"),  # there are two tenants
    ],
)
def test_a_login_that_is_none_is_refused_by_the_name_of_its_field(line: Line, body: Any, field: str) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            add_other_tenant(line)
            status, found = await counter.ask(None, "POST", "auth/login", body)
            assert (status, found["error"]["code"]) == (400, "invalid_payload")
            assert found["error"]["message"].startswith(f"{field}:")

    asyncio.run(story())


def routes_of(counter: Counter) -> list[tuple[str, str]]:
    """Every route of the console but the login: (method, path with {room})."""
    found = []
    for route in counter.console().routes():
        path = re.sub(r":[^}]*\}(?=[/]|$)|:\[.*?\}\}", "}", route.path).removeprefix("/api/v1/")
        if path != "auth/login":
            found.append((route.method, re.sub(r"\{room.*?\}\}?", "{room}", path)))
    assert len(found) >= 20
    return found


BODIES: dict[str, Any] = {
    "messages": {"body": "x"},
    "assign": {"agent_id": "x"},
    "transfer": {"agent_id": "x"},
    "notes": {"body": "x"},
    "read": {"up_to_seq": 1},
    "presence": {"presence": "online"},
    "canned": {"canned": []},
    "end": {},
    "pick": {},
}


def test_without_a_token_no_route_opens(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            room = await floor.start()
            for method, path in routes_of(counter):
                for headers in (
                    {},
                    {"Authorization": "Bearer x"},
                    {"Authorization": "Basic x"},
                    {"Authorization": "Bearer "},
                ):
                    found = await counter.refusal(None, method, path.replace("{room}", room), headers=headers)
                    assert found == (401, "unauthorized"), (method, path)

    asyncio.run(story())


def test_another_tenants_token_opens_nothing_of_ours(line: Line) -> None:
    """Every route, with the ids that exist here: what names a session is 404, what lists is empty of ours."""

    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            add_other_tenant(line)
            ani, eve = await floor.hire("ani"), await floor.hire("eve", "admin", tenant=OTHER)
            waiting = await floor.start("Citra", "our-secret-words")
            active = await floor.start("Dewi", "our-secret-words")
            await floor.seats.pick(TENANT, active, ani)
            await counter.ask(ani, "POST", f"sessions/{active}/notes", {"body": "our-secret-words"})
            line.run("INSERT INTO canned_replies (tenant, shortcut, body) VALUES (%s, 'x', 'our-secret-words')", TENANT)
            before = (floor.rows(waiting), floor.rows(active), line.seats())
            for method, path in routes_of(counter):
                if path == "auth/logout":
                    continue
                for room in (waiting, active) if "{room}" in path else ("",):
                    body = BODIES.get(path.rsplit("/", 1)[-1]) if method != "GET" else None
                    where = path.replace("{room}", room) + ("?q=secret" if path in ("search", "sessions") else "")
                    response = await counter.fetch(eve, method, where, **({} if body is None else {"json": body}))
                    text = await response.text()
                    assert response.status == (404 if room else 200), (method, path, text)
                    for ours in ("our-secret-words", waiting, active, ani.agent_id, "Citra", "Dewi"):
                        assert ours not in text, (method, path)
            status, found = await counter.ask(eve, "POST", f"sessions/{active}/transfer", {"agent_id": eve.agent_id})
            assert (status, found["error"]["code"]) == (404, "not_found")
            assert (floor.rows(waiting), floor.rows(active), line.seats()) == before
            assert [row.tenant for row in line.rows("SELECT tenant FROM canned_replies")] == [TENANT]
            assert len(line.rows("SELECT * FROM notes")) == 1

    asyncio.run(story())


def test_an_agent_cannot_be_given_a_chat_of_another_tenant(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            add_other_tenant(line)
            ani, eve = await floor.hire("ani"), await floor.hire("eve", tenant=OTHER)
            room = await floor.start()
            answer = await counter.refusal(ani, "POST", f"sessions/{room}/assign", {"agent_id": eve.agent_id})
            assert answer == (404, "not_found")

    asyncio.run(story())


def test_an_agent_who_asks_too_much_is_slowed_down_alone(line: Line) -> None:
    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            await counter.token(ani)
            found = [status for batch in range(30) for status, _ in
                     await asyncio.gather(*(counter.ask(ani, "GET", "canned") for _ in range(20)))]  # fmt: skip
            assert set(found) == {200, 429}
            assert (await counter.ask(budi, "GET", "canned"))[0] == 200

    asyncio.run(story())
