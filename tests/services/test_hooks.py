"""Events out: each reaches its receiver, signed, whoever dies or hangs; over a real ledger and a real HTTP server."""

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from db import hooks
from testbed.deadlines import eventually
from tests.services.chat_floor import Floor
from tests.services.hook_receiver import Receiver
from tests.services.line_of import TENANT, Line, line_of
from tests.services.test_admin import Ground
from tests.services.test_refusals import bad, pairs_of, refuse, rested
from tests.services.test_refusals import serve as served
from tests.services.test_routed_rooms import Ruled
from tests.services.test_settle import looked
from worker.calls import Parked
from worker.desk.base import DeskTrouble
from worker.hooks import call
from worker.hooks.loop import HOOK_CALLS, Hooks
from worker.rules import CIRCUIT_FAILURES


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.goes_on.set()
    made.shutdown()
    made.server_close()


@pytest.fixture
def line(database_url: str, redis_url: str) -> Iterator[Ruled]:
    with line_of(database_url, redis_url) as made:
        made.__class__ = Ruled
        yield made  # type: ignore[misc]


@pytest.fixture
def worker(line: Ruled) -> Iterator[Callable[..., Hooks]]:
    """Makes the hooks of a worker, whose looks the test takes."""
    made: list[Hooks] = []

    def make(private: bool = True) -> Hooks:
        made.append(Hooks(line.work(None), 60, private))
        return made[-1]

    yield make
    for each in made:
        each.stop(5)


def hooked(line: Line, url: str, *events: str, tenant: str = TENANT) -> tuple[int, str]:
    secret = hooks.new_secret()
    with line.ledger.transaction() as cur:
        hook = hooks.add(cur, tenant, url, secret, events or hooks.KINDS)
    assert hook is not None
    return hook, secret


def look(worker: Hooks, until: Callable[[], bool]) -> None:
    def looked() -> bool:
        worker.look()
        return until()

    eventually(looked, within_s=10)


def outcomes(line: Line) -> list[str | None]:
    return [row.outcome for row in line.rows("SELECT outcome FROM outbox ORDER BY id")]


def all_over(line: Line) -> bool:
    return None not in outcomes(line)


def is_signed(headers: dict[str, str], body: str, secret: str) -> bool:
    """As the docs show it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}"
    mac = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(f"v1,{mac}", each) for each in headers["webhook-signature"].split())


def test_a_visit_is_told_of_when_it_is_assigned_and_when_it_ends(line: Ruled, receiver: Receiver, worker: Any) -> None:
    _, secret = hooked(line, receiver.url)
    line.roster("ani")
    line.serve("r1")
    line.end("r1", 5)
    assert outcomes(line) == [None, None], "written with what they tell"
    look(worker(), lambda: all_over(line))
    told = {event["type"]: event for event in receiver.events}
    assert set(told) == {"visit.assigned", "visit.resolved"}
    visit = line.one("SELECT id FROM visits").id
    data = told["visit.resolved"]["data"]
    assert data.pop("handled_s") >= 0
    assert data.pop("waited_s") >= 0
    assert data == {"tenant": TENANT, "room": "r1", "visit": visit, "queue": "channel:", "agent": "ani"}
    assert all(is_signed(headers, body, secret) for headers, body in receiver.got)
    assert not is_signed(receiver.got[0][0], receiver.got[0][1] + " ", secret)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    assert outcomes(line) == ["delivered", "delivered"]


def test_nothing_is_written_for_a_tenant_without_a_hook_or_of_kinds_that_nobody_asked_for(
    line: Ruled, receiver: Receiver
) -> None:
    line.roster("ani")
    line.serve("r1")
    hooked(line, receiver.url, hooks.RESOLVED)
    line.serve("r2")
    line.end("r1", 5)
    assert [json.loads(row.body)["type"] for row in line.rows("SELECT body FROM outbox")] == ["visit.resolved"]


def test_what_is_rolled_back_is_told_to_nobody(line: Ruled, receiver: Receiver) -> None:
    hooked(line, receiver.url)

    def fails(turn: Any) -> None:
        turn.events.append((hooks.PAUSED, None))
        raise ValueError

    with pytest.raises(ValueError):
        line.turn(fails)
    assert outcomes(line) == []
    line.turn(lambda turn: turn.events.append((hooks.PAUSED, None)))
    assert outcomes(line) == [None]


def test_a_refused_event_is_tried_again_with_the_same_id_and_body(line: Ruled, receiver: Receiver, worker: Any) -> None:
    hooked(line, receiver.url)
    receiver.answers = [500, 302]
    line.roster("ani")
    line.serve("r1")
    hook = worker()
    for tries, why in ((1, "answered 500"), (2, "answered 302: redirects are not followed")):
        look(hook, lambda tries=tries: line.one("SELECT tries, why IS NOT NULL AS failed FROM outbox") == (tries, True))
        row = line.one("SELECT why, extract(epoch FROM due_at - clock_timestamp()) AS again_s FROM outbox")
        assert row.why == why
        assert row.again_s > (3, 20)[tries - 1]
        line.run("UPDATE outbox SET due_at = now(), why = NULL")
    look(hook, lambda: all_over(line))
    assert outcomes(line) == ["delivered"]
    assert len(receiver.got) == 3, "no redirect was followed"
    assert len({(headers["webhook-id"], body) for headers, body in receiver.got}) == 1


def test_after_the_last_try_it_is_given_up(line: Ruled, receiver: Receiver, worker: Any) -> None:
    hooked(line, receiver.url)
    receiver.answers = [500]
    line.turn(lambda turn: turn.events.append((hooks.PAUSED, None)))
    line.run("UPDATE outbox SET tries = 6")
    look(worker(), lambda: all_over(line))
    assert outcomes(line) == ["given_up"]


def test_what_a_dead_worker_had_claimed_another_one_delivers(line: Ruled, receiver: Receiver, worker: Any) -> None:
    hook, _ = hooked(line, receiver.url)
    line.turn(lambda turn: turn.events.append((hooks.PAUSED, None)))
    assert worker()._claimed(hook) is not None  # and then came kill -9
    other = worker()
    other.look()
    assert receiver.got == [], "its claim is not over"
    line.run("UPDATE outbox SET due_at = due_at - interval '61 s'")
    look(other, lambda: all_over(line))
    assert outcomes(line) == ["delivered"]


def test_two_workers_deliver_each_event_once(line: Ruled, receiver: Receiver, worker: Any) -> None:
    hooked(line, receiver.url)
    line.turn(lambda turn: turn.events.extend([(hooks.PAUSED, None)] * 20))
    both = worker(), worker()
    eventually(lambda: [each.look() for each in both] and all_over(line), within_s=10)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == len(receiver.got) == 20


def test_a_receiver_that_hangs_delays_no_assign_and_no_other_receiver(
    line: Ruled, receiver: Receiver, worker: Any
) -> None:
    hangs = Receiver()
    hangs.goes_on.clear()
    hooked(line, hangs.url)
    line.roster("ani", "budi")
    hook = worker()
    line.turn(lambda turn: turn.events.extend([(hooks.PAUSED, None)] * 10))
    look(hook, lambda: len(hangs.got) == HOOK_CALLS)
    try:
        hooked(line, receiver.url)
        line.serve("r1", "r2")
        assert {line.visit(room).state for room in ("r1", "r2")} == {"held"}
        look(hook, lambda: len(receiver.got) == 2)
        assert len(hangs.got) == HOOK_CALLS, "so many at once, no more"
    finally:
        hangs.goes_on.set()
        look(hook, lambda: all_over(line))
        hangs.shutdown()
        hangs.server_close()


def test_no_private_address_is_connected_to_unless_it_is_allowed(line: Ruled, receiver: Receiver, worker: Any) -> None:
    hooked(line, receiver.url)
    line.turn(lambda turn: turn.events.append((hooks.PAUSED, None)))
    look(worker(private=False), lambda: line.one("SELECT why FROM outbox").why is not None)
    assert "127.0.0.1, which is not public" in line.one("SELECT why FROM outbox").why
    assert receiver.got == []


def test_the_certificate_has_to_be_that_of_the_name_and_of_a_known_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate, and is not here")
    pem = tmp_path / "both.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*make.split(), "-keyout", pem, "-out", pem], check=True, capture_output=True)
    server = Receiver(pem)
    named, numbered = (server.url.replace("http://127.0.0.1", f"https://{host}") for host in ("localhost", "127.0.0.1"))
    with pytest.raises(call.NotDelivered, match="CertVerification"):
        call.post(named, hooks.new_secret(), "evt_1", "{}", private=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with pytest.raises(call.NotDelivered, match="CertVerification"):
        call.post(numbered, hooks.new_secret(), "evt_1", "{}", private=True)
    call.post(named, hooks.new_secret(), "evt_1", "{}", private=True)
    assert [headers["host"] for headers, _ in server.got] == [f"localhost:{server.server_port}"]
    server.shutdown()
    server.server_close()


def test_a_missed_target_is_told_once_by_the_queue_s_own_target(line: Ruled, receiver: Receiver, worker: Any) -> None:
    hooked(line, receiver.url)
    line.apply('[queues.slow]\nagents = { channel = true }\ntarget = "5m"\n[default]\nqueue = "slow"\n')
    line.come("r1")
    line.decide()
    hook = worker()
    line.run("UPDATE visits SET arrived_us = arrived_us - 61e6")
    hook.miss_targets()
    assert outcomes(line) == [], "the queue's own target is longer"
    line.run("UPDATE visits SET arrived_us = arrived_us - 300e6")
    hook.miss_targets()
    hook.miss_targets()
    look(hook, lambda: all_over(line))
    (event,) = receiver.events
    assert (event["type"], event["data"]["queue"], event["data"]["room"]) == ("target.missed", "slow", "r1")
    assert event["data"]["waited_s"] >= 361
    assert "agent" not in event["data"]


def test_a_desk_that_fails_is_told_once_and_once_when_it_answers_again(line: Ruled, receiver: Receiver) -> None:
    hooked(line, receiver.url)
    line.roster("ani")
    line.arrive("r1")
    (pair,) = (held.pair for held in line.held(line.decide()))
    trouble = DeskTrouble("HTTP 500", maybe_applied=False)
    for _ in range(CIRCUIT_FAILURES + 3):
        line.settle(Parked(pair, "HTTP 500", unclear=False, trouble=trouble))
    line.roster("ani")
    line.roster("ani")
    told = [json.loads(row.body) for row in line.rows("SELECT body FROM outbox ORDER BY id")]
    assert [(each["type"], each["data"]) for each in told] == [
        ("desk.paused", {"tenant": TENANT}),
        ("desk.recovered", {"tenant": TENANT}),
    ]


def kinds(line: Line) -> list[tuple[str, str | None]]:
    """(type, agent) of all that was written, in order."""
    found = [json.loads(row.body) for row in line.rows("SELECT body FROM outbox ORDER BY id")]
    return [(each["type"], each["data"].get("agent")) for each in found]


def test_what_people_do_at_the_desk_is_told_as_what_giliran_does(line: Ruled) -> None:
    hooked(line, "https://192.0.2.1/")
    line.roster("ani")
    line.arrive("r1")
    line.settle(*(report._replace(agent="budi") for report in line.held(line.decide())))
    looked(line, "served", "citra")
    looked(line, "served", "citra")
    assert kinds(line) == [("visit.assigned", "budi"), ("visit.assigned", "citra")]
    line.end("r1", 5)
    assert kinds(line)[2:] == [("visit.resolved", "citra")]


def test_a_quarantined_room_is_told_of_whoever_found_it_out(line: Ruled) -> None:
    hooked(line, "https://192.0.2.1/", hooks.QUARANTINED)
    line.arrive("r1")
    line.decide()
    for _ in range(5):
        looked(line, "served")
    assert kinds(line) == [("room.quarantined", None)]
    line.run("DELETE FROM visits")
    line.rules = dataclasses.replace(line.rules, default_limit=9)
    bad(line, "ani")
    for room in ("r2", "r3"):
        served(line, room)
        rested(line)
        refuse(line, *pairs_of(line))
    served(line, "r4")
    assert line.visit("bad").aside is not None
    assert kinds(line)[1:] == [("room.quarantined", None)], "nobody has it"


def test_a_room_that_came_and_went_before_any_decision_is_told_as_resolved(line: Ruled) -> None:
    hooked(line, "https://192.0.2.1/")
    line.arrive("r1", 4)
    line.resolve("r1", 5)
    line.decide()
    assert line.rows("SELECT room FROM visits WHERE state <> 'closed'") == []
    assert kinds(line) == [("visit.resolved", None)]


def test_picks_and_transfers_of_a_native_chat_are_told(line: Ruled) -> None:
    hooked(line, "https://192.0.2.1/")

    async def story() -> list[str]:
        async with Floor(line) as floor:
            ani, budi = await floor.hire("ani"), await floor.hire("budi")
            room, gone = await floor.start("Citra"), await floor.start("Dewi")
            await floor.seats.pick(TENANT, room, ani)
            await floor.seats.assign(TENANT, room, budi.agent_id, ani)
            await floor.turns.end(TENANT, room, f"agent:{budi.agent_id}", "budi")
            await floor.turns.end(TENANT, gone, "customer", "Dewi")
            return [ani.agent_id, budi.agent_id]

    ani, budi = asyncio.run(story())
    assert kinds(line) == [
        ("visit.assigned", ani),
        ("visit.assigned", budi),
        ("visit.resolved", budi),
        ("visit.resolved", None),
    ]
    assert not re.search("Citra|Dewi|@", "".join(row.body for row in line.rows("SELECT body FROM outbox")))


def test_the_oldest_of_too_many_are_dropped_and_old_ones_are_forgotten(
    line: Ruled, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "WAITING_MOST", 3)
    hooked(line, "https://192.0.2.1/")
    line.turn(lambda turn: turn.events.extend([(hooks.PAUSED, None)] * 5))
    line.run("UPDATE outbox SET due_at = due_at + interval '1 h', tries = 5 WHERE id = (SELECT max(id) FROM outbox)")
    line.run("UPDATE outbox SET due_at = due_at + interval '1 h' WHERE tries = 0")  # a clock was stepped back
    hook = worker()
    hook._tidy()
    assert outcomes(line) == ["dropped", "dropped", None, None, None]
    counted = {"tenant": TENANT, "outcome": "dropped"}
    assert hook._work.latency.registry.get_sample_value("giliran_hooks_total", counted) == 2
    late = line.rows("SELECT due_at > now() AS is_late FROM outbox WHERE outcome IS NULL ORDER BY id")
    assert [row.is_late for row in late] == [False, False, True], "only what its tries can't have set is due"
    line.run("UPDATE outbox SET over_at = over_at - interval '25 h' WHERE outcome IS NOT NULL")
    hook._tidy()
    assert outcomes(line) == [None, None, None]


def test_hooks_are_added_listed_and_removed_with_the_secret_shown_once(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground(database_url, redis_url)
    ground.add_tenant()
    url = "http://127.0.0.1:9/hook?key=hidden"
    assert "no hooks yet" in ground.ok("hooks", "list")
    assert "must start with https://" in ground.run("hooks", "add", url).stderr
    inside = ground.run("hooks", "add", "https://127.0.0.1/")
    assert (inside.exit_code, "is not public" in inside.stderr) == (4, True)
    monkeypatch.setenv("HOOKS_ALLOW_PRIVATE", "1")
    wrong = ground.run("hooks", "add", url, "--events", "visit.asigned")
    assert (wrong.exit_code, "did you mean visit.assigned?" in wrong.stderr) == (2, True)
    added = ground.json("hooks", "add", url, "--events", "target.missed, visit.assigned")
    assert added["events"] == ["visit.assigned", "target.missed"]
    assert "has this URL already" in ground.run("hooks", "add", url).stderr
    others = ground.ok("hooks", "list"), ground.ok("hooks", "list", "--json"), ground.ok("audit", "--json")
    assert not [told for told in others if added["secret"] in told or "hidden" in told]
    monkeypatch.setattr("scripts.admin.hooks.TEST_S", 0.2)
    nobody = ground.run("hooks", "test", str(added["hook"]))
    assert (nobody.exit_code, "no worker has posted it" in nobody.stderr) == (1, True)
    assert ground.sql("SELECT count(*) AS n FROM outbox")[0].n == 0, "it is not posted later"
    assert "is removed" in ground.ok("hooks", "remove", str(added["hook"]))
    assert ground.run("hooks", "remove", str(added["hook"])).exit_code == 3
    acts = [(each["what"], each["tenant"]) for each in ground.json("audit")["acts"]]
    assert acts == [("hooks remove", "shop"), ("hooks test", "shop"), ("hooks add", "shop")]
