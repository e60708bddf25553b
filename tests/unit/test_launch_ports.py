"""Ports: a taken one is named together with its setting; the embedded servers keep theirs."""

import errno
import socket
from pathlib import Path

import pytest

import settings
from scripts.launch import ports
from scripts.launch.errors import Refusal
from testbed.servers import free_port
from tests.variants import each


def _listener(port: int) -> socket.socket:
    return socket.create_server((ports.LOOPBACK, port))


@each("name", ["PORT", "CHAT_PORT", "SIM_PORT", "WORKER_PORT"])
def test_a_taken_port_is_named_with_its_setting(name: str) -> None:
    port = free_port()
    with _listener(port), pytest.raises(Refusal, match=f"port {port} is taken.*set {name} to"):
        ports.check({name: (ports.LOOPBACK, port)})


def test_a_port_on_all_addresses_is_taken_when_one_address_has_it() -> None:
    port = free_port()
    with _listener(port):
        assert ports.problem_with("0.0.0.0", port) == errno.EADDRINUSE


def test_free_ports_pass() -> None:
    ports.check({"PORT": (ports.LOOPBACK, free_port()), "SIM_PORT": (ports.LOOPBACK, free_port())})


def test_two_settings_with_one_port_are_named() -> None:
    port = free_port()
    with pytest.raises(Refusal, match=f"PORT and SIM_PORT are both {port}"):
        ports.check({"PORT": (ports.LOOPBACK, port), "SIM_PORT": (ports.LOOPBACK, port)})


def test_a_low_port_needs_another_user() -> None:
    assert "set PORT to a port from 1024 on" in ports.sentence("PORT", "127.0.0.1", 80, errno.EACCES)


@each("host", ["203.0.113.7", "no such host"])
def test_a_host_that_is_not_here_is_named(host: str) -> None:
    with pytest.raises(Refusal, match=f"HOST '{host}'"):
        ports.check({"PORT": (host, free_port())})


def test_only_a_demo_wants_the_simulators_port() -> None:
    demo = settings.load({"WORKER_PORT": "9003"}, None)
    real = settings.load({"DEMO": "0"}, None)
    assert set(ports.wanted(demo)) == {"PORT", "CHAT_PORT", "SIM_PORT", "WORKER_PORT"}
    assert set(ports.wanted(real)) == {"PORT", "CHAT_PORT"}


def test_a_server_keeps_its_port_over_starts(tmp_path: Path) -> None:
    kept, first = tmp_path / "port", free_port()
    assert ports.choose(kept, first, ()) == first
    assert ports.choose(kept, free_port(), ()) == first


def test_a_server_moves_when_its_port_is_taken_or_ours(tmp_path: Path) -> None:
    kept, first = tmp_path / "port", free_port()
    assert ports.choose(kept, first, ()) == first
    with _listener(first):
        moved = ports.choose(kept, first, {first + 1})
    assert moved not in (first, first + 1)
    assert ports.choose(kept, first, ()) == moved


def test_a_damaged_note_of_the_port_is_ignored(tmp_path: Path) -> None:
    kept, preferred = tmp_path / "port", free_port()
    kept.write_text("99999999\n")
    assert ports.choose(kept, preferred, ()) == preferred
