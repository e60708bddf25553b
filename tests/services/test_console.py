"""The agents' REST over real servers: what it answers, refuses, and keeps from others."""

import asyncio
from contextlib import closing
from typing import Any

import pytest

from db import chat
from db.postgres import Ledger
from sidecar.agents import console as sidecar_console
from tests.services.chat_floor import Counter, Floor
from tests.services.line_of import TENANT, Line

SESSION_FIELDS = {
    "session_id", "status", "position", "customer", "agent", "created_at", "started_at", "ended_at", "ended_by",
    "last_seq", "agent_read", "customer_read", "customer_got", "unread", "answered", "rating", "rating_comment",
    "last_message", "gone_at", "queue", "topic",
}  # fmt: skip


def told_over(story) -> Any:
    """Runs `story(floor, counter)`."""

    def run(line: Line, **more: Any) -> None:
        async def whole() -> None:
            async with Floor(line, **more) as floor, Counter(floor) as counter:
                await story(floor, counter)

        asyncio.run(whole())

    return run


def test_the_queue_is_the_line_with_places(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani = await floor.hire("ani")
        rooms = [await floor.start(f"C{n}", f"Question {n}") for n in range(3)]
        status, found = await counter.ask(ani, "GET", "queue")
        assert status == 200
        assert [session["session_id"] for session in found["sessions"]] == rooms
        assert [session["position"] for session in found["sessions"]] == [1, 2, 3]
        first = found["sessions"][0]
        assert set(first) == SESSION_FIELDS
        assert (first["status"], first["agent"], first["unread"]) == ("waiting", None, 1)
        assert first["customer"] == {
            "id": first["customer"]["id"],
            "name": "C0",
            "email": "c0@mail.example",
            "proved": False,
            "here": False,
            "seen_at": first["created_at"],
        }
        assert first["last_message"]["body"] == "Question 0"
        assert first["created_at"].endswith("Z") and len(first["created_at"]) == 24

    story(line)


def test_lists_that_are_cut_say_so(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar_console, "QUEUE_MOST", 2)
    monkeypatch.setattr(sidecar_console, "FOUND_MOST", 2)

    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani = await floor.hire("ani")

        async def seen() -> tuple[int, int, int, bool]:
            _, queue = await counter.ask(ani, "GET", "queue")
            _, hits = await counter.ask(ani, "GET", "search?q=parcel")
            return len(queue["sessions"]), queue["waiting"], len(hits["results"]), hits["more"]

        told = [await seen()]
        for n in range(3):
            await floor.start(f"C{n}", "My parcel")
            told.append(await seen())
        assert told == [(0, 0, 0, False), (1, 1, 1, False), (2, 2, 2, False), (2, 3, 2, True)]

    story(line)


def test_a_picked_customer_leaves_the_queue_and_the_others_move_up(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani = await floor.hire("ani")
        rooms = [await floor.start(f"C{n}") for n in range(3)]
        status, found = await counter.ask(ani, "POST", f"queue/{rooms[0]}/pick")
        assert status == 200
        assert (found["session"]["status"], found["session"]["agent"]["agent_id"]) == ("active", ani.agent_id)
        _, queue = await counter.ask(ani, "GET", "queue")
        assert [(s["session_id"], s["position"]) for s in queue["sessions"]] == [(rooms[1], 1), (rooms[2], 2)]

    story(line)


def test_picks_over_rest_answer_200_409_and_200_again(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, budi = await floor.hire("ani"), await floor.hire("budi")
        room, other = await floor.start(), await floor.start("C2")
        assert (await counter.ask(ani, "POST", f"queue/{room}/pick"))[0] == 200
        assert (await counter.ask(ani, "POST", f"queue/{room}/pick"))[0] == 200
        assert await counter.refusal(budi, "POST", f"queue/{room}/pick") == (409, "already_taken")
        assert await counter.refusal(ani, "POST", f"queue/{other}/pick") == (409, "at_max_load")
        assert await counter.refusal(ani, "POST", "queue/s0000/pick") == (404, "not_found")

    story(line, default_limit=1)


def test_two_who_pick_one_customer_at_the_same_instant_get_one_200_and_one_409(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        crew = [await floor.hire("ani"), await floor.hire("budi")]
        for agent in crew:
            await counter.token(agent)
        for n in range(25):
            room = await floor.start(f"C{n}")
            found = await asyncio.gather(*(counter.ask(agent, "POST", f"queue/{room}/pick") for agent in crew))
            assert sorted(status for status, _ in found) == [200, 409]

    story(line, default_limit=1000)


def test_messages_go_through_the_writer_and_come_back_in_order(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start(message="Hello")
        await counter.ask(ani, "POST", f"queue/{room}/pick")
        path = f"sessions/{room}/messages"
        status, sent = await counter.ask(ani, "POST", path, {"body": "Hi <b>there</b>", "client_id": "c1"})
        assert (status, sent["seq"], sent["sender_type"], sent["client_id"]) == (201, 4, "agent", "c1")
        status, again = await counter.ask(ani, "POST", path, {"body": "Hi <b>there</b>", "client_id": "c1"})
        assert (status, again["seq"], again["id"]) == (200, 4, sent["id"])
        _, found = await counter.ask(ani, "GET", f"{path}?after=2")
        assert [message["seq"] for message in found["messages"]] == [3, 4]
        assert found["messages"][1] == sent
        assert found["more"] is False
        assert floor.session(room).answered
        assert [news["body"] for news in floor.told("chat.message.new")][-1] == "Hi <b>there</b>"

    story(line)


def test_a_long_history_comes_in_pages(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start()
        number = floor.session(room).id
        await floor.store.run(
            lambda cur: chat.add_messages(cur, [chat.draft(number, "customer", f"m{n}") for n in range(600)])
        )
        _, first = await counter.ask(ani, "GET", f"sessions/{room}/messages")
        assert (len(first["messages"]), first["more"]) == (500, True)
        _, rest = await counter.ask(ani, "GET", f"sessions/{room}/messages?after={first['messages'][-1]['seq']}")
        assert (len(rest["messages"]), rest["more"]) == (101, False)

    story(line)


def test_only_the_agent_of_a_chat_and_supervisors_write_read_and_end(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, budi, boss = await floor.hire("ani"), await floor.hire("budi"), await floor.hire("boss", "supervisor")
        room = await floor.start()
        await counter.ask(ani, "POST", f"queue/{room}/pick")
        one = f"sessions/{room}"
        assert await counter.refusal(budi, "POST", f"{one}/messages", {"body": "x"}) == (403, "forbidden")
        assert await counter.refusal(budi, "POST", f"{one}/read", {"up_to_seq": 1}) == (403, "forbidden")
        assert await counter.refusal(budi, "POST", f"{one}/end", {}) == (403, "forbidden")
        assert await counter.refusal(budi, "POST", f"{one}/transfer", {"agent_id": budi.agent_id}) == (403, "forbidden")
        assert (await counter.ask(boss, "POST", f"{one}/messages", {"body": "I help"}))[0] == 201
        assert not floor.session(room).answered  # not by its agent
        assert (await counter.ask(budi, "GET", f"{one}/messages"))[0] == 200  # colleagues may watch
        assert (await counter.ask(boss, "POST", f"{one}/end"))[0] == 200
        assert await counter.refusal(ani, "POST", f"{one}/messages", {"body": "x"}) == (409, "session_ended")

    story(line)


def test_assign_and_transfer_move_the_chat(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, budi = await floor.hire("ani"), await floor.hire("budi")
        room, one = await floor.start(), ""
        one = f"sessions/{room}"
        _, found = await counter.ask(ani, "POST", f"{one}/assign", {"agent_id": ani.agent_id})
        assert found["session"]["agent"]["name"] == "ani"
        _, found = await counter.ask(ani, "POST", f"{one}/transfer", {"agent_id": budi.agent_id})
        assert found["session"]["agent"]["name"] == "budi"
        assert await counter.refusal(budi, "POST", f"{one}/transfer", {"agent_id": "nobody"}) == (404, "not_found")
        assert await counter.refusal(budi, "POST", f"{one}/transfer", {}) == (400, "invalid_payload")
        status, found = await counter.ask(budi, "POST", f"{one}/end")
        assert (status, found["session"]["status"], found["session"]["ended_by"]) == (
            200,
            "ended",
            f"agent:{budi.agent_id}",
        )
        assert (await counter.ask(budi, "POST", f"{one}/end"))[0] == 200
        assert await counter.refusal(budi, "POST", f"{one}/transfer", {"agent_id": ani.agent_id}) == (
            409,
            "session_ended",
        )
        assert line.seats() == {}

    story(line)


def test_a_session_comes_with_its_notes_and_the_customers_earlier_visits(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani = await floor.hire("ani")
        before = await floor.start("Citra")
        await floor.turns.end(TENANT, before, "customer", "Citra")
        await floor.start("Dewi")
        room = await floor.start("Citra")
        _, note = await counter.ask(ani, "POST", f"sessions/{room}/notes", {"body": "VIP"})
        _, found = await counter.ask(ani, "GET", f"sessions/{room}")
        assert set(found) == {*SESSION_FIELDS, "notes", "visits"}
        assert found["notes"] == [note["note"]]
        assert (note["note"]["agent_name"], note["note"]["body"]) == ("ani", "VIP")
        assert [visit["session_id"] for visit in found["visits"]] == [before]

    story(line)


def test_a_note_reaches_agents_and_nothing_of_the_customers(line: Line) -> None:
    """Not the rows, not the state, not the transcript, not what is told to the room."""

    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start(message="Hello")
        last_seq = floor.session(room).last_seq
        await counter.ask(ani, "POST", f"sessions/{room}/notes", {"body": "secret-of-ours"})
        assert floor.session(room).last_seq == last_seq
        assert [(news.type, news.to) for news in floor.news if "secret-of-ours" in str(news)] == [
            ("chat.note.new", "agents")
        ]
        for path in ("messages", "transcript?format=txt", "transcript?format=json"):
            assert "secret-of-ours" not in await (await counter.fetch(ani, "GET", f"sessions/{room}/{path}")).text()
        session = await floor.store.run(lambda cur: chat.by_room(cur, TENANT, room))
        rows = await floor.store.run(lambda cur: chat.page_after(cur, session, 0).rows)
        assert "secret-of-ours" not in str(rows)

    story(line)


def test_lists_filter_search_and_page(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, budi = await floor.hire("ani"), await floor.hire("budi")
        rooms = [await floor.start(f"Customer{n}") for n in range(55)]
        await counter.ask(ani, "POST", f"queue/{rooms[0]}/pick")
        await counter.ask(budi, "POST", f"queue/{rooms[1]}/pick")
        await floor.turns.end(TENANT, rooms[2], "customer", "C")

        async def ids(query: str) -> list[str]:
            _, found = await counter.ask(ani, "GET", f"sessions?{query}")
            return [session["session_id"] for session in found["sessions"]]

        assert await ids("status=active") == [rooms[1], rooms[0]]
        assert await ids("status=active&mine=1") == [rooms[0]]
        assert await ids("status=ended") == [rooms[2]]
        assert await ids("q=customer54%40mail") == [rooms[54]]
        assert await ids("q=CUSTOMER53") == [rooms[53]]
        assert await ids(f"q={rooms[7]}") == [rooms[7]]
        assert await ids("q=%25") == []  # a percent sign is one
        _, first = await counter.ask(ani, "GET", "sessions")
        _, rest = await counter.ask(ani, "GET", f"sessions?cursor={first['next']}")
        assert [s["session_id"] for s in first["sessions"] + rest["sessions"]] == rooms[::-1]
        assert rest["next"] is None
        assert await ids("mine=0") == await ids("") and await ids("mine=TRUE") == [rooms[0]]
        for odd in ("status=odd", "mine=yes"):
            assert await counter.refusal(ani, "GET", f"sessions?{odd}") == (400, "invalid_payload"), odd
        assert await counter.refusal(ani, "GET", "sessions?cursor=x") == (400, "invalid_payload")

    story(line)


def test_search_finds_words_in_messages_and_marks_them_without_html(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani = await floor.hire("ani")
        room = await floor.start("Citra", "My <b>parcel</b> from \x02Bandung\x03 never arrived")
        await floor.start("Dewi", "Where is my invoice?")
        _, found = await counter.ask(ani, "GET", "search?q=parcel")
        (hit,) = found["results"]
        assert (hit["session_id"], hit["customer"]["name"], hit["message"]["seq"]) == (room, "Citra", 2)
        assert hit["snippet"] == "My <b>\x02parcel\x03</b> from Bandung never arrived"
        _, found = await counter.ask(ani, "GET", "search?q=%22never+arrived%22+-invoice")
        assert len(found["results"]) == 1
        _, found = await counter.ask(ani, "GET", "search?q=started")  # happenings are not searched
        assert found["results"] == []
        assert await counter.refusal(ani, "GET", "search?q=") == (400, "invalid_payload")

    story(line)


def test_search_finds_unfinished_words_but_not_in_a_closed_quotation(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start("Citra", "Saya mau retur pengembalian barang")

        async def found(q: str) -> list[str]:
            return [
                hit["session_id"] for hit in (await counter.ask(ani, "GET", "search", params={"q": q}))[1]["results"]
            ]

        for q in ("retu", "pengemb", "barang pengem", '"retur penge', "retur -invoice", "lost or pengemb"):
            assert await found(q) == [room], q
        for q in ('"retu"', "etur", "retu saya", "retur -barang", "-", "'", ":*", "a & !", "\\"):
            assert await found(q) == [], q

    story(line)


def test_search_finds_files_by_their_names_each_message_once_and_no_other_tenants(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start("Citra", "Here it comes")
        session = await floor.store.run(lambda cur: chat.by_room(cur, TENANT, room))
        named = ("Faktur_2026-11.final.pdf", "bukti transfer.png")
        files = [chat.Attachment(f"{n:032x}", name, "application/pdf", 7) for n, name in enumerate(named)]
        drafts = [
            chat.draft(session.id, "customer", "", attachments=files[:1]),
            chat.draft(session.id, "customer", "the faktur you asked for", attachments=files),
        ]
        await floor.store.run(lambda cur: chat.add_messages(cur, drafts[:1]))
        _, found = await counter.ask(ani, "GET", "search?q=faktur+2026")
        (hit,) = found["results"]
        assert (hit["session_id"], hit["message"]["seq"]) == (room, 3)
        assert hit["snippet"] == "\x02Faktur_2026-11.final.pdf\x03"
        files[0], files[1] = files[0]._replace(id="a" * 32), files[1]._replace(id="b" * 32)
        again = [chat.draft(session.id, "customer", drafts[1].body, attachments=files)]
        await floor.store.run(lambda cur: chat.add_messages(cur, again))
        _, found = await counter.ask(ani, "GET", "search?q=faktur")
        assert [hit["message"]["seq"] for hit in found["results"]] == [4, 3]
        assert found["results"][0]["snippet"] == "the \x02faktur\x03 you asked for"
        _, found = await counter.ask(ani, "GET", "search?q=bukti")
        assert [hit["snippet"] for hit in found["results"]] == ["\x02bukti transfer.png\x03"]
        line.run("INSERT INTO tenants (id, base_url, secret_key, desk) VALUES ('other', '', '', 'native')")
        eve = await floor.hire("eve", "admin", "other")
        _, found = await counter.ask(eve, "GET", "search?q=faktur")
        assert found["results"] == []

    story(line)


def test_searches_that_take_long_leave_the_database_to_others(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani = await floor.hire("ani")
        locked = Ledger(line.database_url, "test")
        with closing(locked), locked.transaction() as cur:
            cur.execute("LOCK TABLE attachments IN ACCESS EXCLUSIVE MODE")
            paths = [f"search?q=a{n}" for n in range(8)] + [f"sessions?q=a{n}" for n in range(8)]
            looking = [asyncio.create_task(counter.ask(ani, "GET", path)) for path in paths]
            while await floor.store.run(_who_wait) < sidecar_console.SEARCHES_AT_ONCE:
                await asyncio.sleep(0.01)
            for _ in range(5):
                assert (await counter.ask(ani, "GET", "canned"))[0] == 200
                assert await floor.store.run(_who_wait) <= sidecar_console.SEARCHES_AT_ONCE
        await asyncio.gather(*looking)

    story(line)


def _who_wait(cur: Any) -> int:
    cur.execute("SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND relation = 'attachments'::regclass")
    return int(cur.fetchone().n)


def test_notes_of_a_chat_and_transcripts_of_an_agent_are_bounded(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar_console, "NOTES_MOST", 3)
    at_once = sidecar_console.TRANSCRIPTS_AT_ONCE

    async def story() -> None:
        async with Floor(line) as floor, Counter(floor) as counter:
            ani, budi, room = await floor.hire("ani"), await floor.hire("budi"), await floor.start()
            path = f"sessions/{room}/notes"
            found = [await counter.ask(ani, "POST", path, {"body": f"note {n}"}) for n in range(4)]
            assert [status for status, _ in found] == [201] * 3 + [400]
            assert "3 notes" in found[-1][1]["error"]["message"]
            assert len((await counter.ask(budi, "GET", path))[1]["notes"]) == 3
            assert (await counter.refusal(ani, "POST", "sessions/none/notes", {"body": "x"}))[0] == 404
            asked = [
                (await counter.fetch(ani, "GET", f"sessions/{room}/transcript")).status for _ in range(at_once + 3)
            ]
            assert set(asked[:at_once]) == {200} and 429 in asked
            assert (await counter.fetch(budi, "GET", f"sessions/{room}/transcript")).status == 200

    asyncio.run(story())


def test_transcripts_are_downloads_as_text_and_json(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start("Citra", "Line one\nline two <script>")
        await counter.ask(ani, "POST", f"queue/{room}/pick")
        response = await counter.fetch(ani, "GET", f"sessions/{room}/transcript")
        text = await response.text()
        assert response.headers["Content-Disposition"] == f'attachment; filename="chat-{room}.txt"'
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.content_type == "text/plain"
        assert "Citra: Line one\n    line two <script>" in text
        assert "* ani joined the chat" in text
        _, found = await counter.ask(ani, "GET", f"sessions/{room}/transcript?format=json")
        assert [message["sender_type"] for message in found["messages"]] == ["system", "customer", "system"]
        assert found["customer"] == {"name": "Citra", "email": "citra@mail.example"}
        assert await counter.refusal(ani, "GET", f"sessions/{room}/transcript?format=pdf") == (400, "invalid_payload")

    story(line)


def test_marks_of_reading_rise_and_never_beyond_the_last_row(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start(message="Hello")
        await counter.ask(ani, "POST", f"queue/{room}/pick")
        _, found = await counter.ask(ani, "POST", f"sessions/{room}/read", {"up_to_seq": 999})
        assert found["up_to_seq"] == 3
        deadline = asyncio.get_running_loop().time() + 5
        while not floor.told("chat.message.read"):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        assert floor.session(room).agent_read == 3
        assert floor.told("chat.message.read") == [{"session_id": room, "up_to_seq": 3, "by": "agent"}]
        assert await counter.refusal(ani, "POST", f"sessions/{room}/read", {"up_to_seq": "3"}) == (
            400,
            "invalid_payload",
        )

    story(line)


def test_colleagues_are_shown_with_presence_load_and_limit(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, boss, room = await floor.hire("ani"), await floor.hire("boss", "supervisor"), await floor.start()
        line.redis.set(f"config:max_agent_chat:{TENANT}:{ani.agent_id}", "7")
        await floor.presence.connected(ani, "page")
        await counter.ask(ani, "POST", f"queue/{room}/pick")
        _, found = await counter.ask(boss, "GET", "agents")
        assert found["agents"] == [
            {"agent_id": ani.agent_id, "name": "ani", "email": ani.email, "role": "agent", "presence": "online",
             "load": 1, "disabled": False, "limit": 7},
            {"agent_id": boss.agent_id, "name": "boss", "email": boss.email, "role": "supervisor",
             "presence": "offline", "load": 0, "disabled": False, "limit": 2},
        ]  # fmt: skip
        _, me = await counter.ask(ani, "PUT", "me/presence", {"presence": "away"})
        assert me["agent"]["presence"] == "away"
        assert (await counter.ask(ani, "GET", "me"))[1] == me
        assert await counter.refusal(ani, "PUT", "me/presence", {"presence": "gone"}) == (400, "invalid_payload")

    story(line)


def test_canned_replies_are_read_by_all_and_replaced_by_supervisors(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, boss = await floor.hire("ani"), await floor.hire("boss", "admin")
        new = {"canned": [{"shortcut": "/hi", "body": "Hello!"}, {"shortcut": "bye", "body": "Goodbye!"}]}
        assert await counter.refusal(ani, "PUT", "canned", new) == (403, "forbidden")
        assert (await counter.ask(boss, "PUT", "canned", new))[0] == 200
        assert [(news.room, news.to) for news in floor.news if news.type == "chat.canned.changed"] == [(None, "agents")]
        _, found = await counter.ask(ani, "GET", "canned")
        assert found["canned"] == [{"shortcut": "bye", "body": "Goodbye!"}, {"shortcut": "hi", "body": "Hello!"}]
        for bad in ({"canned": "x"}, {"canned": [{"shortcut": "a b", "body": "x"}]}, {"canned": [{"shortcut": "a"}]}):
            assert await counter.refusal(boss, "PUT", "canned", bad) == (400, "invalid_payload")

    story(line)


def test_bodies_that_are_none_are_refused_by_name(line: Line) -> None:
    @told_over
    async def story(floor: Floor, counter: Counter) -> None:
        ani, room = await floor.hire("ani"), await floor.start()
        await counter.ask(ani, "POST", f"queue/{room}/pick")
        path = f"sessions/{room}/messages"
        for body in ({}, {"body": ""}, {"body": 7}, {"body": "x" * 10_001}, {"body": "x", "client_id": ""}):
            assert await counter.refusal(ani, "POST", path, body) == (400, "invalid_payload")
        assert (await counter.ask(ani, "POST", path, {}))[1]["error"]["message"].startswith("body:")
        json_type = {"Content-Type": "application/json"}
        assert await counter.refusal(ani, "POST", path, data=b"{", headers=json_type) == (400, "invalid_json")
        assert await counter.refusal(ani, "POST", path, data=b"[]", headers=json_type) == (400, "invalid_payload")
        assert await counter.refusal(ani, "POST", path, data=b"x=1") == (415, "unsupported_media_type")
        big = b'{"body": "' + b"x" * 300_000 + b'"}'
        assert await counter.refusal(ani, "POST", path, data=big, headers=json_type) == (413, "payload_too_large")
        status, sent = await counter.ask(ani, "POST", path, {"body": "a NUL \x00 is no text"})
        assert (status, sent["body"]) == (201, "a NUL \ufffd is no text")

    story(line)
