"""Rows of a chat: one gapless order whoever writes at once, each send once, and who may not write any more (H12)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from db import chat, payloads, sessions
from db.chat import Attachment, Draft, Message, NotTaken
from db.postgres import Ledger

TENANT = "toko"


class Rooms:
    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.ledger = Ledger(database_url, "test")
        self.run("INSERT INTO tenants (id, desk, base_url, secret_key) VALUES (%s, 'native', '', '')", TENANT)
        for agent in ("a1", "a2"):
            self.run("INSERT INTO agents (tenant, id) VALUES (%s, %s)", TENANT, agent)
            sql = "INSERT INTO accounts (tenant, agent, email, name, password_hash) VALUES (%s, %s, %s, %s, '')"
            self.run(sql, TENANT, agent, f"{agent}@example.com", agent)

    def open(self, number: int = 1) -> list[chat.Session]:
        return [self._opened() for _ in range(number)]

    def _opened(self) -> chat.Session:
        room = chat.new_room()
        with self.ledger.transaction() as cur:
            sessions.open_session(cur, TENANT, room, chat.new_key(), "budi@example.com", "Budi")
            session = chat.by_room(cur, TENANT, room)
        assert session
        return session

    def add(self, *drafts: Draft) -> list[Message | NotTaken]:
        with self.ledger.transaction() as cur:
            return chat.add_messages(cur, drafts)

    def rows(self, session: chat.Session, after: int = 0) -> list[Message]:
        with self.ledger.transaction() as cur:
            return chat.page_after(cur, session, after).rows

    def run(self, sql: str, *values: Any) -> None:
        with self.ledger.transaction() as cur:
            cur.execute(sql, values)

    def at_once(self, writers: int, work: Callable[[Ledger, int], None]) -> None:
        """Each writer with a connection of its own, all begun together."""
        start = threading.Barrier(writers)

        def one(number: int) -> None:
            with closing(Ledger(self.url, "writer")) as ledger:
                start.wait()
                work(ledger, number)

        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(one, range(writers)))


@pytest.fixture
def rooms(database_url: str) -> Iterator[Rooms]:
    made = Rooms(database_url)
    with closing(made.ledger):
        yield made


def said(session: chat.Session, body: str, client_id: str | None = None, **more: Any) -> Draft:
    return chat.draft(session.id, more.pop("sender", "customer"), body, client_id=client_id, **more)


def by(agent: str, session: chat.Session, body: str, client_id: str | None = None, anywhere: bool = False) -> Draft:
    return said(session, body, client_id, sender="agent", sender_id=agent, anywhere=anywhere)


def seqs(answers: list[Message | NotTaken]) -> list[int]:
    assert all(isinstance(answer, Message) for answer in answers), answers
    return [answer.seq for answer in answers if isinstance(answer, Message)]


def test_rows_are_numbered_from_one_in_the_order_given(rooms: Rooms) -> None:
    one, two = rooms.open(2)
    answers = rooms.add(said(one, "a"), said(two, "x"), said(one, "b"), said(two, "y"), said(one, "c"))
    assert seqs(answers) == [1, 1, 2, 2, 3]
    assert [row.body for row in rooms.rows(one)] == ["a", "b", "c"]
    assert [row.body for row in rooms.rows(one, after=2)] == ["c"]


def test_writers_side_by_side_leave_no_gap_and_no_row_twice(rooms: Rooms) -> None:
    """Each message is sent by two writers, with the same client_id, in other orders."""
    sessions = rooms.open(20)

    def write(ledger: Ledger, number: int) -> None:
        for batch in range(10):
            order = sessions if number % 2 else sessions[::-1]
            drafts = [said(s, f"{batch}", f"c{number // 2}-{batch}") for s in order]
            with ledger.transaction() as cur:
                seqs(chat.add_messages(cur, drafts))

    rooms.at_once(4, write)
    for session in sessions:
        rows = rooms.rows(session)
        assert [row.seq for row in rows] == list(range(1, 21))
        assert len({row.client_id for row in rows}) == 20


def test_a_send_repeated_with_another_text_is_answered_with_the_text_that_is_stored(rooms: Rooms) -> None:
    (room,) = rooms.open()
    first = rooms.add(said(room, "first", "c1"))[0]
    again = rooms.add(said(room, "other", "c1"))[0]
    in_one = rooms.add(said(room, "one", "c2"), said(room, "two", "c2"))
    assert isinstance(first, Message) and isinstance(again, Message)
    assert (again.seq, again.body, again.fresh) == (first.seq, "first", False)
    assert [(one.seq, one.body, one.fresh) for one in in_one if isinstance(one, Message)] == [
        (2, "one", True),
        (2, "one", False),
    ]
    assert [row.body for row in rooms.rows(room)] == ["first", "one"]


def test_a_page_of_rows_ends_where_its_texts_have_so_many_bytes_and_says_that_more_follow(rooms: Rooms) -> None:
    (room,) = rooms.open()
    text = "\U0001f600" * 10_000  # 40,000 bytes
    rooms.add(*(said(room, text) for _ in range(20)))
    seen, pages = 0, []
    with rooms.ledger.transaction() as cur:
        while True:
            page = chat.page_after(cur, room, seen)
            pages.append(len(page.rows))
            assert [row.seq for row in page.rows] == list(range(seen + 1, seen + 1 + len(page.rows)))
            seen += len(page.rows)
            if not page.more:
                break
        assert (seen, max(pages)) == (20, 7)
        assert chat.page_after(cur, room, 20) == chat.Page([], False)
        assert [len(chat.page_after(cur, room, 0, most).rows) for most in (1, 3)] == [1, 3]
        assert (chat.page_after(cur, room, 18, 1).more, chat.page_after(cur, room, 19, 1).more) == (True, False)


def test_after_a_person_was_asked_for_the_bot_has_its_last_word_alone(rooms: Rooms) -> None:
    (room,) = rooms.open()
    late, goodbye = said(room, "late", sender="bot"), said(room, "bye", chat.BOT_GOODBYE, sender="bot")
    rooms.run("UPDATE sessions SET wants_person = true WHERE room = %s", room.room)
    answers = rooms.add(late, goodbye)
    assert answers[0] == NotTaken("not_waiting")
    assert [row.body for row in rooms.rows(room)] == ["bye"]


def test_another_chat_with_the_same_address_renames_nobody(rooms: Rooms) -> None:
    """Everybody can type any address; whoever does so is not heard under the name of somebody else's chat."""
    room = chat.new_room()
    (mine,) = rooms.open()
    with rooms.ledger.transaction() as cur:
        sessions.open_session(cur, TENANT, room, chat.new_key(), "budi@example.com", "The Bank")
        names = [payloads.session_view(cur, TENANT, one)["customer"]["name"] for one in (mine.room, room)]
        known = chat.by_room(cur, TENANT, mine.room)
    assert names == ["Budi", "The Bank"]
    assert known and known.customer_name == "Budi"


def test_a_send_repeated_is_answered_with_its_first_row(rooms: Rooms) -> None:
    [session] = rooms.open()
    [first] = rooms.add(said(session, "halo", "c1"))
    [second] = rooms.add(said(session, "halo again", "c1"))
    assert isinstance(first, Message) and isinstance(second, Message)
    assert (second.seq, second.id, second.created_at) == (first.seq, first.id, first.created_at)
    assert (first.fresh, second.fresh) == (True, False)
    assert [row.body for row in rooms.rows(session)] == ["halo"]


def test_a_send_twice_in_one_batch_is_one_row(rooms: Rooms) -> None:
    [session] = rooms.open()
    answers = rooms.add(said(session, "halo", "c1"), said(session, "halo", "c1"), said(session, "next", "c2"))
    assert seqs(answers) == [1, 1, 2]
    assert [answer.fresh for answer in answers if isinstance(answer, Message)] == [True, False, True]


def test_the_same_client_id_of_customer_and_agents_are_different_messages(rooms: Rooms) -> None:
    [session] = rooms.open()
    rooms.run("UPDATE sessions SET status = 'active', agent = 'a1' WHERE id = %s", session.id)
    answers = rooms.add(
        said(session, "c", "1"), by("a1", session, "a", "1"), by("a2", session, "s", "1", anywhere=True)
    )
    assert seqs(answers) == [1, 2, 3]


def test_an_ended_session_takes_nothing_but_repeats_what_it_took(rooms: Rooms) -> None:
    [session] = rooms.open()
    rooms.add(said(session, "in time", "c1"))
    rooms.run("UPDATE sessions SET status = 'ended', ended_at = now() WHERE id = %s", session.id)
    late, known = rooms.add(said(session, "late", "c2"), said(session, "in time", "c1"))
    assert late == NotTaken("session_ended")
    assert isinstance(known, Message) and known.seq == 1


def test_an_agent_writes_into_own_chats_and_a_supervisor_anywhere(rooms: Rooms) -> None:
    [session] = rooms.open()
    rooms.run("UPDATE sessions SET status = 'active', agent = 'a1' WHERE id = %s", session.id)
    own, other, boss = rooms.add(
        by("a1", session, "mine"), by("a2", session, "not mine"), by("a2", session, "any", anywhere=True)
    )
    assert (isinstance(own, Message), other, isinstance(boss, Message)) == (True, NotTaken("not_yours"), True)


def test_a_chat_counts_as_answered_once_its_own_agent_wrote(rooms: Rooms) -> None:
    [session] = rooms.open()
    rooms.run("UPDATE sessions SET status = 'active', agent = 'a1' WHERE id = %s", session.id)

    def answered() -> bool:
        with rooms.ledger.transaction() as cur:
            view = payloads.session_view(cur, TENANT, session.room)
        return bool(view and view["answered"])

    rooms.add(said(session, "anybody?"), by("a2", session, "I am the boss", anywhere=True))
    assert not answered()
    rooms.add(by("a1", session, "here I am"))
    assert answered()


def test_a_bot_speaks_only_while_the_customer_waits(rooms: Rooms) -> None:
    [session] = rooms.open()
    assert seqs(rooms.add(said(session, "I am a bot", sender="bot"))) == [1]
    rooms.run("UPDATE sessions SET status = 'active', agent = 'a1' WHERE id = %s", session.id)
    assert rooms.add(said(session, "too late", sender="bot")) == [NotTaken("not_waiting")]


def test_a_draft_for_no_session_does_not_spoil_the_others(rooms: Rooms) -> None:
    [session] = rooms.open()
    nowhere, here = rooms.add(chat.draft(999_999, "customer", "?"), said(session, "halo"))
    assert nowhere == NotTaken("not_found")
    assert isinstance(here, Message)


def test_a_happening_is_a_row_like_any_other(rooms: Rooms) -> None:
    [session] = rooms.open()
    rooms.add(said(session, "halo"))
    with rooms.ledger.transaction() as cur:
        message = chat.add_event(
            cur, TENANT, session.room, {"type": "assigned", "agent_id": "a1", "name": "A"}, "A came"
        )
        news = payloads.happened(cur, message)
    assert message.seq == 2
    assert [(one.type, one.to, one.seq) for one in news] == [
        ("chat.message.new", "room", 2),
        ("chat.session.assigned", "customer", 2),
        ("chat.session.assigned", "agents", 2),
        ("chat.agent.joined", "room", 2),
    ]
    assert "session" not in news[1].payload
    assert news[2].payload["session"]["customer"]["email"] == "budi@example.com"
    assert rooms.rows(session)[1].event == {"type": "assigned", "agent_id": "a1", "name": "A"}


def test_attachments_come_back_with_their_row_and_are_stored_once(rooms: Rooms) -> None:
    [session] = rooms.open()
    file = Attachment("f" * 32, "cat.png", "image/png", 7, 64, 40)
    draft = said(session, "", "c1", attachments=[file])
    rooms.add(draft)
    rooms.add(draft)
    [row] = rooms.rows(session)
    assert row.attachments == (file,)
    url = f"/api/v1/files/{file.id}"
    preview = {"url": f"{url}/preview", "width": 64, "height": 40}
    told = {"id": file.id, "name": "cat.png", "type": "image/png", "size": 7, "url": url, "preview": preview}
    assert payloads.payload_of(row)["attachments"] == [told]


def test_marks_only_rise_and_never_beyond_the_last_row(rooms: Rooms) -> None:
    [session] = rooms.open()
    rooms.add(*(said(session, str(n)) for n in range(5)))
    zero = {"customer_got": [0], "customer_read": [0], "agent_got": [0], "agent_read": [0]}

    def mark(**marks: list[int]) -> Any:
        with rooms.ledger.transaction() as cur:
            return chat.CHAT.one(cur, "mark", sessions=[session.id], **{**zero, **marks})

    assert (mark(agent_read=[3]).agent_read, mark(agent_read=[99]).agent_read) == (3, 5)
    assert mark(agent_read=[2]) is None
    row = mark(customer_read=[4])
    assert (row.customer_read, row.customer_got) == (4, 4)
