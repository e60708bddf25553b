"""The admin tool for our own chat: its tenants, accounts, questions and answers, transcripts."""

import json
import re
from contextlib import closing

import psycopg2
import pytest
from click.testing import Result
from psycopg2.extras import NamedTupleCursor

from db import chat, line, people, sessions
from db.ledger import lock
from db.line import NewVisit
from db.turn import Turn
from scripts.admin import account as accounts
from sidecar.live.parts import PRESENCE_GRACE_S
from testbed.passwords import CHEAP
from tests.services.test_admin import SECRET, Ground

PASSWORD = "correct horse battery"


@pytest.fixture
def ground(database_url, redis_url):
    return Ground(database_url, redis_url)


@pytest.fixture
def shop(ground, monkeypatch):
    monkeypatch.setattr(people, "HASHER", CHEAP)
    ground.ok("tenant", "add", "--native", "shop", "--name", "The Shop")
    return ground


def hire(shop, email="ani@shop.example", *more: str, password: str = PASSWORD) -> Result:
    return shop.run("agent", "add", email, "--name", "Ani", "--password-file", "-", *more, stdin=f"{password}\n")


def account(shop, email="ani@shop.example"):
    return shop.sql("SELECT * FROM accounts WHERE email = %s", email)[0]


def begin(shop, tenant="shop", name="Budi", text="Where is my order?"):
    """A session with one message; its id."""
    room = chat.new_room()
    with (
        closing(psycopg2.connect(shop.database_url, cursor_factory=NamedTupleCursor)) as conn,
        conn,
        conn.cursor() as cur,
    ):
        session, _ = sessions.open_session(cur, tenant, room, chat.new_key(), "budi@example.com", name)
        chat.add_messages(cur, [chat.draft(session, "customer", text, sender_name=name)])
    return room


def serve(shop, agent, *rooms: str, tenant="shop"):
    """The agent has these rooms."""
    now_us = 1_700_000_000_000_000
    new = [NewVisit(room, now_us, "native") for room in rooms]
    shop.in_line(lambda cur: line.open_visits(Turn(cur, tenant, lock(cur, tenant)), new))
    shop.sql(
        "UPDATE visits SET state = 'held', answered = attempt, agent = %s, last_agent = %s WHERE room = ANY(%s)",
        agent,
        agent,
        list(rooms),
    )


def come(shop, agent, wish="online"):
    """The agent's page is open."""
    shop.sql("INSERT INTO sidecars (id) VALUES ('side') ON CONFLICT DO NOTHING")
    shop.sql("INSERT INTO presence VALUES ('shop', %s, 'side', now() + interval '1 hour')", agent)
    shop.sql("UPDATE accounts SET wish = %s WHERE agent = %s", wish, agent)
    shop.sql("UPDATE agents SET available = %s WHERE id = %s", wish == "online", agent)


# --- tenants


def test_a_chat_of_our_own_is_a_tenant_without_secrets_of_qiscus(ground):
    shown = ground.ok("tenant", "add", "--native", "shop", "--name", "The Shop")
    assert "/chat?tenant=shop" in shown and "giliran agent add" in shown
    (row,) = ground.sql("SELECT desk, name, base_url, secret_key, identity_secret FROM tenants")
    assert row == ("native", "The Shop", "", "", None)
    (listed,) = ground.json("tenant", "list")["tenants"]
    assert (listed["id"], listed["desk"], listed["name"]) == ("shop", "native", "The Shop")
    assert "our own chat" in ground.ok("tenant", "list")


def kept(shop):
    return shop.sql("SELECT name, identity_secret FROM tenants")[0]


def test_added_again_it_gets_another_name_and_keeps_its_identity_secret(shop, tmp_path):
    (tmp_path / "key").write_text(SECRET)
    add = ("tenant", "add", "shop", "--native")
    assert SECRET not in shop.ok(*add, "--identity-secret-file", str(tmp_path / "key"))
    assert kept(shop).identity_secret == SECRET
    assert "updated" in shop.ok(*add, "--name", "Shop")
    assert kept(shop) == ("Shop", SECRET)
    shop.ok(*add, "--no-identity-secret")
    assert kept(shop).identity_secret is None


def test_added_again_without_a_name_it_keeps_the_one_it_has(shop, tmp_path):
    (tmp_path / "key").write_text(SECRET)
    add = ("tenant", "add", "shop", "--native")
    for more in (("--identity-secret-file", str(tmp_path / "key")), ("--no-identity-secret",), ()):
        assert shop.json(*add, *more)["name"] == "The Shop"
        assert kept(shop).name == "The Shop"
    assert shop.run(*add, "--name", "").exit_code == 4
    assert kept(shop).name == "The Shop"


def test_names_may_be_in_any_script(shop):
    name = "فروشگاه\u200cها"
    assert shop.json("tenant", "add", "shop", "--native", "--name", f"\xa0{name}\u3000 2 ")["name"] == f"{name} 2"
    assert kept(shop).name == f"{name} 2"
    assert name in shop.ok("tenant", "list")
    for refused in ("a\u202eb", "\u200d", "\u3164", "a\nb"):
        done = shop.run("tenant", "add", "shop", "--native", "--name", refused)
        assert done.exit_code == 4 and "characters that can be shown" in done.stderr
    add = ("agent", "add", " ani@shop.example ", "--password-file", "-", "--json", "--name")
    told = json.loads(shop.ok(*add, f"{name}\xa0 A", stdin=PASSWORD))
    assert (told["name"], told["email"]) == (f"{name} A", "ani@shop.example"), "as they are kept"
    assert account(shop).name == told["name"]


def test_the_divisions_of_an_account_are_given_changed_taken_and_shown(shop):
    added = hire(shop, "ani@shop.example", "--division", " Sales  Team ", "--division", "Bali", "--division", "bali")
    assert added.output.endswith("ani@shop.example belongs to Sales Team, Bali\n")
    assert "Sales Team, Bali" in shop.ok("agent", "list") and "DIVISIONS" in shop.ok("agent", "list")
    assert shop.json("agent", "list")["agents"][0]["divisions"] == ["Sales Team", "Bali"]
    divisions = ("agent", "divisions", "ani@shop.example")
    assert shop.json(*divisions)["divisions"] == ["Sales Team", "Bali"]
    assert shop.ok(*divisions, "Jakarta") == "ani@shop.example belongs to Jakarta\n"
    assert account(shop).divisions == ["Jakarta"]
    for refused in (("",), ("a\nb",), ("x" * 101,), tuple(map(str, range(51)))):
        assert shop.run(*divisions, *refused).exit_code == 4
    assert shop.run(*divisions, "x", "--none").exit_code == 2
    assert shop.run("agent", "divisions", "nobody", "x").exit_code == 3
    assert shop.ok(*divisions, "--none") == "ani@shop.example belongs to no division\n"
    assert "DIVISIONS" not in shop.ok("agent", "list")
    assert hire(shop, "budi@shop.example", "--division", "\u202ex").exit_code == 4


def test_a_new_one_without_a_name_is_called_by_its_id(ground):
    assert ground.json("tenant", "add", "--native", "shop")["name"] == "shop"
    assert kept(ground).name == "shop"


def test_whether_an_identity_secret_is_set_is_told_and_never_the_secret(shop, tmp_path):
    (tmp_path / "key").write_text(SECRET)
    add = ("tenant", "add", "shop", "--native")
    assert shop.json(*add)["identity_secret"] is False
    done = shop.run(*add, "--json", "--identity-secret-file", str(tmp_path / "key"))
    assert json.loads(done.stdout)["identity_secret"] is True and SECRET not in done.output
    assert shop.json(*add)["identity_secret"] is True, "unset keeps it"
    shown = shop.ok(*add)
    assert "identity secret is set" in shown and SECRET not in shown
    assert shop.json(*add, "--no-identity-secret")["identity_secret"] is False


def test_a_native_only_installation_needs_no_id(ground):
    shown = ground.ok("tenant", "add", "--native")
    assert "no ID was given" in shown and "chat added" in shown and "/chat?tenant=chat" in shown
    assert ground.sql("SELECT id, desk, name FROM tenants") == [("chat", "native", "chat")]
    again = ground.json("tenant", "add", "--native", "--name", "Our chat")
    assert (again["tenant"], again["added"], again["name"]) == ("chat", False, "Our chat")
    assert "chat updated" in ground.ok("tenant", "add", "--native")
    told = re.sub(r"\s+", " ", ground.ok("tenant", "add", "--help"))
    assert "[ID]" in told and "`chat`" in told


def test_an_app_of_qiscus_is_not_added_without_its_id(ground):
    done = ground.run("tenant", "add", "--no-check", "--secret-key-file", "-", stdin=SECRET)
    assert done.exit_code == 2 and "ID is missing" in done.stderr and "--native" in done.stderr
    assert ground.sql("SELECT id FROM tenants") == []


def test_one_id_is_one_kind_of_tenant(shop):
    done = shop.run("tenant", "add", "shop", "--no-check", "--secret-key-file", "-", stdin=SECRET)
    assert done.exit_code == 4 and "chat of our own" in done.stderr
    shop.ok("tenant", "add", "app", "--no-check", "--secret-key-file", "-", stdin=SECRET)
    done = shop.run("tenant", "add", "--native", "app")
    assert done.exit_code == 4 and "is a Qiscus app" in done.stderr
    assert {row.id: row.desk for row in shop.sql("SELECT id, desk FROM tenants")} == {"shop": "native", "app": "qiscus"}


@pytest.mark.parametrize(
    "words",
    [
        ("shop", "--native", "--secret-key-file", "-"),
        ("shop", "--native", "--no-check"),
        ("shop", "--name", "x"),
        ("shop", "--no-identity-secret"),
        ("shop", "--native", "--identity-secret-file", "-", "--no-identity-secret"),
    ],
)
def test_options_of_the_other_kind_are_refused(ground, words):
    assert ground.run("tenant", "add", *words, stdin=SECRET).exit_code == 2


@pytest.mark.parametrize("words", [("a b",), ("shop", "--name", "x" * 101), ("shop", "--name", "a\x1bb")])
def test_an_id_or_a_name_that_cannot_be_shown_is_refused(ground, words):
    assert ground.run("tenant", "add", "--native", *words).exit_code == 4
    assert ground.sql("SELECT id FROM tenants") == []


def test_removing_it_leaves_nothing(shop):
    hire(shop)
    begin(shop)
    shop.sql("INSERT INTO faq (tenant, question, answer) VALUES ('shop', 'q', 'a')")
    shop.sql(
        "INSERT INTO notes (tenant, session, agent, agent_name, body) SELECT 'shop', id, 'a', 'A', 'b' FROM sessions"
    )
    assert shop.run("tenant", "remove", "shop").exit_code == 4
    shop.ok("tenant", "remove", "shop", "--yes")
    for table in ("tenants", "accounts", "sessions", "messages", "customers", "notes", "faq", "agents"):
        assert shop.sql(f"SELECT count(*)::integer AS n FROM {table}")[0].n == 0, table


# --- accounts


def test_an_account_is_added_with_a_password_that_is_nowhere_to_be_seen(shop):
    done = hire(shop)
    assert done.exit_code == 0 and PASSWORD not in done.output
    found = account(shop)
    assert people.matches(found.password_hash, PASSWORD) and PASSWORD not in found.password_hash
    assert (found.tenant, found.name, found.role) == ("shop", "Ani", "agent")
    assert found.agent in done.stdout
    assert json.loads(hire(shop, "boss@shop.example", "--role", "supervisor", "--json").stdout)["role"] == "supervisor"


def test_accounts_are_listed_with_their_role_and_limit(shop):
    hire(shop)
    hire(shop, "boss@shop.example", "--role", "supervisor")
    agents = {each["email"]: each for each in shop.json("agent", "list")["agents"]}
    assert (agents["ani@shop.example"]["role"], agents["ani@shop.example"]["limit"]) == ("agent", 2)
    shown = shop.ok("agent", "list")
    assert "ani@shop.example" in shown and "supervisor" in shown
    assert "argon2" not in shown


@pytest.mark.parametrize("command", [("agent", "limit"), ("max", "--agent")])
def test_the_limit_of_an_account_is_set_by_its_id_or_its_email(shop, command):
    hire(shop)
    agent = account(shop).agent
    for who, value in ((agent, "5"), ("ani@shop.example", "6"), ("ANI@Shop.example", "7")):
        shop.ok(*command, who, value)
        assert list(shop.redis.scan_iter("config:*")) == [f"config:max_agent_chat:shop:{agent}"]
        assert shop.redis.get(f"config:max_agent_chat:shop:{agent}") == value
    told = shop.json("agent", "limit", "ani@shop.example")
    assert (told["agent"], told["email"], told["limit"]) == (agent, "ani@shop.example", 7)
    assert "ani@shop.example" in shop.ok("agent", "limit", agent)
    shop.ok(*command, "ani@shop.example", "--clear")
    assert list(shop.redis.scan_iter("config:*")) == []
    assert shop.run(*command, "nobody@shop.example", "3").exit_code == 3


@pytest.mark.parametrize("command", [("agent", "limit"), ("max", "--agent")])
def test_the_tenant_of_a_limit_is_the_only_one_that_knows_the_agent(shop, command):
    shop.ok("tenant", "add", "--native", "bank")
    hire(shop, "ani@shop.example", "--tenant", "shop")
    hire(shop, "both@shop.example", "--tenant", "shop")
    hire(shop, "both@shop.example", "--tenant", "bank")
    shop.ok(*command, "ani@shop.example", "5")
    (agent,) = shop.sql("SELECT agent FROM accounts WHERE email = 'ani@shop.example'")
    assert list(shop.redis.scan_iter("config:*")) == [f"config:max_agent_chat:shop:{agent.agent}"]
    for who in ("both@shop.example", "nobody@shop.example"):
        done = shop.run(*command, who, "5")
        assert done.exit_code == 2 and "bank, shop" in done.stderr
    assert shop.run(*command, "ani@shop.example", "5", "--tenant", "bank").exit_code == 3
    shop.ok(*command, "both@shop.example", "0", "--tenant", "bank")
    assert shop.run(*command, "ani@shop.example", "5", "--tenant", "nowhere").exit_code == 3


def test_an_account_is_listed_as_online_away_or_offline(shop):
    agents = {}
    for name in ("here", "away", "gone", "out"):
        hire(shop, f"{name}@shop.example")
        agents[name] = account(shop, f"{name}@shop.example").agent
    hire(shop, "boss@shop.example", "--role", "supervisor")
    agents["boss"] = account(shop, "boss@shop.example").agent
    for name, wish in (("here", "online"), ("away", "away"), ("out", "online"), ("boss", "online")):
        come(shop, agents[name], wish)
    shop.ok("agent", "disable", "out@shop.example")
    serve(shop, agents["away"], "s1")
    serve(shop, agents["boss"], "s2")
    serve(shop, agents["gone"], "s3")
    told = {each["email"].split("@")[0]: each["presence"] for each in shop.json("agent", "list")["agents"]}
    assert told == {"here": "online", "away": "away", "gone": "offline", "out": "offline", "boss": "online"}
    rows = {text.split()[0]: text for text in shop.ok("agent", "list").splitlines()}
    for name, presence in told.items():
        assert f"  {presence}  " in rows[agents[name]], name
    assert "away, still has rooms" in rows[agents["away"]]
    assert "offline, still has rooms" in rows[agents["gone"]]
    assert "still has rooms" not in rows[agents["boss"]]


def test_who_waits_is_told_that_somebody_is_only_away(shop):
    hire(shop)
    come(shop, account(shop).agent, "away")
    room = begin(shop)
    new = [NewVisit(room, 1_700_000_000_000_000, "native")]
    shop.in_line(lambda cur: line.open_visits(Turn(cur, "shop", lock(cur, "shop")), new))
    shop.sql("INSERT INTO rosters (tenant, class, read_at, due_at) VALUES ('shop', 'native', now(), now())")
    with shop.a_worker():
        assert "nobody is online for it, 1 agent is away" in shop.ok("why", room)


def test_a_chat_of_our_own_without_accounts_says_how_to_make_one(shop):
    assert "giliran agent add" in shop.ok("agent", "list")
    shop.add_tenant("app")
    parts = shop.ok("agent", "list").split("\n\n")
    assert "app\nno agent seen yet: the desk is asked" in parts[0] and "agent add" not in parts[0]
    assert "agent add" in parts[1] and "--tenant shop" in parts[1]


@pytest.mark.parametrize(
    ("email", "more", "password", "code"),
    [
        ("no address", (), PASSWORD, 4),
        ("ani@shop.example", (), "short", 4),
        ("ani@shop.example", (), "P@ssw0rd1", 4),
        ("ani@shop.example", ("--role", "king"), PASSWORD, 2),
        ("ani@shop.example", ("--tenant", "nowhere"), PASSWORD, 3),
    ],
)
def test_an_account_that_cannot_be_is_refused(shop, email, more, password, code):
    done = hire(shop, email, *more, password=password)
    assert done.exit_code == code
    assert shop.sql("SELECT agent FROM accounts") == []


def test_an_email_has_one_account_in_a_tenant(shop):
    assert hire(shop).exit_code == 0
    done = hire(shop, "ANI@shop.example")
    assert done.exit_code == 4 and "already" in done.stderr


def test_a_password_is_not_asked_for_where_there_is_no_terminal(shop):
    assert shop.run("agent", "add", "ani@shop.example", "--name", "Ani").exit_code == 2


def token(shop, agent):
    shop.sql(
        "INSERT INTO tokens (digest, tenant, agent, expires_at) VALUES (%s, 'shop', %s, now() + interval '1 hour')",
        people.token_digest("t"),
        agent,
    )


def revoked(shop):
    return all(row.revoked_at for row in shop.sql("SELECT revoked_at FROM tokens"))


def test_a_new_password_logs_the_old_one_out(shop):
    hire(shop)
    token(shop, account(shop).agent)
    shop.ok("agent", "password", "ani@shop.example", "--password-file", "-", stdin="another good one\n")
    assert people.matches(account(shop).password_hash, "another good one") and revoked(shop)


def test_a_disabled_account_is_logged_out_and_gets_no_chats_until_it_is_enabled(shop):
    hire(shop)
    agent = account(shop).agent
    token(shop, agent)
    shop.sql("UPDATE agents SET available = true")
    assert shop.json("agent", "disable", "ani@shop.example")["disabled"] is True
    assert account(shop).disabled and revoked(shop)
    assert shop.sql("SELECT available FROM agents")[0].available is False
    assert "can't log in" in shop.ok("agent", "list")
    shop.ok("agent", "enable", agent)
    assert not account(shop).disabled
    assert shop.run("agent", "disable", "nobody@shop.example").exit_code == 3


def test_disabling_tells_how_many_chats_go_back_to_the_line(shop):
    hire(shop)
    agent = account(shop).agent
    assert "it has no open chat" in shop.ok("agent", "disable", agent)
    serve(shop, agent, "s1", "s2")
    told = shop.json("agent", "disable", agent)
    assert (told["disabled"], told["open_chats"]) == (True, 2)
    after = f"after {PRESENCE_GRACE_S:.0f} s"
    assert f"its 2 open chats, answered or not, go back to the line {after}" in shop.ok("agent", "disable", agent)
    help_text = " ".join(shop.ok("agent", "disable", "--help").split())
    assert (
        f"{after.capitalize()} all its open chats, answered or not, return to their old places in the queue"
        in help_text
    )
    assert "open chat" not in shop.ok("agent", "enable", agent)
    assert accounts.GRACE_S == PRESENCE_GRACE_S


def test_with_several_chats_of_our_own_the_tenant_must_be_named(shop):
    shop.ok("tenant", "add", "--native", "bank")
    assert hire(shop).exit_code == 2
    assert hire(shop, "ani@shop.example", "--tenant", "bank").exit_code == 0
    assert account(shop).tenant == "bank"


def test_an_app_of_qiscus_has_supervisors_here_but_no_agents_and_no_answers(ground):
    ground.add_tenant("app")
    refused = hire(ground)
    assert refused.exit_code == 4 and "its agents are those of Qiscus" in refused.stderr
    assert hire(ground, "sri@shop.example", "--role", "supervisor").exit_code == 0
    assert account(ground, "sri@shop.example").tenant == "app"
    assert ground.run("faq", "import", "-", stdin="q,a\n").exit_code == 3


# --- questions and answers


def known(shop):
    return {row.question: row.answer for row in shop.sql("SELECT question, answer FROM faq")}


@pytest.mark.parametrize(
    "text",
    [
        'question,answer\nOpening hours?,"Nine to five,\nMonday to Friday"\nRefunds?,Yes\n',
        'Opening hours?,"Nine to five,\nMonday to Friday"\n\nRefunds?,Yes\n',
        '\ufeffQuestion, Answer\r\nOpening hours?,"Nine to five,\nMonday to Friday"\r\nRefunds?,Yes',
        'Question;Answer\r\nOpening hours?;"Nine to five,\nMonday to Friday"\r\nRefunds?;Yes\r\n',
        'Opening hours?;"Nine to five,\nMonday to Friday"\n\nRefunds?;Yes\n',
        'sep=;\nOpening hours?;"Nine to five,\nMonday to Friday"\nRefunds?;Yes\n',
        'Opening hours?\t"Nine to five,\nMonday to Friday"\nRefunds?\tYes\n',
        json.dumps(
            [
                {"question": "Opening hours?", "answer": "Nine to five,\nMonday to Friday"},
                {"question": "Refunds?", "answer": "Yes"},
            ]
        ),
    ],
    ids=["csv", "csv without names", "csv of a spreadsheet", "semicolons", "no names", "said first", "tabs", "json"],
)
def test_questions_and_answers_are_replaced_by_those_of_a_file(shop, tmp_path, text):
    shop.sql("INSERT INTO faq (tenant, question, answer) VALUES ('shop', 'old', 'gone')")
    (tmp_path / "faq").write_bytes(text.encode())
    assert shop.json("faq", "import", str(tmp_path / "faq")) == {"tenant": "shop", "entries": 2, "replaced": True}
    assert known(shop) == {"Opening hours?": "Nine to five,\nMonday to Friday", "Refunds?": "Yes"}


def test_a_pipe_will_do_and_the_last_answer_counts(shop):
    assert "1 question" in shop.ok("faq", "import", "-", stdin="Q?,first\nQ?,last\n")
    assert known(shop) == {"Q?": "last"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "no question"),
        ("question,answer\n", "no question"),
        ("a,b\nonly one\n", "line 2"),
        ("a,\n", "line 1 has no answer"),
        ("Jam buka?;Senin, Sabtu\nRetur?;Ya, bisa\n", "both commas and semicolons"),
        ("question;answer\nJam buka?;Senin;Sabtu\n", "line 2 has 3 columns between semicolons"),
        ("Jam buka?;Senin\nRetur?;Ya;bisa\n", "line 2 has 3 columns between semicolons"),
        ('a,"b\n', "no CSV"),
        ("[1]", "list of"),
        ('[{"question": "q"}]', "entry 1 has no answer"),
        ("{", "no JSON"),
        ("q," + "x" * 5001, "more than 5000"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing_and_the_place_is_named(shop, text, place):
    shop.sql("INSERT INTO faq (tenant, question, answer) VALUES ('shop', 'old', 'kept')")
    done = shop.run("faq", "import", "-", stdin=text)
    assert done.exit_code == 4 and place in done.stderr
    assert known(shop) == {"old": "kept"}


def test_a_file_that_is_not_there_or_no_text_is_one_line(shop, tmp_path):
    assert shop.run("faq", "import", str(tmp_path / "none")).exit_code == 1
    (tmp_path / "bin").write_bytes(b"\xff\xfe\x00")
    assert shop.run("faq", "import", str(tmp_path / "bin")).exit_code == 4


ENTRIES = [
    {"question": "Where are you?", "answer": "In the \u201cHigh Street\u201d,\nat number 5; ☎ 021"},
    {"question": 'A "quoted", one?', "answer": "Yes, " + "and so on " * 30 + "to the end"},
    {"question": "آیا می\u200cتوانم؟", "answer": "[1]"},
]


def test_questions_and_answers_come_out_as_they_went_in(shop):
    shop.ok("faq", "import", "-", stdin=json.dumps(ENTRIES))
    out = shop.ok("faq", "list", "--json")
    assert json.loads(out) == ENTRIES, "whole, and in the order of the file"
    shop.sql("DELETE FROM faq")
    assert shop.ok("faq", "list", "--tenant", "shop", "--json") == "[]\n"
    shop.ok("faq", "import", "-", stdin=out)
    assert shop.ok("faq", "list", "--json") == out


def test_questions_and_answers_are_a_table_for_people(shop):
    assert "giliran faq import" in shop.ok("faq", "list")
    shop.ok("faq", "import", "-", stdin=json.dumps([*ENTRIES, {"question": "Evil?", "answer": "a\x1b[2Jb"}]))
    shown = shop.ok("faq", "list")
    assert "to the end" not in shown and "…" in shown and "\x1b" not in shown
    rows = shown.splitlines()
    assert rows[0].split() == ["QUESTION", "ANSWER"] and len(rows) == 1 + 4
    assert "number 5" in rows[1], "an answer of two lines is one row"


def test_whose_questions_are_listed_must_be_clear(shop):
    shop.ok("tenant", "add", "--native", "bank")
    shop.add_tenant("app")
    shop.ok("faq", "import", "-", "--tenant", "bank", stdin="Q?,A\n")
    assert shop.run("faq", "list").exit_code == 2
    assert shop.run("faq", "list", "--tenant", "app").exit_code == 3
    assert shop.json("faq", "list", "--tenant", "shop") == []
    assert shop.json("faq", "list", "--tenant", "bank") == [{"question": "Q?", "answer": "A"}]


# --- transcripts


def test_a_transcript_is_text_for_people_and_json_for_programs(shop):
    room = begin(shop)
    assert "Budi: Where is my order?" in shop.ok("transcript", room)
    as_json = json.loads(shop.ok("transcript", room, "--format", "json"))
    assert as_json == shop.json("transcript", room)
    assert [message["body"] for message in as_json["messages"]] == ["Where is my order?"]


def test_what_a_customer_writes_does_not_command_the_terminal(shop):
    room = begin(shop, text="a\x1b[2Jb\nc\x9b")
    shown = shop.ok("transcript", room)
    assert "\x1b" not in shown and "\x9b" not in shown and "a?[2Jb" in shown


def test_a_transcript_shows_every_script(shop):
    room = begin(shop, text="می\u200cخواهم\t10\xa0kg 👩\u200d👧")
    assert "می\u200cخواهم 10 kg 👩\u200d👧" in shop.ok("transcript", room)


def test_a_session_that_is_not_there_is_not_found(shop):
    shop.ok("tenant", "add", "--native", "bank")
    room = begin(shop)
    for words in ((chat.new_room(),), ("\x00",), (room, "--tenant", "bank")):
        assert shop.run("transcript", *words).exit_code == 3


def test_what_is_no_session_says_what_it_is_instead(shop):
    room = begin(shop)
    shop.add_tenant("app")
    shop.add_rooms("57491250", tenant="app")
    done = shop.run("transcript", "57491250")
    assert done.exit_code == 3 and "app knows a room with this id: see `giliran why 57491250`" in done.stderr
    done = shop.run("transcript", room, "--tenant", "nowhere")
    assert done.exit_code == 3 and "no tenant 'nowhere'" in done.stderr and "known: shop" in done.stderr
    done = shop.run("transcript", room, "--tenant", "app")
    assert done.exit_code == 3 and "no tenant 'app' with a chat of our own" in done.stderr
    shop.ok("tenant", "add", "--native", "bank")
    done = shop.run("transcript", room, "--tenant", "bank")
    assert done.exit_code == 3 and "in bank" in done.stderr


def test_a_room_that_nobody_told_of_says_so(shop):
    done = shop.run("why", "nope")
    assert done.exit_code == 3 and "no room 'nope': no webhook and no desk told of it" in done.stderr
    assert "session" in shop.ok("why", "--help")


def test_a_story_names_the_agent_who_gave_a_chat_back(shop):
    hire(shop)
    agent = account(shop).agent
    serve(shop, agent, "s1")
    shop.sql("INSERT INTO events (visit, what, detail) SELECT id, 'released', %s FROM visits", f"{agent}: away")
    assert f"released: {agent} (Ani): away" in shop.ok("why", "s1")


@pytest.mark.parametrize(
    "words", [("why",), ("retry",), ("transcript",), ("agent", "limit"), ("agent", "disable"), ("max", "--agent")]
)
def test_a_word_that_is_no_text_is_usage_and_no_defect(shop, words):
    done = shop.run(*words, b"\xff".decode(errors="surrogateescape"))
    assert done.exit_code in (2, 3) and "defect" not in done.stderr
