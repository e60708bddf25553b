"""`giliran customer`: what is stored about one person leaves the house whole, or is gone whole."""

import json
import secrets
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extras import NamedTupleCursor

from db import chat, sessions
from db.chat import Attachment
from tests.services.test_admin import Ground

EMAIL = "budi@example.com"
FILE = Attachment("ab" * 16, "../invoice 1.pdf", "application/pdf", 5)


@pytest.fixture
def shop(database_url, redis_url):
    ground = Ground(database_url, redis_url)
    ground.ok("tenant", "add", "--native", "shop", "--name", "The Shop")
    return ground


def chats(shop, email=EMAIL, name="Budi", n=1, ended=True, messages=2):
    """Chats of one customer, each with messages, a note and a file; their ids."""
    rooms = []
    with (
        closing(psycopg2.connect(shop.database_url, cursor_factory=NamedTupleCursor)) as conn,
        conn,
        conn.cursor() as cur,
    ):
        for number in range(n):
            room = chat.new_room()
            session, _ = sessions.open_session(cur, "shop", room, chat.new_key(), email, name)
            own = FILE.id if (number, email) == (0, EMAIL) and ended else secrets.token_hex(16)
            file = Attachment(own, FILE.name, FILE.type, FILE.size)
            texts = [f"secret of {name} {k}" for k in range(messages)]
            drafts = [chat.draft(session, "customer", text, sender_name=name) for text in texts]
            chat.add_messages(cur, [*drafts, chat.draft(session, "customer", "", attachments=[file])])
            cur.execute(
                "INSERT INTO notes (tenant, session, agent, agent_name, body) VALUES ('shop', %s, 'ani', 'Ani', %s)",
                (session, f"a note about {name}"),
            )
            rooms.append(room)
    if ended:
        shop.sql("UPDATE sessions SET status = 'ended', ended_at = now() WHERE room = ANY(%s)", rooms)
    return rooms


def stored(shop) -> dict[str, int]:
    tables = ("customers", "sessions", "messages", "attachments", "notes")
    return {table: shop.sql(f"SELECT count(*) AS n FROM {table}")[0].n for table in tables}


def test_an_export_has_every_chat_with_all_its_messages_and_notes(shop):
    rooms = chats(shop, n=2, messages=3)
    chats(shop, "sari@example.com", "Sari")
    told = shop.json("customer", "export", EMAIL.upper())
    assert [one["session_id"] for one in told["chats"]] == rooms
    assert [one["name"] for one in told["customer"]] == ["Budi"]
    for one in told["chats"]:
        assert [m["body"] for m in one["messages"]][:3] == [f"secret of Budi {k}" for k in range(3)]
        assert [note["text"] for note in one["notes"]] == ["a note about Budi"]
        assert one["complete"] is True
    assert "Sari" not in json.dumps(told)
    text = shop.ok("customer", "export", EMAIL)
    assert text.count("secret of Budi 2") == text.count("Note of Ani") == 2 and "Sari" not in text


def test_an_export_is_whole_where_a_transcript_is_cut(shop, monkeypatch):
    monkeypatch.setattr("db.chat.PAGE_BYTES", 200)
    monkeypatch.setattr("db.transcript.PARTS_MOST", 2)
    chats(shop, messages=40)
    (one,) = shop.json("customer", "export", EMAIL)["chats"]
    assert len(one["messages"]) == 41 and one["complete"]


def test_an_export_brings_the_files_of_this_machine_and_says_which_are_elsewhere(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("GILIRAN_DATA", str(tmp_path / "data"))
    chats(shop, n=2)
    here = tmp_path / "data" / "attachments" / "ab" / FILE.id
    here.parent.mkdir(parents=True)
    here.write_bytes(b"%PDF-")
    said = shop.ok("customer", "export", EMAIL, "--to", str(tmp_path / "out"))
    assert "2 chats" in said and "1 file is not on this machine" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"customer.json", f"{FILE.id}-invoice 1.pdf"}
    assert (tmp_path / "out" / "customer.json").stat().st_mode & 0o077 == 0
    assert shop.run("customer", "export", EMAIL, "--to", str(tmp_path / "out")).exit_code == 1, "nothing is overwritten"


def test_erased_is_erased_and_nobody_else_is(shop):
    chats(shop, "sari@example.com", "Sari")
    others = stored(shop)
    chats(shop, n=45)
    refused = shop.run("customer", "erase", EMAIL)
    assert refused.exit_code == 4 and "45 chats" in refused.stderr and "--yes" in refused.stderr
    assert shop.json("customer", "erase", EMAIL, "--yes")["chats_erased"] == 45
    assert stored(shop) == others
    assert shop.run("customer", "export", EMAIL).exit_code == 3
    assert shop.json("customer", "export", "sari@example.com")["chats"]


def test_both_records_of_one_address_go_the_proved_one_and_the_other(shop):
    chats(shop)
    shop.sql("UPDATE customers SET proved = true")
    chats(shop, EMAIL.upper())
    assert len(shop.json("customer", "export", EMAIL)["customer"]) == 2
    shop.ok("customer", "erase", EMAIL, "--yes")
    assert set(stored(shop).values()) == {0}


def test_a_chat_that_is_not_over_is_not_erased(shop):
    chats(shop, n=2)
    (room,) = chats(shop, ended=False)
    before = stored(shop)
    refused = shop.run("customer", "erase", EMAIL, "--yes")
    assert refused.exit_code == 4 and room in refused.stderr
    assert stored(shop) == before


@pytest.mark.parametrize("email", ["nobody@example.com", "", "a\x00b", "' OR 1=1 --", "%"])
def test_somebody_unknown_is_not_found(shop, email):
    chats(shop)
    for command in (("export", email), ("erase", email, "--yes")):
        assert shop.run("customer", *command).exit_code == 3
    assert stored(shop)["sessions"] == 1
