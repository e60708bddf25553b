"""The Qiscus desk against a real server on a socket that plays one fault after the other."""

import contextlib
import gzip
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from email.utils import formatdate
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.scripted import SOON_S, Server, desk_at, drip, hang, head, raw, reset, say, trouble
from worker.desk import qiscus, qiscus_http
from worker.desk.base import Assigned, DeskError, RoomRefused, RoomTaken
from worker.desk.qiscus import QiscusDesk

ADDED = {"data": {"added_agent": {"id": 9}, "service": {"first_comment_id": 77}}}
EXCEED = {"errors": "Cant join room, exceed max agents"}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def desk(server):
    desk = desk_at(server.url)
    yield desk
    desk.close()


# What is asked


def test_an_assign_asks_for_one_agent_at_most_and_replaces_nobody(server, desk):
    server.plays = [say(ADDED)]
    assert desk.assign("57", "9") == Assigned("77")
    (sent,) = server.requests
    assert (sent.method, sent.target) == ("POST", "/api/v1/admin/service/assign_agent")
    assert sent.json == {"room_id": "57", "agent_id": "9", "max_agent": 1, "replace_latest_agent": False}
    assert (sent.headers["Qiscus-App-Id"], sent.headers["Qiscus-Secret-Key"]) == ("app", "secret-key")


def test_the_roster_is_read_over_all_pages_and_an_agent_on_two_of_them_is_one(server, desk):
    rows = [{"id": n, "type": 2, "is_available": n == 3} for n in (1, 2, 3)]
    server.plays = [
        say({"data": {"agents": rows[:2]}, "meta": {"after": "c&1"}}),
        say({"data": [{**rows[1], "is_available": True}, rows[2], {"type": 2}], "meta": {"after": None}}),
    ]
    assert [(a.id, a.available) for a in desk.roster("57")] == [("1", False), ("2", True), ("3", True)]
    assert [r.query for r in server.requests] == [
        {"room_id": "57", "limit": "100"},
        {"room_id": "57", "limit": "100", "cursor_after": "c&1"},
    ]


def test_everybody_in_the_room_is_told_supervisors_too(server, desk):
    server.plays = [say({"data": {"agents": [{"id": 1, "type": 2}, {"id": 3, "type": 3}]}})]
    assert desk.agents_in("57") == ["1", "3"]
    assert server.requests[0].query["is_available_in_room"] == "true"


def test_unserved_rooms_come_oldest_first_over_all_pages(server, desk):
    rooms = [{"room_id": str(n), "is_resolved": False, "is_waiting": True} for n in range(4)]
    server.plays = [
        say({"data": {"customer_rooms": rooms[:2]}, "meta": {"cursor_after": "c1"}}),
        say({"data": {"customer_rooms": rooms[1:]}, "meta": {"cursor_after": "c2"}}),
        say({"data": {"customer_rooms": []}, "meta": {"cursor_after": "c2"}}),
    ]
    assert [r.room for r in desk.unserved()] == ["3", "2", "1", "0"]
    assert [r.json.get("cursor_after") for r in server.requests] == [None, "c1", "c2"]


def test_rows_that_cannot_be_read_are_counted_in_one_line(server, desk, caplog):
    server.plays = [say({"data": {"agents": [None, {}, {"id": 1, "type": 2}]}})]
    assert [a.id for a in desk.roster("57")] == ["1"]
    assert [r.getMessage() for r in caplog.records] == ["rows_skipped desk=qiscus verb=roster rows=2"]


@pytest.mark.parametrize("room", ["a/b", "a?b", "a#b", "a%2Fb", "a..b", "a+b&c", "~", "%"])
def test_a_room_id_is_one_segment_of_the_path_whatever_is_in_it(server, desk, room):
    server.plays = [say({"data": {"customer_room": {"is_waiting": True, "is_resolved": False}}})]
    desk.look(room)
    segments = server.requests[0].target.split("/")
    assert segments[:4] == ["", "api", "v2", "customer_rooms"]
    assert [unquote(segment) for segment in segments[4:]] == [room]


@pytest.mark.parametrize("room", ["", ".", "..", "a b", "a\nb", "é", "\ud800", "a" * 65])
def test_what_is_no_id_is_refused_before_anything_is_sent(desk, room):
    for call in (lambda: desk.look(room), lambda: desk.roster(room), lambda: desk.assign("57", room)):
        with pytest.raises(RoomRefused):
            call()


def test_a_probe_tells_good_credentials_from_bad_ones(server, desk):
    server.plays = [say({"data": {}}), say({"errors": "Unauthorized"}, status=401)]
    desk.probe()
    assert trouble(desk.probe).permanent
    assert server.requests[0].target == "/api/v1/admin/get_profile"


@pytest.mark.parametrize(
    ("told", "agent"), [({"id": 4, "type": 2, "count": 2}, "4"), (None, None), ({"id": 5, "type": 3}, None)]
)
def test_a_suggestion_is_an_agent_or_nobody(server, desk, told, agent):
    server.plays = [say({"data": {"agent": told}})]
    found = desk.suggest("wa")
    assert (found and found.id) == agent
    assert server.requests[0].json == {"source": "wa"}


# Faults of an assign: did it take effect?


def test_exceed_is_taken_and_another_400_is_refused(server, desk):
    server.plays = [say(EXCEED, 400), say({"errors": "room already resolved"}, 400)]
    with pytest.raises(RoomTaken):
        desk.assign("57", "9")
    with pytest.raises(RoomRefused, match="room already resolved"):
        desk.assign("57", "9")


@pytest.mark.parametrize(
    "play",
    [
        hang,
        reset,
        raw(b""),
        raw(b"SSH-2.0-OpenSSH\r\n"),
        raw(head(200, 100) + b'{"data"'),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        say(b"<html>ok</html>"),
        say(b""),
        say([]),
        say({}),
        say({"data": {"added_agent": {}}}),
        say({**ADDED, "errors": "maybe"}),
        say(b"not gzip", headers=["Content-Encoding: gzip"]),
        say({}, status=500),
        say({}, status=503),
        say(b"<html>", status=502),
        say(b"", status=302, headers=["Location: /elsewhere"]),
        say(b"", status=204),
    ],
)
def test_a_lost_or_broken_answer_leaves_doubt_and_the_assign_is_sent_once(server, desk, play):
    server.plays = [play]
    found = trouble(desk.assign, "57", "9")
    assert (found.maybe_applied, found.permanent) == (True, False)
    assert len(server.requests) == 1


@pytest.mark.parametrize("play", [hang, reset, raw(b""), say(b"<html>"), say({}, status=500)])
def test_a_lost_or_broken_answer_to_a_question_leaves_no_doubt(server, desk, play):
    server.plays = [play]
    assert not trouble(desk.roster, "57").maybe_applied
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("retry_after", ["17", formatdate(1_000_000_017, usegmt=True)])
def test_a_desk_that_asks_us_to_wait_has_not_acted(server, desk, status, retry_after):
    headers = [f"Retry-After: {retry_after}", f"Date: {formatdate(1_000_000_000, usegmt=True)}"]
    server.plays = [say({}, status=status, headers=headers)]
    found = trouble(desk.assign, "57", "9")
    assert (found.maybe_applied, found.retry_after_s) == (False, 17.0)


def test_a_refused_connection_left_nothing_behind(server, desk):
    server.close()
    found = trouble(desk.assign, "57", "9")
    assert not found.maybe_applied
    assert found.what == "assign: no answer (ConnectionRefusedError)"


def test_a_server_that_does_not_accept_got_nothing():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        found = trouble(desk_at(f"http://127.0.0.1:{full.getsockname()[1]}").assign, "57", "9")
        assert not found.maybe_applied
        for one in queued:
            one.close()


@pytest.mark.parametrize("host", ["nobody.invalid", "*", "a..b", "é" * 70, "x:99999"])
def test_a_host_that_cannot_be_reached_got_nothing(host):
    assert not trouble(desk_at(f"http://{host}").assign, "57", "9").maybe_applied


def test_a_name_lookup_that_took_too_long_sends_nothing_any_more(server, monkeypatch):
    look_up = socket.getaddrinfo

    def slow(*args, **kwargs):
        time.sleep(0.1)  # there is nothing to wait for: the delay is the subject
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    server.plays = [say(ADDED)]
    assert not trouble(desk_at(server.url, connect_seconds=0.05).assign, "57", "9").maybe_applied
    assert server.requests == []


def test_a_redirect_is_not_followed_by_a_question_either(server, desk):
    server.plays = [say(b"", status=307, headers=[f"Location: {server.url}/elsewhere"])]
    trouble(desk.roster, "57")
    assert len(server.requests) == 1


# Time and size


@pytest.mark.parametrize("data", [b"HTTP/1.1 100 Continue\r\n\r\n", head(200, 9999), head(200, 9999) + b" "])
def test_a_server_that_drips_comes_to_an_end(server, desk, data):
    server.plays = [drip(data)]
    began = time.monotonic()
    assert trouble(desk.assign, "57", "9").maybe_applied
    assert 0.4 < time.monotonic() - began < 1.0


def test_a_body_that_drips_comes_to_an_end(server, desk):
    def play(sock, request, done):
        sock.sendall(head(200, 9999))
        return drip(b" ")(sock, request, done)

    server.plays = [play]
    began = time.monotonic()
    trouble(desk.roster, "57")
    assert 0.4 < time.monotonic() - began < 1.0


def first_late_then(play):
    """`play` once 0.8 s have passed: with a second in all, a deadline that starts anew ends at 1.8 s."""

    def late(sock, request, done):
        done.wait(0.8)
        return play(sock, request, done)

    return late


def test_an_answer_that_begins_late_does_not_get_its_time_twice(server):
    def begun(sock, request, done):
        sock.sendall(head(200, 9999))
        return hang(sock, request, done)

    server.plays = [first_late_then(begun)]
    began = time.monotonic()
    assert trouble(desk_at(server.url, total_seconds=1.0).assign, "57", "9").maybe_applied
    assert time.monotonic() - began < 1.5


def test_all_pages_of_a_roster_together_have_the_time_of_one_call(server):
    page = {"data": {"agents": [{"id": 1}]}, "meta": {"after": "c1"}}
    server.plays = [first_late_then(say(page)), hang]
    began = time.monotonic()
    trouble(desk_at(server.url, total_seconds=1.0).roster, "57")
    assert time.monotonic() - began < 1.5
    assert len(server.requests) == 2


def test_a_flood_is_cut_off(server, desk):
    server.plays = [say(b" " * (qiscus_http.ANSWER_BYTES_MAX + 1))]
    assert "more than" in trouble(desk.roster, "57").what


def test_a_compressed_flood_is_cut_off_too(server, desk):
    bomb = gzip.compress(b" " * (16 * qiscus_http.ANSWER_BYTES_MAX))
    server.plays = [say(bomb, headers=["Content-Encoding: gzip"])]
    assert "more than" in trouble(desk.roster, "57").what


def test_a_large_answer_below_the_bound_is_read(server, desk):
    rows = [{"id": n, "type": 2, "padding": "x" * 1000} for n in range(3000)]
    body = gzip.compress(json.dumps({"data": {"agents": rows}}).encode(), 1)
    server.plays = [say(body, headers=["Content-Encoding: gzip"])]
    assert len(desk.roster("57")) == 3000


def test_a_cursor_that_returns_ends_the_listing(server, desk):
    server.plays = [say({"data": {"agents": [{"id": 1}]}, "meta": {"after": "again"}})]
    assert "cursor" in trouble(desk.roster, "57").what
    assert len(server.requests) == 2


def endless(sock, request, done):
    after = request.json.get("cursor_after", "0") if request.body else request.query.get("cursor_after", "0")
    room = {"room_id": after, "is_resolved": False, "is_waiting": True}
    data = {"customer_rooms": [room], "agents": [{"id": after}]}
    return say({"data": data, "meta": {"after": str(int(after) + 1)}})(sock, request, done)


def test_an_endless_roster_is_trouble_since_a_part_would_pass_for_the_whole(server):
    server.plays = [endless]
    with contextlib.closing(desk_at(server.url, total_seconds=9.0)) as desk:
        assert "no end" in trouble(desk.roster, "57").what
    assert len(server.requests) == qiscus.AGENT_PAGES_MAX


def test_an_endless_list_of_rooms_gives_what_was_read(server, desk, caplog):
    server.plays = [endless]
    assert [r.room for r in desk.unserved()] == [str(n) for n in reversed(range(qiscus.ROOM_PAGES_MAX))]
    assert "listing_cut" in caplog.text


def test_a_slow_list_of_rooms_gives_what_was_read_in_its_time(server, caplog):
    server.plays = [endless]
    rooms = desk_at(server.url, listing_seconds=0.51).unserved()
    assert 0 < len(rooms) < qiscus.ROOM_PAGES_MAX
    assert "listing_cut" in caplog.text


# Connections


def test_calls_in_a_row_use_one_connection(server, desk):
    server.plays = [say(ADDED)]
    for _ in range(5):
        desk.assign("57", "9")
    assert server.connections == 1


def test_a_connection_that_the_server_closed_between_two_calls_is_not_used_again(server, desk):
    closed = threading.Event()

    def play(sock, request, done):
        say(ADDED)(sock, request, done)
        sock.shutdown(socket.SHUT_RDWR)
        closed.set()
        return False

    server.plays = [play]
    desk.assign("57", "9")
    assert closed.wait(SOON_S)
    desk.assign("57", "9")
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_connection_that_was_idle_for_long_is_not_used_again(server, desk, monkeypatch):
    monkeypatch.setattr(qiscus_http, "IDLE_SECONDS", 0.0)
    server.plays = [say(ADDED)]
    desk.assign("57", "9")
    desk.assign("57", "9")
    assert server.connections == 2


def test_a_close_that_crosses_the_request_leaves_doubt_and_is_not_repeated(server, desk):
    server.plays = [say(ADDED), raw(b""), say(ADDED)]
    desk.assign("57", "9")
    assert trouble(desk.assign, "57", "9").maybe_applied
    assert len(server.requests) == 2


def test_threads_do_not_wait_for_each_other_and_the_surplus_is_closed(server):
    together = threading.Barrier(8, timeout=SOON_S)

    def play(sock, request, done):
        together.wait()
        return say(ADDED)(sock, request, done)

    server.plays = [play]
    desk = desk_at(server.url, total_seconds=2.0, pool_size=2)
    results = []
    threads = [threading.Thread(target=lambda: results.append(desk.assign("57", "9"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    assert results == [Assigned("77")] * 8
    assert len(desk._wire._idle) == 2


def test_no_cookie_of_the_desk_comes_back_to_it(server, desk):
    server.plays = [say(ADDED, headers=["Set-Cookie: a=b; Path=/"])]
    desk.assign("57", "9")
    desk.assign("57", "9")
    assert "Cookie" not in server.requests[1].headers


# The environment and the constructor


def test_a_proxy_of_the_environment_is_used_and_no_proxy_is_obeyed(server, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.plays = [say(ADDED)]
    assert desk_at("http://desk.invalid").assign("57", "9") == Assigned("77")
    assert server.requests[0].target == "http://desk.invalid/api/v1/admin/service/assign_agent"
    monkeypatch.setenv("no_proxy", "desk.invalid")
    assert not trouble(desk_at("http://desk.invalid").assign, "57", "9").maybe_applied
    assert len(server.requests) == 1


def test_a_proxy_that_refuses_its_tunnel_let_nothing_through(server, monkeypatch):
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", server.url)
    server.plays = [say(b"", status=502)]
    assert not trouble(desk_at("https://desk.invalid").assign, "57", "9").maybe_applied
    assert server.requests[0].method == "CONNECT"


def test_a_server_that_speaks_no_tls_got_nothing(server):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        threading.Thread(target=lambda: raw(b"HTTP/1.1 400 Bad\r\n\r\n" * 10)(plain.accept()[0], None, None)).start()
        found = trouble(desk_at(f"https://127.0.0.1:{plain.getsockname()[1]}").assign, "57", "9")
        assert not found.maybe_applied


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificate, and is not here")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", path, "-out", path], check=True, capture_output=True)
    return path


@pytest.fixture
def tls_server(server, certificate):
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(certificate)
    server.url = server.url.replace("http:", "https:")
    return server


def test_over_tls_the_same_bounds_hold(tls_server, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    tls_server.plays = [say(ADDED), say(ADDED), drip(head(200, 9999)), say({"data": {}})]
    desk = desk_at(tls_server.url)
    assert [desk.assign("57", "9") for _ in range(2)] == [Assigned("77")] * 2
    assert tls_server.connections == 1
    began = time.monotonic()
    assert trouble(desk.assign, "57", "9").maybe_applied
    assert 0.4 < time.monotonic() - began < 1.0
    assert trouble(desk.assign, "57", "9").maybe_applied
    desk.close()


def test_a_server_with_a_foreign_certificate_got_nothing(tls_server):
    tls_server.plays = [say(ADDED)]
    assert not trouble(desk_at(tls_server.url).assign, "57", "9").maybe_applied
    assert tls_server.requests == []


@pytest.mark.parametrize("url", ["", "ftp://x", "omnichannel.qiscus.com", "https://u:p@x", "https://x?a=b", "https://"])
def test_an_address_that_is_none_is_refused_at_the_start(url):
    with pytest.raises(ValueError, match="address"):
        desk_at(url)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "é"])
def test_a_key_that_no_header_carries_is_refused_without_repeating_it(key):
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        QiscusDesk("https://x", "app", key)
    assert not key or key not in str(caught.value)


def test_times_that_exceed_the_contract_are_refused_at_the_start():
    with pytest.raises(ValueError, match="CALL_SECONDS"):
        QiscusDesk("https://x", "app", "key", connect_seconds=6, total_seconds=6)


def test_nothing_of_secrets_or_bodies_is_logged(server, desk, caplog):
    caplog.set_level(logging.DEBUG)
    server.plays = [
        say({"errors": "private-words token: secret-key"}, 400),
        say({"data": {"agents": ["private-words"]}}),
    ]
    with pytest.raises(RoomRefused):
        desk.assign("57", "9")
    desk.roster("57")
    assert "secret-key" not in caplog.text
    assert "private-words" not in caplog.text


# Any bytes at all

pieces = st.sampled_from(
    [b"HTTP/1.1 ", b"200 OK", b"400 ", b"503 x", b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"5", b"-1", b"99999"]
    + [b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Retry-After: ", b"Location: http://[", b"\x00\xff"]
    + [b"{}", b'{"data":', b"Set-Cookie: \xff=;", b"Content-Type: text/html; charset=nope", b": ", b" " * 70_000]
)


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(pieces | st.binary(max_size=8), max_size=12))
def test_any_bytes_for_an_answer_end_in_a_desk_error(server, parts):
    server.plays = [raw(b"".join(parts)), raw(b"HTTP/1.1 200 OK\r\n" + b"".join(parts))]
    for _ in range(2):
        with pytest.raises(DeskError):
            desk_at(server.url).assign("57", "9")
