"""What is found among messages and names of files in a real PostgreSQL: parts of what is written in one."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from db import chat, console, sessions
from db.chat import Attachment
from db.postgres import Ledger
from tests.hostile import SHAPES, steeper_than_linear
from tests.variants import each

TENANT = "toko"
MESSAGES = {
    "order": "Pesanan INV-2024-001 belum sampai",
    "colour": "ada warna merah/biru?",
    "promo": "lihat https://toko.example/promo/lebaran_hemat?kode=A1B2",
    "mail": "kirim ke budi.santoso@mail.example, ya",
    "glued": "kode INV2025077",
    "accents": "café Ünal, é2",
    "short": "a",
}
FILES = ("faktur-2026.pdf", "IMG_0001.jpg", "Kaos+Merah~XL (2).png", "WhatsApp Image 2026-11-30 at 10.15.02.jpeg")


@pytest.fixture(scope="module")
def ledger(_databases) -> Iterator[Ledger]:
    with _databases.clone() as url, closing(Ledger(url, "test")) as made:
        with made.transaction() as cur:
            cur.execute("INSERT INTO tenants (id, desk, base_url, secret_key) VALUES (%s, 'native', '', '')", (TENANT,))
            room = chat.new_room()
            sessions.open_session(cur, TENANT, room, chat.new_key(), "budi@example.com", "Budi")
            session = chat.by_room(cur, TENANT, room)
            assert session
            files = [Attachment(f"{n:032x}", name, "application/pdf", 7) for n, name in enumerate(FILES)]
            drafts = [chat.draft(session.id, "customer", body) for body in MESSAGES.values()]
            drafts += [chat.draft(session.id, "customer", "", attachments=[file]) for file in files]
            chat.add_messages(cur, drafts)
        yield made


def found(ledger: Ledger, q: str) -> list[str]:
    """Which messages, by their names here, and which files."""
    names = {body: name for name, body in MESSAGES.items()}
    with ledger.transaction() as cur:
        hits, _ = console.search(cur, TENANT, q, 50)
    plain = str.maketrans("", "", "\x02\x03")
    return sorted(names.get(hit["message"]["body"]) or hit["snippet"].translate(plain) for hit in hits)


@each(
    ("q", "what"),
    [
        ("001", ["order"]),
        ("2024", ["order"]),
        ("INV-2024-001", ["order"]),
        ("inv/2024", ["order"]),
        ("inv", ["glued", "order"]),
        ("biru", ["colour"]),
        ("merah/biru", ["colour"]),
        ("merah", [FILES[2], "colour"]),
        ("lebaran", ["promo"]),
        ("toko.example", ["promo"]),
        ("https://toko.example/promo/lebaran", ["promo"]),
        ("hemat", ["promo"]),
        ("a1b2", ["promo"]),
        ("santoso", ["mail"]),
        ("budi.santoso@mail.example", ["mail"]),
        ("example", ["mail", "promo"]),
        ("2025077", ["glued"]),
        ("INV2025", ["glued"]),
        ("ünal", ["accents"]),
        ("faktur-2026.pdf", [FILES[0]]),
        ("2026", [FILES[3], FILES[0]]),
        ("IMG_0001.jpg", [FILES[1]]),
        ("0001", [FILES[1]]),
        ("img0001", [FILES[1]]),
        ("xl", [FILES[2]]),
        ("2026-11-30", [FILES[3]]),
        ('"warna merah" -hijau', ["colour"]),
        ('merah -"warna merah"', [FILES[2]]),
        ("biru or lebaran", ["colour", "promo"]),
        ("inv -2024-001", ["glued"]),
    ],
)
def test_parts_of_what_is_written_in_one_are_found(ledger: Ledger, q: str, what: list[str]) -> None:
    assert found(ledger, q) == what


@each("mark", "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
def test_any_mark_parts_words(ledger: Ledger, mark: str) -> None:
    with ledger.transaction() as cur:
        cur.execute(
            "SELECT tsvector_to_array(words_of(%s)) AS words", (f"biru{mark}hijau a {mark}kuning{mark} 7{mark}8",)
        )
        assert {"biru", "hijau", "kuning", "7", "8"} <= set(cur.fetchone().words)


@each("q", ["-a", "-a -b", "a or -b", '-"merah biru"', "-", '"', '""', "or", "- -", "...", "-or"])
def test_what_only_says_what_is_not_wanted_finds_nothing_and_looks_through_nothing(ledger: Ledger, q: str) -> None:
    assert found(ledger, q) == []
    with ledger.transaction() as cur:
        wanted = console.asked(q)
        cur.execute("SET LOCAL enable_seqscan = off")
        values = {"tenant": TENANT, "query": wanted.query, "open": wanted.is_open, "most": 50}
        cur.execute(f"EXPLAIN (ANALYZE, FORMAT TEXT) {console.CONSOLE.blocks['search']}", values)
        plan = "\n".join(row[0] for row in cur.fetchall())
    assert "Rows Removed by Filter" not in plan, plan


def test_the_snippet_marks_whole_words_where_the_first_of_them_stands(ledger: Ledger) -> None:
    body = "kata " * 60 + "\x02pesanan\x03 INV-2024-001, lalu <b>INV-2024-002</b> " + "kata " * 60
    shown = console.snippet(body, console.asked("inv 2024-00"))
    assert shown.count("\x02INV\x03-\x022024\x03-\x02001\x03") == 1
    assert "<b>\x02INV\x03-\x022024\x03-\x02002\x03</b>" in shown and "\x02pesanan" not in shown
    assert len(shown) < 260 and shown.startswith("kata")


@each("name", SHAPES)
def test_the_words_of_a_text_and_its_snippet_take_time_that_grows_as_its_length_does(ledger: Ledger, name: str) -> None:
    wanted = console.asked("a 1 talk")

    def words_of(text: str) -> None:
        with ledger.transaction() as cur:
            cur.execute("SELECT length(words_of(%s))", (text,))

    assert steeper_than_linear(words_of, SHAPES[name], time.perf_counter) == ""
    assert steeper_than_linear(lambda text: console.snippet(text, wanted), SHAPES[name]) == ""
