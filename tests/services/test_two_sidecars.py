"""What agents do at one sidecar is seen at another: marks, notes, searches, presence, transfers; sockets and REST."""

import asyncio

from tests.services.chat_of import At, Chat, Colleague, run_chat, until


async def _team(here: At, there: At, *names: str) -> list[Colleague]:
    """Logged in, every second one at the other sidecar."""
    return [await (there if n % 2 else here).colleague(name) for n, name in enumerate(names)]


def _at(place: At, colleague: Colleague) -> Colleague:
    """The same login at the other sidecar: a second tab of theirs."""
    return Colleague(place, colleague.token, {"agent_id": colleague.id, "name": colleague.name})


def test_what_is_read_noted_and_said_at_one_sidecar_is_seen_at_the_other(database_url: str, redis_url: str) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(), await chat.sidecar()
        for name in ("ani", "budi"):
            chat.hire(name)
        ani, budi = await _team(here, there, "ani", "budi")
        desk, tab, colleague = await ani.page(), await ani.page(there), await budi.page()
        maya = await there.customer("Maya", "My vase came broken")
        page, beside = await maya.live(), await maya.live(here)
        await ani.pick(maya)
        for heard in (tab, colleague):
            assert (await heard.until_told("chat.session.assigned"))["agent_id"] == ani.id

        said = await desk.wrote("May I see it?", session_id=maya.room)
        for shown in (page, beside, tab, colleague):
            await shown.until_seq(said["seq"], maya.room)
        await page.say("chat.message.read", up_to_seq=said["seq"])
        of_customer = lambda told: (told["by"], told["up_to_seq"]) == ("customer", said["seq"])  # noqa: E731
        for heard in (desk, tab, colleague):
            await heard.until_told("chat.message.read", of_customer)
        answer = await beside.wrote("Here it is")
        assert (await _at(there, ani).post(f"sessions/{maya.room}/read", {"up_to_seq": answer["seq"]}))[0] == 200
        for heard in (page, beside):
            await heard.until_told("chat.message.read", lambda told: told["up_to_seq"] == answer["seq"])
        for place in (here, there):
            mine = (await _at(place, ani).get("sessions?mine=1"))[1]["sessions"]
            assert [one["unread"] for one in mine if one["session_id"] == maya.room] == [0]

        assert (await ani.post(f"sessions/{maya.room}/notes", {"body": "the second time"}))[0] == 201
        assert (await colleague.until_told("chat.note.new"))["note"]["body"] == "the second time"
        assert [note["body"] for note in (await budi.get(f"sessions/{maya.room}/notes"))[1]["notes"]] == [
            "the second time"
        ]
        for looks in (ani, _at(there, ani), budi, _at(here, budi)):
            for wanted in ("vase", "May I see"):
                found = (await looks.get(f"search?q={wanted}"))[1]["results"]
                assert [one["session_id"] for one in found] == [maya.room], (looks.name, wanted)
        assert not [kind for one in (page, beside) for kind, _ in one.frames if "note" in kind]

    run_chat(database_url, redis_url, story)


def test_a_place_that_two_sidecars_give_at_once_is_given_once_and_who_is_there_is_known_at_both(
    database_url: str, redis_url: str
) -> None:
    async def story(chat: Chat) -> None:
        here, there = await chat.sidecar(default_limit=1), await chat.sidecar(default_limit=1)
        for name in ("ani", "budi", "citra"):
            chat.hire(name)
        ani, budi, citra = team = await _team(here, there, "ani", "budi", "citra")
        desks = [await one.page() for one in team]
        tab = await budi.page(here)
        rooms = [await here.customer("Maya", "One"), await there.customer("Joko", "Two")]
        pages = [await rooms[0].live(there), await rooms[1].live(here)]
        await ani.pick(rooms[0])
        await citra.pick(rooms[1])

        async def gives(agent: Colleague, room: str) -> int:
            return (await agent.post(f"sessions/{room}/transfer", {"agent_id": budi.id}))[0]

        codes = await asyncio.gather(gives(ani, rooms[0].room), gives(_at(there, citra), rooms[1].room))
        assert sorted(codes) == [200, 409]
        given = codes.index(200)
        for heard in (*desks, tab, pages[given]):
            told = await heard.until_told("chat.session.transferred")
            assert (told["session_id"], told["agent_id"]) == (rooms[given].room, budi.id)
        holders = {row.room: row.agent for row in chat.rows("SELECT room, agent FROM sessions WHERE status = 'active'")}
        assert holders == {rooms[given].room: budi.id, rooms[1 - given].room: (citra.id, ani.id)[given]}

        async def presence(place: At) -> dict[str, str]:
            listed = (await _at(place, ani).get("agents"))[1]["agents"]
            return {one["agent_id"]: one["presence"] for one in listed}

        async with here.http.put(
            f"{here.url}/api/v1/me/presence",
            json={"presence": "away"},
            headers={"Authorization": f"Bearer {budi.token}"},
        ) as put:
            assert put.status == 200
        for heard in (*desks, tab):
            await heard.until_told("chat.presence", lambda one: (one["agent_id"], one["presence"]) == (budi.id, "away"))
        assert (await presence(here))[budi.id] == (await presence(there))[budi.id] == "away"
        await desks[1].close()
        await tab.close()
        await desks[0].until_told(
            "chat.presence", lambda one: (one["agent_id"], one["presence"]) == (budi.id, "offline")
        )
        assert await presence(here) == await presence(there)
        await until(lambda: not desks[2].socket.closed)

    run_chat(database_url, redis_url, story)
