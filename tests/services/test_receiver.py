"""The receiver as it runs: the real gunicorn with its real configuration, before a real Valkey that fails on cue."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from db import inbox, tickets
from db.inbox import HELD, Changes, Inbox, connect, digest, key
from testbed import servers
from testbed.deadlines import eventually
from testbed.servers import OwnServer
from tests.receivers import CAA, HEAD, SOLVED, Gunicorn, answer_on, gunicorn, outcome

ROOT = Path(__file__).parents[2]
DEADLINE_S = 1.5
MODERN = json.loads((ROOT / "testbed" / "payloads" / "webhook_caa_modern.json").read_text())


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnServer]:
    with servers.running_valkey(fast=False) as own:
        yield own


@pytest.fixture(scope="module")
def receiver(valkey: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    with gunicorn(tmp_path_factory.mktemp("receiver"), valkey.url, "--workers", "2") as here:
        yield here


@pytest.fixture
def store(valkey: OwnServer) -> Iterator[redis.Redis]:
    """An emptied Valkey that knows the tenants `shop` and `bank`."""
    with connect(valkey.url, 5, 4) as client:
        client.flushall()
        Inbox(client).publish({"shop": "", "bank": ""})
        yield client


def entries(store: redis.Redis, tenant: str = "shop") -> list[dict[str, str]]:
    return [fields for _, fields in store.xrange(key(tenant, "inbox"))]


def rooms(store: redis.Redis, tenant: str = "shop") -> list[str]:
    return [fields["room"] for fields in entries(store, tenant)]


def jobs(store: redis.Redis) -> list[str]:
    return store.lrange("rq:queue:" + tickets.QUEUE, 0, -1)


def test_three_rooms_stand_in_line_in_the_order_in_which_they_came(receiver, store):
    said = [receiver.arrive(room) for room in ("7", "8", "9", "8")]
    assert [(one["status"], one["position"]) for one in said] == [
        ("queued", 1),
        ("queued", 2),
        ("queued", 3),
        ("already_waiting", 2),
    ]
    assert rooms(store) == ["7", "8", "9", "8"]  # duplicates too: they die in PostgreSQL


def test_everything_that_is_kept_of_a_webhook_is_in_the_inbox(receiver, store):
    payload = {**MODERN, "app_id": "shop", "channel": {"id": 131313}, "latest_service": {"id": 9, "is_resolved": True}}
    receiver.post(CAA, payload)
    receiver.post(
        SOLVED + "?x=1", {"service": {"room_id": 5, "id": 32054304, "first_comment_id": "7463"}, "app_code": "shop"}
    )
    common = {"tenant": "shop", "class": "", "source": "", "latest": "", "service": "", "first": ""}
    assert entries(store) == [
        {**common, "kind": "arrived", "room": "57491250", "class": "131313", "source": "qiscus", "latest": "9"},
        {**common, "kind": "resolved", "room": "5", "service": "32054304", "first": "7463"},
    ]


def test_a_room_that_we_hold_is_already_assigned_and_still_told_to_the_workers(receiver, store):
    receiver.arrive("7")
    Inbox(store).done("shop", str(store.get(key("shop", "epoch"))), "", (0, 1), Changes(rooms={"7": HELD}))
    assert receiver.arrive("7") == {"status": "already_assigned", "room_id": "7", "position": None}
    assert rooms(store) == ["7", "7"]


def test_a_resolve_is_noted_and_the_room_leaves_the_line(receiver, store):
    receiver.arrive("7")
    receiver.arrive("8")
    _, said = receiver.post(f"/shop{SOLVED}", {"service": {"room_id": "7", "id": 1}})
    assert said == {"status": "noted", "room_id": "7", "position": None}
    assert receiver.arrive("8")["position"] == 1


def test_two_tenants_with_the_same_rooms_never_meet(receiver, store):
    assert receiver.arrive("7", "shop")["position"] == 1
    assert receiver.arrive("7", "bank") == {"status": "queued", "room_id": "7", "position": 1}
    receiver.post(f"/bank{SOLVED}", {"service": {"room_id": "7"}})
    assert receiver.arrive("7", "shop")["status"] == "already_waiting"
    assert rooms(store, "shop") == ["7", "7"]
    assert rooms(store, "bank") == ["7", "7"]


def test_a_resolve_that_could_be_of_either_tenant_is_told_which_path_to_use(receiver, store):
    status, said = receiver.post(SOLVED, {"service": {"room_id": "7"}})
    assert (status, said["error"]["code"]) == (400, "invalid_payload")
    assert f"/<app_id>{SOLVED}" in said["error"]["message"]
    Inbox(store).publish({"shop": ""})
    assert receiver.post(SOLVED, {"service": {"room_id": "7"}})[0] == 200


def test_an_unknown_tenant_leaves_nothing_behind(receiver, store):
    before = set(store.keys())
    status, said = receiver.post(f"/nobody{CAA}", {"room_id": "7"})
    assert (status, said["error"]["code"]) == (404, "unknown_app")
    assert set(store.keys()) == before


def test_a_tenants_own_secret_opens_its_own_door_only(receiver, store):
    Inbox(store).publish({"shop": digest("ours"), "bank": digest("theirs")})
    for path, headers, expected in (
        (f"/shop{CAA}?secret=ours", {}, 200),
        (f"/shop{CAA}", {"X-Webhook-Secret": "ours"}, 200),
        (f"/shop{CAA}?secret=theirs", {}, 404),
        (f"/shop{CAA}", {}, 404),
        (f"/bank{CAA}?secret=ours", {}, 404),
    ):
        status, said = receiver.post(path, {"room_id": "7"}, headers)
        assert status == expected, (path, headers)
        assert status == 200 or said["error"]["code"] == "not_found"
    assert len(entries(store, "shop")) == 2


def test_a_burst_asks_for_one_look_and_stores_every_room(receiver, store):
    names = [str(number) for number in range(300)]
    with ThreadPoolExecutor(50) as crowd:
        said = list(crowd.map(receiver.arrive, names))
    assert Counter(one["status"] for one in said) == {"queued": 300}
    assert sorted(one["position"] for one in said) == list(range(1, 301))
    assert sorted(rooms(store), key=int) == names
    assert jobs(store) == [store.get(key("shop", "ticket"))]


def test_an_answer_is_never_given_to_another_request(receiver, store):
    """Requests share round trips: each must get its own answer back, errors among them too."""
    sent = [(tenant, str(number)) for number in range(100) for tenant in ("shop", "nobody", "bank")]
    with ThreadPoolExecutor(60) as crowd:
        got = list(crowd.map(lambda one: receiver.post(f"/{one[0]}{CAA}", {"room_id": one[1]}), sent))
    for (tenant, room), (status, said) in zip(sent, got, strict=True):
        assert status == (404 if tenant == "nobody" else 200)
        assert status == 404 or (said["room_id"], said["status"]) == (room, "queued")
    for tenant in ("shop", "bank"):
        order = [said["room_id"] for (_, said) in sorted_by_place(sent, got, tenant)]
        assert order == rooms(store, tenant)


def sorted_by_place(sent: list[tuple[str, str]], got: list[tuple[int, Any]], tenant: str) -> list[tuple[int, Any]]:
    own = [answer for (name, _), answer in zip(sent, got, strict=True) if name == tenant]
    return sorted(own, key=lambda answer: answer[1]["position"])


def test_the_ticket_names_a_job_that_a_worker_can_read(receiver, store, valkey):
    receiver.arrive("7")
    with redis.Redis.from_url(valkey.url) as raw:
        (job,) = tickets.queue(raw).get_jobs()
    assert (job.func_name, job.args[0], job.id) == (tickets.JOB, "shop", store.get(key("shop", "ticket")))


def test_a_ticket_whose_job_was_never_put_in_loses_nothing(receiver, store):
    """As after a kill between the flag and the job: the sweeper looks for exactly this."""
    store.set(key("shop", "ticket"), "a-job-that-never-was", ex=inbox.TICKET_SECONDS)
    assert receiver.arrive("7")["position"] == 1
    assert jobs(store) == []
    assert rooms(store) == ["7"]


def test_a_job_that_cannot_be_put_in_costs_the_sender_nothing(receiver, store):
    store.set("rq:queue:" + tickets.QUEUE, "not a list")
    assert receiver.arrive("7")["position"] == 1
    assert rooms(store) == ["7"]
    eventually(lambda: b"ticket_lost tenant=shop" in receiver.log.read_bytes(), 5, "the line in the log")


def test_after_a_flush_webhooks_are_kept_until_a_worker_says_whose_they_are(receiver, store):
    store.flushall()
    assert receiver.arrive("7", "nobody") == {"status": "queued", "room_id": "7", "position": None}
    status, said = receiver.post(SOLVED, {"service": {"room_id": "8"}})
    assert (status, said["status"]) == (200, "noted")
    kept = [entry.fields for entry in Inbox(store).unsorted(10)]
    assert [(one["tenant"], one["kind"], one["room"], one["named"]) for one in kept] == [
        ("nobody", "arrived", "7", "1"),
        ("shop", "resolved", "8", "0"),
    ]
    assert receiver.get("/readyz")[0] == 503


def test_a_flush_of_the_scripts_in_the_middle_of_a_burst_is_not_noticed(receiver, store):
    names = [str(number) for number in range(200)]
    with ThreadPoolExecutor(20) as crowd:
        answers = [crowd.submit(receiver.arrive, name) for name in names[:100]]
        store.script_flush()
        answers += [crowd.submit(receiver.arrive, name) for name in names[100:]]
        assert {answer.result()["status"] for answer in answers} == {"queued"}
    assert sorted(rooms(store), key=int) == names


def test_a_frozen_redis_is_a_503_in_time_and_the_process_lives_on(receiver, store, valkey):
    receiver.arrive("1")
    valkey.freeze()
    try:
        with ThreadPoolExecutor(20) as crowd:
            start = time.monotonic()
            waiting = [crowd.submit(timed_post, receiver, room) for room in "abcdefgh"]
            assert receiver.get("/healthz")[0] == 200
            assert receiver.post("/nothing", {})[0] == 404
            assert receiver.post(CAA, b"{")[0] == 400
            assert time.monotonic() - start < DEADLINE_S
            for status, code, seconds in (one.result() for one in waiting):
                assert (status, code) == (503, "queue_unavailable")
                assert seconds < DEADLINE_S
            assert receiver.get("/readyz")[0] == 503
    finally:
        valkey.thaw()
    eventually(lambda: receiver.post(f"/shop{CAA}", {"room_id": "2"})[0] == 200, 5, "a webhook that is taken again")


def timed_post(receiver: Gunicorn, room: str) -> tuple[int, str, float]:
    start = time.monotonic()
    status, said = receiver.post(f"/shop{CAA}", {"room_id": room})
    return status, said["error"]["code"], time.monotonic() - start


def test_a_redis_that_was_killed_and_comes_back_is_found_again(receiver, store, valkey):
    receiver.arrive("1")
    valkey.kill()
    status, said = receiver.post(f"/shop{CAA}", {"room_id": "2"})
    assert (status, said["error"]["code"]) == (503, "queue_unavailable")
    valkey.start()
    assert eventually(lambda: receiver.post(f"/shop{CAA}", {"room_id": "3"})[0] == 200, 5)
    with connect(valkey.url, 5, 1) as again:
        assert rooms(again)[0] == "1"


def test_a_connection_that_redis_ended_costs_no_webhook(receiver, store):
    receiver.arrive("1")
    for number in range(2, 12):  # each process has a connection of its own
        store.client_kill_filter(_type="normal", skipme=True)
        receiver.arrive(str(number))


def test_a_restart_of_redis_between_two_webhooks_is_not_noticed(receiver, store, valkey):
    receiver.arrive("1")
    valkey.restart()
    assert receiver.arrive("2")["position"] == 2


@pytest.mark.parametrize(
    ("setting", "value", "back"),
    [("maxmemory", "1", "0"), ("min-replicas-to-write", "3", "0")],
    ids=["full", "readonly"],
)
def test_a_redis_that_does_not_write_is_a_503(receiver, store, setting, value, back):
    store.config_set(setting, value)
    try:
        status, said = receiver.post(f"/shop{CAA}", {"room_id": "7"})
    finally:
        store.config_set(setting, back)
    assert (status, said["error"]["code"]) == (503, "queue_unavailable")
    assert receiver.arrive("7")["position"] == 1


def test_no_body_header_or_secret_is_in_the_log(receiver, store):
    token, name, password = "tok-8d1f2a", "Dewi-Lestari", "hunter2hunter2"
    agent = {"authentication_token": token, "qismo_key": token, "name": name}
    payload = {**MODERN, "app_id": "shop", "candidate_agent": agent, "name": name, "extras": token}
    headers = {"X-Webhook-Secret": password, "Authorization": password}
    for path in (f"{CAA}?secret={password}", SOLVED, f"/nothing?secret={password}", f"/{password} x{CAA}"):
        receiver.post(path.replace(" ", "%20"), payload, headers)
        receiver.post(path.replace(" ", "%20"), json.dumps(payload).encode()[:-1], headers)
    bad_heads = [b"POST /?%s HTTP/9.9", b"p#st /%s HTTP/1.1", b"POST /x HTTP/1.1\r\nBad Header %s: x"]
    for head in bad_heads:
        assert b'"code":"invalid_http"' in receiver.raw(head % password.encode() + b"\r\n\r\n")
    log = receiver.log.read_text()
    assert "arrived status=queued tenant=shop room=57491250" in log
    assert "refused status=400 code=invalid_json" in log
    for secret in (token, name, password):
        assert secret not in log


def test_a_chunked_body_is_read(receiver, store):
    body = b'4\r\n{"ro\r\n9\r\nom_id":7}\r\n0\r\n\r\n'
    assert outcome(receiver.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)) == (200, "queued")


def test_a_chunked_body_without_an_end_is_cut_off_at_one_mebibyte(receiver, store):
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = receiver.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *([chunk] * 17))
    assert outcome(answer) == (413, "payload_too_large")


def test_badly_chunked_and_broken_off_bodies_are_the_senders_fault(receiver, store):
    assert outcome(receiver.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")) == (400, "invalid_json")
    assert outcome(receiver.raw(HEAD + b"Content-Length: 50\r\n\r\n{", then_close=True)) == (400, "invalid_json")


def test_a_body_that_was_not_announced_is_an_empty_one(receiver, store):
    assert outcome(receiver.raw(HEAD + b'\r\n{"room_id": 7}')) == (400, "invalid_json")


def test_a_huge_body_is_refused_before_it_is_sent(receiver, store):
    assert outcome(receiver.raw(HEAD + b"Content-Length: 1000000000\r\n\r\n")) == (413, "payload_too_large")


def test_a_connection_is_kept_for_the_next_webhook_whatever_became_of_the_last(receiver, store):
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=10)
    connection.connect()
    own = connection.sock
    for body, status in ((b"{", 400), (b'{"room_id": 7}', 200), (b"[" * 200_000, 400), (b'{"room_id": 7}', 200)):
        connection.request("POST", f"/shop{CAA}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, connection.sock) == (status, own)
    connection.close()


def test_odd_bytes_in_a_path_are_not_found(receiver, store):
    for path in (b"/shop/x/allocate-agent/webhook", b"/%00", b"/%ff/allocate-agent/webhook", b"/a%2fb"):
        status, code = outcome(receiver.raw(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"))
        assert (status, code) in ((404, "not_found"), (404, "unknown_app"))


def test_many_silent_connections_do_not_keep_a_webhook_out(receiver, store):
    silent = [socket.create_connection(("127.0.0.1", receiver.port), 5) for _ in range(200)]
    for sock in silent[:100]:
        sock.sendall(HEAD + b"Content-Length: 50\r\n\r\n{")
    try:
        assert receiver.arrive("7")["position"] == 1
    finally:
        for sock in silent:
            sock.close()


def test_metrics_add_up_over_all_processes_and_count_webhooks_only(receiver, store):
    before = counted(receiver)
    with ThreadPoolExecutor(20) as crowd:
        list(crowd.map(receiver.arrive, [str(number) for number in range(100)]))
    for path in ("/healthz", "/readyz", "/metrics"):
        receiver.get(path)
    assert counted(receiver) - before == 100
    text = receiver.get("/metrics")[1]
    assert figure(text, 'webhooks_total{route="allocate-agent",status="200",tenant="shop"}') >= 100
    assert float(text.partition('giliran_webhook_seconds_count{route="allocate-agent"} ')[2].partition("\n")[0]) >= 100
    assert "\ngiliran_receiver_ready 1.0\n" in text
    assert 'giliran_build_info{version="' in text and "\nprocess_open_fds " in text


def counted(receiver: Gunicorn) -> float:
    return figure(receiver.get("/metrics")[1], 'answers_total{status="200"}')


def figure(text: str, name: str) -> float:
    return float(text.partition(f"giliran_receiver_{name} ")[2].partition("\n")[0] or 0)


@pytest.mark.long
def test_a_stop_finishes_what_is_under_way(tmp_path, valkey, store):
    with gunicorn(tmp_path, valkey.url) as here:
        stop = threading.Timer(0.3, here.process.send_signal, [signal.SIGTERM])
        stop.start()
        taken = 0
        while True:
            try:
                here.arrive(str(taken))
            except OSError:
                break
            taken += 1
        assert here.process.wait(15) == 0
    assert set(map(str, range(taken))) <= set(rooms(store))


@pytest.mark.long
def test_a_connection_that_is_silent_for_too_long_is_ended_and_a_busy_one_is_not(tmp_path, valkey, store):
    with (
        gunicorn(tmp_path, valkey.url, "--keep-alive", "2") as here,
        socket.create_connection(("127.0.0.1", here.port), 15) as silent,
        socket.create_connection(("127.0.0.1", here.port), 15) as slow,
        socket.create_connection(("127.0.0.1", here.port), 15) as busy,
    ):
        slow.sendall(HEAD)
        start = time.monotonic()
        while time.monotonic() - start < 4:
            busy.sendall(HEAD + b'Content-Length: 14\r\n\r\n{"room_id": 7}')
            assert outcome(answer_on(busy))[0] == 200
        assert (silent.recv(10), slow.recv(10)) == (b"", b"")


@pytest.mark.long
def test_connections_that_are_only_kept_open_do_not_hold_up_a_stop(tmp_path, valkey, store):
    with gunicorn(tmp_path, valkey.url) as here:
        kept = [socket.create_connection(("127.0.0.1", here.port), 5) for _ in range(20)]
        for sock in kept[:10]:
            sock.sendall(HEAD + b'Content-Length: 14\r\n\r\n{"room_id": 7}')
            assert outcome(answer_on(sock))[0] == 200
        start = time.monotonic()
        here.process.terminate()
        assert here.process.wait(15) == 0
        assert time.monotonic() - start < 8  # not all of graceful_timeout
        assert [sock.recv(10) for sock in kept] == [b""] * 20


def test_a_setting_that_is_wrong_ends_the_start_in_one_line(tmp_path):
    command = [sys.executable, "-m", "gunicorn", "-c", "receiver/gunicorn.conf.py", "receiver.app:create_app()"]
    environ = {"PATH": os.environ["PATH"], "PORT": "many", "GILIRAN_DATA": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert done.stderr.strip() == "receiver: PORT is 'many': use a whole number from 1 to 65535"


def test_the_receiver_loads_no_worker_no_desk_and_no_database_driver():
    code = "import sys, receiver.app, receiver.serving; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "receiver.webhooks" in loaded
    assert not loaded & {"worker", "sidecar", "psycopg2", "requests", "db.postgres", "scripts"}
