"""What goes wrong around a receiver: slow senders, broken HTTP, taken ports, full servers. It says so, and goes on."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from db.inbox import Inbox, connect, digest, key
from scripts.launch.valkey import binary as valkey_binary
from testbed import servers
from testbed.deadlines import eventually
from testbed.servers import OwnServer
from tests.receivers import (
    CAA,
    COMMAND,
    HEAD,
    ROOT,
    SOLVED,
    Gunicorn,
    answer_on,
    environment,
    free_port,
    gunicorn,
    outcome,
)
from tests.variants import first_of


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
    with connect(valkey.url, 5, 4) as client:
        client.flushall()
        Inbox(client).publish({"shop": "", "bank": ""})
        yield client


def rooms(store: redis.Redis) -> list[str]:
    return [fields["room"] for _, fields in store.xrange(key("shop", "inbox"))]


def answers(receiver: Gunicorn, status: int = 200) -> float:
    text = receiver.get("/metrics")[1]
    return float(text.partition(f'giliran_receiver_answers_total{{status="{status}"}} ')[2].partition("\n")[0] or 0)


# --- senders


@contextmanager
def dripping(receiver: Gunicorn, count: int, first: bytes, piece: bytes) -> Iterator[list[socket.socket]]:
    """Connections that send `first`, and then a piece each second until the other side has had enough."""
    with ExitStack() as opened:
        socks = [
            opened.enter_context(socket.create_connection((receiver.address, receiver.port), 10)) for _ in range(count)
        ]
        over = threading.Event()

        def drip() -> None:
            while not over.wait(1):
                for sock in socks:
                    try:
                        sock.send(piece)
                    except OSError:
                        continue

        for sock in socks:
            sock.sendall(first)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield socks
        finally:
            over.set()
            thread.join()


@pytest.mark.long
def test_a_body_that_drips_is_refused_after_ten_seconds_however_steady_it_is(receiver, store):
    start = time.monotonic()
    with dripping(receiver, 2, HEAD + b"Content-Length: 500\r\n\r\n{", b" ") as (one, _):
        one.settimeout(20)
        assert outcome(answer_on(one)) == (400, "invalid_json")
        assert 8 < time.monotonic() - start < 14
        eventually(lambda: gone(one), 5, "the end of the connection")


@pytest.mark.long
def test_who_takes_no_answers_is_let_go(receiver, store):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((receiver.address, receiver.port))
        sock.settimeout(0.5)
        sent = time.monotonic()
        while time.monotonic() - sent < 5:  # nothing more is taken from us: answers pile up
            try:
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            except TimeoutError:
                continue
            sent = time.monotonic()
        sock.settimeout(None)
        eventually(lambda: broken(sock), 40, "the end of the connection")


def broken(sock: socket.socket) -> bool:
    """Whether the other side is gone, answers unread."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1  # not established any more


def gone(sock: socket.socket) -> bool:
    try:
        return sock.recv(4096) == b""
    except ConnectionError:
        return True


@pytest.mark.long
@pytest.mark.parametrize("chunked", [False, True], ids=["head", "chunks"])
def test_a_head_and_chunks_that_drip_have_an_end_too(receiver, store, chunked):
    first, piece = (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n") if chunked else (HEAD + b"X: ", b"x")
    start = time.monotonic()
    with dripping(receiver, 1, first, piece) as (one,):
        one.settimeout(40)
        eventually(lambda: gone(one), 30, "the end of the connection")
        assert time.monotonic() - start < 26


@pytest.mark.long
def test_a_thousand_dripping_connections_keep_no_webhook_out(receiver, store):
    with (
        dripping(receiver, 500, HEAD + b"Content-Length: 500\r\n\r\n{", b" "),
        dripping(receiver, 500, HEAD, b"X: x\r\n"),
    ):
        start = time.monotonic()
        receiver.arrive("7")
        assert time.monotonic() - start < 5
        assert receiver.get("/readyz")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"hunter2 \x00\xff\xfe this is no HTTP\r\n\r\n",
        b"POST /hunter2 HTTP/1.1\r\nHost: x\r\nExpect: hunter2\r\nContent-Length: 0\r\n\r\n",
        b"GET /hunter2 HTTP/9.9\r\n\r\n",
        b"POST /hunter2 HTTP/1.1\r\nHost: x\r\nhunter2\r\n\r\n",
        b"POST /hunter2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: hunter2\r\n\r\n",
        b"POST /hunter2 HTTP/1.1\r\nHost: x\r\nContent-Length: hunter2\r\n\r\n",
        b"POST /hunter2 HTTP/1.1\r\nHost: x\r\nHost: hunter2\r\n\r\n",
        b"GET /hunter2" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"hunter2" * 2000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: hunter2\r\n" * 200 + b"\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_contracts_words_and_not_repeated(receiver, store, sent):
    answer = receiver.raw(sent)
    assert outcome(answer) == (400, "invalid_http")
    assert b"hunter2" not in answer
    assert "hunter2" not in receiver.log.read_text()


def test_a_tls_hello_is_answered_and_not_repeated(receiver, store):
    context = ssl.create_default_context()
    context.check_hostname = False
    with (
        socket.create_connection((receiver.address, receiver.port), 10) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(sock, server_hostname="hunter2.example")
    receiver.arrive("7")
    assert "hunter2" not in receiver.log.read_text()


def test_an_expectation_that_is_known_is_met(receiver, store):
    with socket.create_connection((receiver.address, receiver.port), 10) as sock:
        sock.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 14\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"room_id": 7}')
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [f"/{CAA}", f"//shop{CAA}", f"/shop/{CAA}", f"/shop//{SOLVED}", f"//shop/{SOLVED}//"])
def test_slashes_of_a_base_url_do_no_harm(receiver, store, path):
    Inbox(store).publish({"shop": ""})
    assert receiver.post(path, {"room_id": "7", "service": {"room_id": "7"}})[0] == 200
    assert rooms(store) == ["7"]


def test_a_plus_in_a_tenants_own_secret_may_be_written_as_it_is(receiver, store):
    Inbox(store).publish({"shop": digest("a+b/c="), "bank": digest("two words"), "raw": digest("50%41+")})
    for tenant, written, status in (
        ("shop", "a+b/c=", 200),
        ("shop", "a%2Bb%2Fc%3D", 200),
        ("shop", "a%20b/c=", 404),
        ("raw", "50%41+", 200),
        ("raw", "50A+", 404),
        ("bank", "two+words", 200),
        ("bank", "two%20words", 200),
        ("bank", "two%2Bwords", 404),
        ("bank", "", 404),
    ):
        assert receiver.post(f"/{tenant}{CAA}?secret={written}", {"room_id": "7"})[0] == status, written


# --- ports, addresses, signals


def refused_start(folder: Path, redis_url: str, port: int, *options: str, **environ: str) -> list[str]:
    """What a receiver says that does not start."""
    command = [*COMMAND, *options, "receiver.app:create_app()"]
    env = environment(folder, redis_url, port, **environ)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    return done.stderr.strip().splitlines()


@pytest.mark.long
def test_a_second_receiver_on_the_port_ends_in_one_line_and_takes_nothing_away(tmp_path, valkey, store):
    with gunicorn(tmp_path, valkey.url) as first:
        for number in range(20):
            first.arrive(str(number))
        for host in ("127.0.0.1", "0.0.0.0"):
            (line,) = refused_start(tmp_path, valkey.url, first.port, HOST=host)
            assert line.startswith(
                f"receiver: port {first.port} is in use on {host}: stop the program that has it, or "
            )
        assert answers(first) == 20
        assert f"Listening at: http://127.0.0.1:{first.port}" in first.log.read_text()


@pytest.mark.long
def test_of_two_that_start_at_the_same_instant_one_says_that_the_port_is_taken(tmp_path, valkey):
    port = free_port()
    command = [*COMMAND, "--workers", "1", "receiver.app:create_app()"]
    env = environment(tmp_path, valkey.url, port)
    both = [subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        eventually(lambda: any(one.poll() for one in both), 30, "the end of one")
        (lost,) = [one for one in both if one.poll()]
        assert lost.communicate()[1].startswith(f"receiver: port {port} is in use on 127.0.0.1: ")
    finally:
        for one in both:
            one.terminate()
            one.communicate(timeout=30)


@pytest.mark.parametrize(
    ("host", "advice"), [("192.0.2.1", "HOST '192.0.2.1'"), ("no.such.host.invalid", "HOST 'no.s")]
)
def test_an_address_that_is_not_ours_is_named_in_one_line(tmp_path, valkey, host, advice):
    (line,) = refused_start(tmp_path, valkey.url, free_port(), HOST=host)
    assert line.startswith("receiver: nothing can listen on ")
    assert advice in line


@pytest.mark.long
def test_two_receivers_with_one_port_and_one_folder_count_each_its_own(tmp_path, valkey, store):
    with gunicorn(tmp_path, valkey.url, address="127.0.0.1") as one:
        one.arrive("7")
        with gunicorn(tmp_path, valkey.url, address="127.0.0.2", port=one.port) as other:
            for number in range(3):
                other.arrive(str(number))
            assert (answers(one), answers(other)) == (1, 3)


@pytest.mark.parametrize("host", first_of(["::", "::1"]))
def test_it_listens_on_ipv6(tmp_path, valkey, store, host):
    with gunicorn(tmp_path, valkey.url, address="::1", HOST=host) as here:
        assert here.arrive("7")["position"] == 1
        assert f"Listening at: http://[{host}]:{here.port}" in here.log.read_text()
        if host == "::":
            with socket.create_connection(("127.0.0.1", here.port), 5):
                pass


@pytest.mark.long
def test_a_process_that_served_its_number_of_requests_is_replaced_and_nothing_is_lost(tmp_path, valkey, store):
    with gunicorn(tmp_path, valkey.url, "--workers", "2", "--max-requests", "60") as here:
        before = children(here)
        with ThreadPoolExecutor(8) as crowd:
            list(crowd.map(here.arrive, map(str, range(150))))
        eventually(lambda: children(here) - before and len(children(here)) == 2, 20, "a new process")
        assert sorted(rooms(store), key=int) == [str(number) for number in range(150)]
        assert answers(here) == 150  # also what the old ones have counted


def children(here: Gunicorn) -> set[str]:
    return set(Path(f"/proc/{here.process.pid}/task/{here.process.pid}/children").read_text().split())


@pytest.mark.long
def test_sighup_begins_anew_and_loses_neither_webhooks_nor_figures(tmp_path, valkey, store):
    with gunicorn(tmp_path, valkey.url) as here:
        here.arrive("1")
        before = children(here)
        here.process.send_signal(signal.SIGHUP)
        for number in range(2, 20):
            here.arrive(str(number))
        eventually(lambda: children(here) and not before & children(here), 20, "new processes")
        here.arrive("20")
        assert answers(here) == 20


@pytest.mark.long
def test_an_open_door_is_told_at_the_start(tmp_path, valkey, store):
    for secret, told in (("", True), ("a-secret-of-sixteen", False)):
        with gunicorn(tmp_path, valkey.url, WEBHOOK_SECRET=secret) as here:
            assert ("WARNING receiver webhooks_open" in here.log.read_text()) == told


@pytest.mark.long
def test_nothing_is_written_to_its_folder_so_that_a_full_disk_costs_nothing(tmp_path, valkey, store):
    data = tmp_path / "data"
    data.mkdir()
    with gunicorn(tmp_path, valkey.url, GILIRAN_DATA=str(data)) as here:
        here.arrive("7")
        assert answers(here) == 1
        assert list(data.iterdir()) == []


def test_without_room_for_its_heartbeats_a_start_ends_in_one_line(tmp_path, valkey):
    place = tmp_path / "file"
    place.write_text("")
    (line,) = refused_start(tmp_path, valkey.url, free_port(), "--worker-tmp-dir", str(place))
    assert line.startswith(f"receiver: {place} can't be used: ")


# --- Redis


@contextmanager
def started_valkey(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        str(valkey_binary()),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--save",
        "",
        "--appendonly",
        "no",
        *options,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answering(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@pytest.mark.long
def test_a_unix_socket_serves_webhooks_and_readiness_alike(tmp_path):
    path = f"/tmp/giliran-{os.getpid()}.sock"  # noqa: S108 - a socket's path must be short
    with (
        started_valkey(tmp_path, "--port", "0", "--unixsocket", path),
        connect(f"unix://{path}?db=2", 5, 2) as client,
        gunicorn(tmp_path, f"unix://{path}?db=2") as here,
    ):
        eventually(lambda: answering(client), 10, "Valkey's answer")
        Inbox(client).publish({"shop": ""})
        assert here.arrive("7")["position"] == 1
        assert rooms(client) == ["7"]
        assert client.llen("rq:queue:giliran") == 1
        assert here.get("/readyz")[0] == 200


@pytest.mark.long
def test_a_cluster_is_not_ready_and_says_so(tmp_path):
    port, bus = free_port(), free_port()  # the bus would else be 10,000 above, where there may be no port
    url = f"redis://127.0.0.1:{port}"
    cluster = ("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(bus))
    with started_valkey(tmp_path, *cluster), redis.Redis.from_url(url) as client:
        eventually(lambda: answering(client), 30, "Valkey's answer")
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        with gunicorn(tmp_path, url) as here:
            status, text = here.get("/readyz")
            assert status == 503
            assert "Redis Cluster can't be used" in text
            assert here.post(f"/shop{CAA}", {"room_id": 7})[0] == 503


@pytest.mark.parametrize(
    ("setting", "value", "back", "reason"),
    [("maxmemory", "1", "0", "Redis is full"), ("min-replicas-to-write", "3", "0", "replication is broken")],
    ids=["full", "readonly"],
)
def test_a_redis_that_does_not_write_is_not_ready_and_the_reason_is_told(receiver, store, setting, value, back, reason):
    assert receiver.get("/readyz")[0] == 200
    store.config_set(setting, value)
    try:
        status, text = receiver.get("/readyz")
    finally:
        store.config_set(setting, back)
    assert status == 503
    assert reason in json.loads(text)["error"]["message"]
    assert receiver.get("/readyz")[0] == 200
    assert [name for name in store.keys("*") if name != "giliran:tenants" and store.ttl(name) < 0] == []


def test_a_replica_is_not_ready(receiver, store):
    store.replicaof("127.0.0.1", free_port())
    try:
        status, text = receiver.get("/readyz")
        assert status == 503
        assert "replica" in text
        assert receiver.post(f"/shop{CAA}", {"room_id": 7})[0] == 503
    finally:
        store.replicaof("NO", "ONE")


@pytest.mark.long
def test_an_outage_is_told_when_it_begins_and_when_it_is_over_not_for_each_webhook(tmp_path, store, valkey):
    with gunicorn(tmp_path, valkey.url) as here:
        here.arrive("1")
        valkey.kill()
        try:
            for _ in range(100):
                assert here.post(f"/shop{CAA}", {"room_id": 7})[0] == 503
                assert here.get("/readyz")[0] == 503
        finally:
            valkey.start()
        with connect(valkey.url, 5, 1) as again:
            Inbox(again).publish({"shop": ""})
        eventually(lambda: here.get("/readyz")[0] == 200, 10, "readiness")
        lines = [line.split() for line in here.log.read_text().splitlines()]
        told = [line[3] for line in lines if line[1] in ("WARNING", "ERROR")]
        assert told == ["webhooks_open", "redis_away", "redis_back"]


@pytest.mark.long
def test_after_a_stall_only_those_fail_whose_own_second_is_over(tmp_path, store, valkey):
    """A trip that began when the stall did fails at its end; who came later still has time."""
    with gunicorn(tmp_path, valkey.url) as here:
        here.arrive("0")
        valkey.freeze()
        begun: dict[int, float] = {}

        def post(number: int) -> tuple[int, float, float]:
            start = time.monotonic()
            begun[number] = start
            status, _ = here.post(f"/shop{CAA}", {"room_id": str(number)})
            return status, start, time.monotonic()

        with ThreadPoolExecutor(40) as crowd:
            came = []
            for number in range(1, 25):
                came.append(crowd.submit(post, number))
                time.sleep(0.05)  # not a wait for anything: they must come at different times
            thawed = time.monotonic()
            valkey.thaw()
            results = [one.result() for one in came]
        slack_s = 0.35  # of a busy machine
        for status, start, end in results:
            assert end - start < 1 + 2 * slack_s
            if start > thawed - 1 + slack_s:
                assert status == 200, (thawed - start, end - start)
        assert {status for status, _, _ in results} == {200, 503}
