"""The admin tool over a real PostgreSQL and a real Valkey, in this process: what it shows, writes and refuses."""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
import redis
from click.testing import CliRunner, Result
from psycopg2.extras import NamedTupleCursor

from db import inbox, line, push
from db.ledger import WORKER_LOCK_CLASS, lock
from db.line import NewVisit
from db.postgres import Ledger
from db.turn import Turn, commit
from policies import POLICIES
from scripts.admin.__main__ import giliran
from settings import ROOT
from testbed import servers
from testbed.simulated import simulator
from worker import decide
from worker.decision import Terms
from worker.rules import Rules

SECRET = "very-secret-key-77"
RULES = Rules(POLICIES["least_loaded"], default_limit=2, lag_s=5, retry_s=30, idle_s=60, keep_days=90)


class Ground:
    """The servers, and the tool as it is typed."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database_url, self.redis_url = database_url, redis_url
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True)
        self.inbox = inbox.Inbox(inbox.connect(redis_url, 2, 2))

    def run(self, *args: str, stdin: str | None = None, **env: str) -> Result:
        defaults = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "DEMO": "0", "MAX_AGENT_CHAT": "2"}
        return CliRunner().invoke(giliran, args, input=stdin, env={**defaults, **env}, catch_exceptions=False)

    def ok(self, *args: str, **more: str) -> str:
        done = self.run(*args, **more)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *args: str, **more: str):
        return json.loads(self.ok(*args, "--json", **more))

    def sql(self, statement: str, *values: object):
        with psycopg2.connect(self.database_url, cursor_factory=NamedTupleCursor) as conn, conn.cursor() as cur:
            cur.execute(statement, values)
            return cur.fetchall() if cur.description else []

    def add_tenant(self, tenant: str = "shop") -> None:
        self.sql("INSERT INTO tenants (id, base_url, secret_key) VALUES (%s, 'http://127.0.0.1:9', %s)", tenant, SECRET)

    def add_agents(self, *agents: str, tenant: str = "shop", online: bool = True) -> None:
        """Known to the desk for class 7, asked for a moment ago."""
        self.sql(
            "INSERT INTO rosters (tenant, class, read_at, due_at) VALUES (%s, '7', now(), now() + interval '30 s')"
            " ON CONFLICT (tenant, class) DO UPDATE SET read_at = now()",
            tenant,
        )
        for agent in agents:
            self.sql("INSERT INTO agents (tenant, id, name, available) VALUES (%s, %s, %s, %s)",
                     tenant, agent, f"name of {agent}", online)  # fmt: skip
            self.sql("INSERT INTO eligible VALUES (%s, '7', %s)", tenant, agent)

    def add_rooms(self, *rooms: str, tenant: str = "shop") -> None:
        """In the line, in this order."""
        now_us = int(self.sql("SELECT extract(epoch FROM now()) * 1e6 AS us")[0].us)
        new = [NewVisit(room, now_us - 10_000_000 + i, "7") for i, room in enumerate(rooms)]
        self.in_line(lambda cur: line.open_visits(Turn(cur, tenant, lock(cur, tenant)), new))

    def in_line(self, change) -> None:
        with psycopg2.connect(self.database_url, cursor_factory=NamedTupleCursor) as conn, conn.cursor() as cur:
            change(cur)

    def decide(self, tenant: str = "shop") -> None:
        """One real decision; nobody calls the desk."""
        with closing(Ledger(self.database_url, "test")) as ledger:
            commit(ledger, self.inbox, tenant, lambda turn: decide.decide(turn, self.inbox, Terms(RULES, 1, 100)))

    @contextmanager
    def a_worker(self) -> Iterator[None]:
        """Lives as the ledger sees it: somebody holds the advisory lock of a worker's number."""
        with closing(psycopg2.connect(self.database_url)) as conn:
            conn.cursor().execute("SELECT pg_advisory_lock(%s, 1)", (WORKER_LOCK_CLASS,))
            yield

    def visit(self, room: str, tenant: str = "shop"):
        columns = "id, state, aside, refusals, retry_at, look_at"
        latest = "WHERE tenant = %s AND room = %s ORDER BY id DESC LIMIT 1"
        return self.sql(f"SELECT {columns} FROM visits {latest}", tenant, room)[0]


@pytest.fixture
def ground(database_url, redis_url):
    return Ground(database_url, redis_url)


@pytest.fixture
def shop(ground):
    """One tenant with two agents online."""
    ground.add_tenant()
    ground.add_agents("ana", "bob")
    return ground


# --- the servers and the settings


def test_without_servers_there_is_one_clear_line(ground, tmp_path):
    done = ground.run("queue", DATABASE_URL="", REDIS_URL="", DEMO="1", GILIRAN_DATA=str(tmp_path))
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "no ./scripts/run is running" in done.stderr


def test_a_server_that_is_away_is_named_without_its_password(ground):
    port = servers.free_port()
    done = ground.run("queue", DATABASE_URL=f"postgresql://me:pass77@127.0.0.1:{port}/x")
    assert done.exit_code == 1 and "PostgreSQL can't be reached (Connection refused)" in done.stderr
    done = ground.run("max", REDIS_URL=f"redis://:pass77@127.0.0.1:{port}/0")
    assert done.exit_code == 1 and "Redis can't be reached (Connection refused)" in done.stderr
    assert "pass77" not in done.output


@pytest.mark.parametrize("url", ["postgresql://me:pass77@h:no-port/x", "postgresql://me:pa ss77@[x/y?bad=1"])
def test_a_broken_url_is_not_repeated(ground, url):
    for command in (["queue"], ["migrate"]):
        done = ground.run(*command, DATABASE_URL=url)
        assert done.exit_code == 1
        assert "ss77" not in done.output and "no-port" not in done.output and "Traceback" not in done.output


def test_a_wrong_setting_is_one_line(ground):
    done = ground.run("queue", MAX_AGENT_CHAT="banana")
    said = "giliran: MAX_AGENT_CHAT is 'banana': use a whole number from 0 to 1000\n"
    assert (done.exit_code, done.stderr) == (1, said)


def test_a_database_before_its_migration_says_what_to_do_and_migrate_does_it(ground, empty_database_url):
    done = ground.run("queue", DATABASE_URL=empty_database_url)
    assert done.exit_code == 1 and "giliran migrate" in done.stderr
    assert "ran 0001_the_line.sql" in ground.ok("migrate", DATABASE_URL=empty_database_url)
    assert ground.ok("migrate", DATABASE_URL=empty_database_url) == "nothing to do\n"
    assert ground.json("migrate", DATABASE_URL=empty_database_url) == {"ran": []}
    assert "no tenant yet" in ground.ok("queue", DATABASE_URL=empty_database_url)


def test_help_needs_no_server_and_documents_the_exit_codes(ground):
    for command in ([], ["line"], ["why"], ["max"], ["agent"], ["agent", "limit"], ["tenant", "add"], ["reconcile"]):
        assert "Usage:" in ground.ok(*command, "--help", DATABASE_URL="", REDIS_URL="")
    assert "3  not found" in ground.ok("--help")


# --- limits


def test_max_shows_each_key_whether_it_is_valid_and_what_is_in_force(shop):
    shop.redis.set("config:max_agent_chat", 3)
    shop.redis.set("config:max_agent_chat:shop", "banana")
    shop.redis.set("config:max_agent_chat:shop:ana", "1")
    shop.redis.set("config:max_agent_chatter", "7")  # not ours
    shown = shop.ok("max")
    assert "config:max_agent_chat:shop      banana  ignored" in shown
    assert "3 (config:max_agent_chat) holds" in shown and "chatter" not in shown
    data = shop.json("max")
    assert [(key["key"], key["text"], key["valid"]) for key in data["keys"]] == [
        ("config:max_agent_chat", "3", True),
        ("config:max_agent_chat:shop", "banana", False),
        ("config:max_agent_chat:shop:ana", "1", True),
    ]
    assert data["tenants"][0]["limit"] == 3
    assert {a: each["limit"] for a, each in data["tenants"][0]["agents"].items()} == {"ana": 1, "bob": 3}


def test_max_writes_the_same_keys_as_the_admins_redis_browser(shop):
    shop.ok("max", "5")
    shop.ok("max", "0", "--tenant", "shop")
    shop.ok("max", "1000", "--agent", "bob")
    assert {key: shop.redis.get(key) for key in shop.redis.scan_iter("config:*")} == {
        "config:max_agent_chat": "5",
        "config:max_agent_chat:shop": "0",
        "config:max_agent_chat:shop:bob": "1000",
    }
    assert "is gone" in shop.ok("max", "--clear", "--agent", "bob")
    assert "was not set" in shop.ok("max", "--clear", "--agent", "bob")
    assert not shop.redis.exists("config:max_agent_chat:shop:bob")


@pytest.mark.parametrize("value", ["banana", "-1", "1001", "2.5", "", "٣"])
def test_a_value_that_is_no_limit_is_refused_and_nothing_is_written(shop, value):
    for command in (["max", value], ["agent", "limit", "ana", value]):
        done = shop.run(*command)
        assert done.exit_code == 4 and "use a whole number from 0 (pause) to 1000" in done.stderr
    assert list(shop.redis.scan_iter("config:*")) == []


def test_a_mistyped_option_is_usage_and_no_value(shop):
    assert shop.run("max", "--clera").exit_code == 2
    assert shop.run("agent", "limit", "ana", "--clera").exit_code == 2
    assert shop.run("max", "3", "--clear").exit_code == 2


def test_limits_lost_by_redis_hold_still_and_are_shown_so(shop):
    shop.ok("max", "1")
    shop.decide()
    shop.redis.flushdb()
    assert shop.json("max")["tenants"][0] | {"agents": {}} == {
        "tenant": "shop", "limit": 1, "by": "config:max_agent_chat", "agents": {}, "lost": {"config:max_agent_chat": 1},
    }  # fmt: skip
    assert "lost by Redis" in shop.ok("max")
    shop.ok("max", "--clear")  # taken away now: nobody may put it back
    shop.decide()
    assert shop.redis.get("config:max_agent_chat") is None
    assert shop.json("max")["tenants"][0]["limit"] == 2


def test_a_limit_key_that_holds_a_list_is_shown_as_ignored(shop):
    shop.redis.rpush("config:max_agent_chat", "3")
    assert "(not a text)" in shop.ok("max")
    assert shop.json("max")["tenants"][0]["limit"] == 2


def test_agent_limit_reads_and_writes_one_agent(shop):
    assert shop.ok("agent", "limit", "ana") == "ana may have 2 chats (by MAX_AGENT_CHAT)\n"
    shop.ok("agent", "limit", "ana", "7")
    assert shop.redis.get("config:max_agent_chat:shop:ana") == "7"
    assert shop.json("agent", "limit", "ana")["limit"] == 7
    shop.ok("agent", "limit", "ana", "--clear")
    assert shop.json("agent", "limit", "ana")["by"] == "MAX_AGENT_CHAT"


# --- agents


def test_agent_list_shows_who_is_full_who_is_offline_with_rooms_and_each_limit(shop):
    shop.add_agents("cyd", online=False)
    shop.add_rooms("1", "2", "3")
    shop.decide()
    shop.sql("UPDATE agents SET foreign_est = 1, desk_count = 4 WHERE id = 'bob'")
    shop.sql("UPDATE visits SET state = 'held', answered = attempt, agent = 'cyd', last_agent = 'cyd' WHERE room = '3'")
    shop.ok("max", "5", "--agent", "ana")
    members = {member["id"]: member for member in shop.json("agent", "list")["agents"]}
    assert {a: (m["chats"], m["others"], m["limit"], m["free"]) for a, m in members.items()} == {
        "ana": (1, 0, 5, 4), "bob": (1, 1, 2, 0), "cyd": (1, 0, 2, 0),
    }  # fmt: skip
    assert members["bob"]["desk_count"] == 4
    assert [member["presence"] for member in members.values()] == [None] * 3
    rows = {text.split()[0]: text for text in shop.ok("agent", "list").splitlines()}
    assert [f"  {word}  " in rows[agent] for agent, word in (("ana", "yes"), ("cyd", "no"))] == [True, True]
    assert rows["cyd"].endswith("offline, still has rooms") and "name of cyd" in rows["cyd"]


# --- which tenant, which room


def test_what_is_not_there_is_exit_3_with_the_names_that_are(shop):
    done = shop.run("queue", "--tenant", "nobody")
    assert done.exit_code == 3 and "known: shop" in done.stderr
    assert shop.run("agent", "limit", "nobody", "3").exit_code == 3
    assert shop.run("max", "3", "--agent", "nobody").exit_code == 3
    for command in ("why", "retry"):
        assert shop.run(command, "404").exit_code == 3


def test_with_several_tenants_a_change_wants_the_tenant_named(shop):
    shop.add_tenant("bank")
    shop.add_agents("ana", tenant="bank")
    for command in (["reconcile"], ["max", "3", "--agent", "ana"], ["agent", "limit", "ana"]):
        done = shop.run(*command)
        assert done.exit_code == 2 and "bank, shop" in done.stderr
    assert "bank" in shop.ok("agent", "list") and "shop" in shop.ok("queue")


def test_a_room_of_two_tenants_is_told_of_both(shop):
    shop.add_tenant("bank")
    shop.add_rooms("7")
    shop.add_rooms("7", tenant="bank")
    shown = shop.ok("why", "7")
    assert shown.startswith("2 tenants have a room 7: bank, shop")
    assert "room 7 of bank" in shown and "room 7 of shop" in shown
    assert [story["tenant"] for story in shop.json("why", "7", "--tenant", "bank")["stories"]] == ["bank"]
    assert shop.run("retry", "7").exit_code == 2


def test_a_room_that_only_the_inbox_knows_is_hinted_at(shop):
    shop.inbox.publish({"shop": ""})
    webhook = push.Webhook(inbox.ARRIVED, "7")
    keys, args, _ = push.push_call(webhook, push.Sender("shop", True, True, ""))
    shop.redis.eval(push.PUSH.text, len(keys), *keys, *args)
    done = shop.run("why", "7")
    assert done.exit_code == 3 and "1 webhook in the inbox" in done.stderr


# --- the line and a room's story


def test_the_line_is_in_order_with_the_reason_of_each(shop):
    shop.add_rooms(*"1234567")
    shop.sql("UPDATE visits SET aside = 'no such channel', retry_at = now() + interval '5 min' WHERE room = '5'")
    shop.sql("UPDATE visits SET look_at = now() WHERE room = '6'")
    shop.decide()
    found = shop.json("queue")["lines"][0]
    assert [(row["room"], row["position"]) for row in found["waiting"]] == [("5", 1), ("6", 2), ("7", 3)]
    assert found["counts"]["reserved"] == 4 and 9 < found["waiting"][0]["waits_s"] < 60
    shown = shop.ok("queue")
    assert "3 waiting (1 set aside)" in shown and "no worker is running: nothing moves" in shown
    assert "set aside: no such channel; one more try in" in shown
    assert "the desk is asked first" in shown
    seated = [row.split() for row in shown.splitlines() if row.startswith(("ana", "bob"))]
    assert [(row[0], row[4:6]) for row in seated] == [("ana", ["2", "-"]), ("bob", ["2", "-"])]


@pytest.fixture
def a_worker_lives(shop):
    with shop.a_worker():
        yield


def test_each_room_knows_how_many_go_before_it(shop, a_worker_lives):
    shop.add_rooms(*"1234567")
    shop.sql("UPDATE visits SET look_at = now() WHERE room = '1'")
    whys = [row["why"] for row in shop.json("queue")["lines"][0]["waiting"]]
    assert whys[1:] == [
        *["4 seats free: its turn at the next look"] * 4,
        "4 earlier rooms for 4 free seats",
        "5 earlier rooms for 4 free seats",
    ]
    shop.ok("max", "0")
    assert shop.json("why", "7")["stories"][0]["waiting"]["why"] == "all 2 agents online for it: paused, limit 0"


def test_the_line_can_be_cut_and_says_so(shop):
    shop.add_rooms(*map(str, range(50)))
    assert "… and 45 more" in shop.ok("queue", "--rows", "5")
    assert len(shop.json("queue", "--rows", "0")["lines"][0]["waiting"]) == 50


def test_desk_trouble_and_drift_are_shown(shop):
    shop.sql("UPDATE tenants SET desk_failures = 9, desk_trouble = %s", "401\x1b")
    shop.sql("UPDATE tenants SET paused_until = now() + interval '20 s'")
    shop.sql("INSERT INTO drifts VALUES ('shop', 'missed_resolve', 3)")
    shown = shop.ok("queue")
    assert "circuit open, 9 failures in a row, paused, next try in" in shown and "401?" in shown
    assert "missed_resolve 3" in shown
    assert shop.json("queue")["lines"][0]["drifts"] == {"missed_resolve": 3}


def test_why_tells_who_was_considered_with_the_load_of_that_moment(shop):
    shop.add_rooms("1", "2", "3")
    shop.decide()
    story = shop.json("why", "3")["stories"][0]
    decision = story["visits"][0]["decisions"][0]
    assert decision["earlier_picks"] == ["ana", "bob"]
    assert [(one["agent"], one["load"], one["chosen"]) for one in decision["considered"]] == [
        ("ana", 1, True), ("bob", 1, False),
    ]  # fmt: skip
    shown = shop.ok("why", "3")
    assert "least_loaded: 2 of 2 online agents had a free seat" in shown
    assert "ana had the fewest chats (1) and, of 2 with as few, was served longest ago" in shown
    assert "reserved for ana (name of ana), the desk is being asked (attempt 1)" in shown
    assert "counted in: 2 earlier rooms of the same round" in shown
    shop.sql("UPDATE visits SET suspect = 'resolved' WHERE room = '3'")
    assert "(attempt 1); resolved meanwhile, and its seat is free when that is answered" in shop.ok("why", "3")


def test_why_tells_what_a_waiting_room_waits_for_and_who_could_take_it(shop):
    shop.add_rooms(*"123456")
    shop.decide()
    story = shop.json("why", "6", MAX_AGENT_CHAT="2")["stories"][0]
    assert (story["state"], story["waiting"]["position"], story["waiting"]["of"]) == ("waiting", 2, 2)
    assert {agent["id"]: agent["chats"] for agent in story["agents"]} == {"ana": 2, "bob": 2}
    shown = shop.ok("why", "6")
    assert "waiting, 2nd of 2 in line" in shown and "no worker is running" in shown
    assert "name of bob" in shown


def test_why_tells_the_last_visits_first_and_counts_the_rest(shop):
    for service in range(5):
        shop.add_rooms("1")
        visit = shop.visit("1").id
        shop.sql("INSERT INTO events (visit, what, detail) VALUES (%s, 'refused', %s)", visit, f"no {service}\x1b[2J")
        shop.in_line(lambda cur, v=visit, s=service: line.close(Turn(cur, "shop"), [(v, s, "resolved")]))
    shown = shop.ok("why", "1")
    assert shown.index("refused: no 4?[2J") < shown.index("refused: no 3") and "no 1" not in shown
    assert "… and 2 earlier visits" in shown and "closed: resolved, service 4" in shown
    assert len(shop.json("why", "1", "--visits", "0")["stories"][0]["visits"]) == 5


def test_why_knows_a_room_whose_visits_are_pruned(shop):
    shop.sql("INSERT INTO rooms VALUES ('shop', '1', 77, true)")
    assert "no visit is kept; its last known service, 77, is closed" in shop.ok("why", "1")


# --- retry and reconcile


def test_retry_frees_a_room_that_was_set_aside_and_asks_for_a_look(shop):
    shop.add_rooms("1", "2")
    shop.sql("UPDATE visits SET aside = 'x', refusals = 3, retry_at = now() + interval '5 min' WHERE room = '1'")
    assert shop.json("retry", "1")["retried"] is True
    visit = shop.visit("1")
    assert (visit.aside, visit.refusals, visit.retry_at, visit.state) == (None, 0, None, "waiting")
    assert shop.sql("SELECT look_at <= now() AS due FROM visits WHERE room = '1'")[0].due
    assert "retried: by hand" in shop.ok("why", "1")
    assert shop.json("retry", "2")["retried"] is False and shop.visit("2").look_at is None


def test_retry_leaves_alone_what_an_agent_has_or_what_is_over(shop):
    shop.add_rooms("1", "2")
    shop.decide()
    shop.in_line(lambda cur: line.close(Turn(cur, "shop"), [(shop.visit("2").id, None, "resolved")]))
    assert "reserved for ana" in shop.run("retry", "1").stderr
    assert [shop.run("retry", room).exit_code for room in "12"] == [4, 4]
    assert shop.visit("1").state == "reserved"


def test_reconcile_without_a_worker_says_so_and_leaves_the_wish(shop, monkeypatch):
    monkeypatch.setattr("scripts.admin.heal.CLAIM_S", 0.3)
    shop.sql("UPDATE tenants SET swept_at = now()")
    done = shop.run("reconcile")
    assert done.exit_code == 1 and "no worker is running" in done.stderr
    assert shop.sql("SELECT swept_at = '-infinity' AS asked FROM tenants")[0].asked


# --- tenants


@pytest.fixture(scope="module")
def sim():
    with simulator() as started:
        yield started


def test_tenant_add_checks_the_credentials_and_tells_the_webhooks(ground, sim):
    add = ("tenant", "add", "demo-qiscus", "--url", f"{sim.url}/", "--secret-key-file", "-")
    shown = ground.ok(*add, stdin=f"{sim.secret}\n")
    assert "/demo-qiscus/allocate-agent/webhook" in shown and "/demo-qiscus/mark-as-solved/webhook" in shown
    assert sim.secret not in shown
    assert ground.sql("SELECT base_url, secret_key FROM tenants") == [(sim.url, sim.secret)]
    assert "updated" in ground.ok(*add, stdin=sim.secret)
    assert ground.json("tenant", "list")["tenants"][0]["id"] == "demo-qiscus"
    assert sim.secret not in ground.ok("tenant", "list") and "demo-qiscus" in ground.ok("tenant", "list")


def test_credentials_that_qiscus_refuses_are_not_saved(ground, sim):
    done = ground.run("tenant", "add", "demo-qiscus", "--url", sim.url, "--secret-key-file", "-", stdin=SECRET)
    assert done.exit_code == 4 and "Qiscus refuses these credentials" in done.stderr
    assert SECRET not in done.output and ground.sql("SELECT id FROM tenants") == []


def test_a_desk_that_is_away_can_be_added_unchecked(ground, tmp_path):
    (tmp_path / "key").write_text(SECRET + "\n")
    url = f"http://127.0.0.1:{servers.free_port()}"
    add = ("tenant", "add", "shop", "--url", url, "--secret-key-file", str(tmp_path / "key"))
    done = ground.run(*add)
    assert done.exit_code == 1 and "--no-check" in done.stderr and ground.sql("SELECT id FROM tenants") == []
    assert "not checked" in ground.ok(*add, "--no-check")


def test_a_webhook_secret_is_kept_as_a_digest_until_it_is_taken_away(ground, tmp_path):
    (tmp_path / "hook").write_text("hook-secret-of-shop")
    add = ("tenant", "add", "shop", "--no-check", "--secret-key-file", "-")
    shown = ground.ok(*add, "--webhook-secret-file", str(tmp_path / "hook"), stdin=SECRET)
    kept = lambda: ground.sql("SELECT webhook_digest FROM tenants")[0].webhook_digest  # noqa: E731
    assert kept() == inbox.digest("hook-secret-of-shop") and "?secret=" in shown and "hook-secret" not in shown
    ground.ok(*add, stdin=SECRET)
    assert kept() == inbox.digest("hook-secret-of-shop")
    ground.ok(*add, "--no-webhook-secret", stdin=SECRET)
    assert kept() == ""


@pytest.mark.parametrize("app_id", ["a b", "a/b", "a:b", "x" * 65, "é"])
def test_an_app_id_that_could_not_be_served_is_refused(ground, app_id):
    assert ground.run("tenant", "add", app_id, "--secret-key-file", "-", stdin=SECRET).exit_code == 4


@pytest.mark.parametrize("secret", ["", "two words", "bin\x00ary", "é"])
def test_a_secret_that_could_not_be_sent_is_refused(ground, secret):
    done = ground.run("tenant", "add", "shop", "--no-check", "--secret-key-file", "-", stdin=secret)
    assert done.exit_code == 4 and "secret key can't be used" in done.stderr


@pytest.mark.parametrize("secret", ["x", "h" * 15])
def test_a_webhook_secret_that_could_be_guessed_is_refused(ground, tmp_path, secret):
    (tmp_path / "hook").write_text(secret)
    add = ("tenant", "add", "shop", "--no-check", "--secret-key-file", "-", "--webhook-secret-file")
    done = ground.run(*add, str(tmp_path / "hook"), stdin=SECRET)
    assert done.exit_code == 4 and "16 characters" in done.stderr and secret * 2 not in done.output


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "https://user:pass77@x", "https://", "x", "https://x/?a=1", "https://x?a=1", "http://qiscus.example"],
)
def test_an_address_that_is_no_desk_is_refused(ground, url):
    done = ground.run("tenant", "add", "shop", "--url", url, "--secret-key-file", "-", stdin=SECRET)
    assert done.exit_code == 4 and "pass77" not in done.output


def test_a_secret_is_not_asked_for_where_there_is_no_terminal(ground):
    assert ground.run("tenant", "add", "shop").exit_code == 2
    missing = ground.run("tenant", "add", "shop", "--secret-key-file", "/nowhere/at/all")
    assert missing.exit_code == 1 and "No such file" in missing.stderr


def test_tenant_remove_wants_yes_and_then_leaves_nothing(shop):
    shop.add_tenant("bank")
    shop.add_agents("ana", tenant="bank")
    for tenant in ("shop", "bank"):
        shop.add_rooms("1", "2", "3", tenant=tenant)
        shop.decide(tenant)
    done = shop.run("tenant", "remove", "shop")
    assert done.exit_code == 4 and "3 with an agent" in done.stderr and "--yes" in done.stderr
    shop.ok("tenant", "remove", "shop", "--yes")
    for table in ("agents", "visits", "rosters", "eligible", "rounds", "decisions"):
        tenants = {row.tenant for row in shop.sql(f"SELECT tenant FROM {table}")}
        assert tenants == {"bank"}, table
    assert list(shop.redis.scan_iter("giliran:{shop}:*")) == []
    assert shop.run("tenant", "remove", "shop", "--yes").exit_code == 3


def test_a_long_history_is_removed_step_by_step_also_past_rows_that_somebody_has_locked(shop, monkeypatch):
    """No step is longer than what others wait for anyway."""
    monkeypatch.setattr("scripts.admin.tenant.REMOVE_MOST", 2)
    shop.add_rooms(*(str(n) for n in range(7)), tenant="shop")
    shop.decide("shop")
    with closing(psycopg2.connect(shop.database_url)) as other, other.cursor() as cur:
        cur.execute("SELECT 1 FROM visits WHERE tenant = 'shop' FOR UPDATE")
        until = threading.Timer(2.5, other.rollback)  # longer than one step waits for a lock
        until.start()
        shop.ok("tenant", "remove", "shop", "--yes")
        until.join()
    for table in ("agents", "visits", "rosters", "rounds", "decisions", "rooms", "tenants"):
        assert shop.sql(f"SELECT 1 FROM {table}") == [], table


def test_the_settings_own_tenant_is_not_removed(shop):
    own = {"QISCUS_APP_ID": "shop", "QISCUS_SECRET_KEY": "x"}
    assert shop.run("tenant", "remove", "shop", "--yes", **own).exit_code == 4


# --- addresses


def test_the_servers_addresses_are_told_whole_or_one_alone(ground):
    both = ground.json("urls")
    assert both["redis"] == ground.ok("urls", "redis").strip()
    psycopg2.connect(ground.ok("urls", "postgres").strip()).close()
    assert both["postgres"] in ground.ok("urls") and both["redis"] in ground.ok("urls")


def test_addresses_are_told_to_the_owner_of_the_data_only(ground, tmp_path, monkeypatch):
    here = {"GILIRAN_DATA": str(tmp_path)}
    assert ground.ok("urls", "redis", **here)
    monkeypatch.setattr("scripts.admin.urls.os.geteuid", lambda: 65_533)
    done = ground.run("urls", "redis", **here)
    assert done.exit_code == 4 and "only its owner" in done.stderr and "redis://" not in done.output


# --- what nobody foresaw


def test_a_defect_is_one_line_and_its_details_are_in_a_file(shop, monkeypatch, tmp_path):
    def broken(*_: object, **__: object) -> None:
        raise KeyError("oh no")

    monkeypatch.setattr("views.queue.read", broken)
    monkeypatch.setattr("scripts.admin.__main__.ROOT", tmp_path)
    done = shop.run("queue")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1) and "KeyError" in done.stderr
    assert "oh no" in (tmp_path / "var" / "admin-error.log").read_text()
    assert (tmp_path / "var" / "admin-error.log").stat().st_mode & 0o077 == 0


def test_a_missing_bench_is_one_line(ground, monkeypatch, tmp_path):
    monkeypatch.setattr("scripts.admin.bench.ROOT", tmp_path)
    done = ground.run("bench", "--rounds", "3")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_no_command_logs_anything_but_its_answer(shop, caplog):
    with caplog.at_level(logging.DEBUG):
        shop.ok("queue")
    assert [record for record in caplog.records if record.name.startswith(("db", "worker"))] == []


def test_every_module_of_the_tool_says_where_it_stands():
    for module in (ROOT / "scripts" / "admin").glob("[!_]*.py"):
        assert module.read_text().startswith('"""'), module.name
