"""What a start says: everything a person needs, and no secret."""

from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

import settings
from scripts.launch import environment, outside, ready
from settings import Servers

DEMO = settings.load({}, None)
REAL = settings.load({"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "hush-key", "WEBHOOK_SECRET": "hush-hook"}, None)
SERVERS = Servers("postgresql://giliran:hush-db@127.0.0.1:5433/giliran", "redis://:hush-redis@10.0.0.1:6379/0")


def test_a_demo_shows_its_pages_servers_and_credentials() -> None:
    text = ready.block(DEMO, SERVERS, tenants=1)
    assert "\nready http://127.0.0.1:8000 " in text
    for part in (
        "/allocate-agent/webhook",
        "/mark-as-solved/webhook",
        "http://127.0.0.1:8002/",
        "app id demo-qiscus",
        "secret key demo-secret",
        "http://127.0.0.1:8001/chat",
        "http://127.0.0.1:8001/agent",
        "agent@demo.com, agent2@demo.com, supervisor@demo.com, password Test@1234",
        SERVERS.database_url,
    ):
        assert part in text


def test_a_real_installation_shows_no_secret() -> None:
    outer = replace(REAL, redis_url=SERVERS.redis_url)
    text = ready.block(outer, SERVERS, tenants=0)
    assert "hush" not in text and "Test@1234" not in text
    assert "giliran:***@127.0.0.1:5433" in text
    assert "giliran tenant add" in text
    assert "WEBHOOK_SECRET is set" in text


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("h.example", "http://h.example:80")],
)
def test_an_address_that_can_be_opened_is_shown(host: str, url: str) -> None:
    assert ready.base_url(host, 80) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hush@h:1/d?password=hush", "postgresql://u:***@h:1/d"),
        ("postgresql://h/d", "postgresql://h/d"),
        ("redis://:hush@h:1/0", "redis://:***@h:1/0"),
        ("postgresql://u:hu@sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu/sh@h/d", "(a URL that can't be read)"),
        ("postgresql://u:hush@[h/d", "(a URL that can't be read)"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert outside.masked(url) == shown


def test_of_a_servers_words_only_known_ones_are_shown() -> None:
    quoting = psycopg2.OperationalError('invalid port number: "hush" in URL')
    assert outside.known_reason(quoting) == "OperationalError"
    assert outside.known_reason(psycopg2.OperationalError("... Connection refused ...")) == "Connection refused"


def test_children_get_the_demo_said_aloud_and_the_folder_they_can_derive_from() -> None:
    env = environment.for_children(DEMO, SERVERS, {"PATH": "/bin", "OTHER": "kept", "DEMO": ""})
    again = settings.load(env, None)
    assert (again.demo, again.data, again.port) == (True, DEMO.data, DEMO.port)
    assert env["OTHER"] == "kept"
    assert env["PATH"].endswith(":/bin")
    assert (again.database_url, again.redis_url) == (SERVERS.database_url, SERVERS.redis_url)


def test_children_of_a_real_installation_stay_out_of_the_demo() -> None:
    env = environment.for_children(REAL, SERVERS, {"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "k"})
    assert settings.load(env, None).demo is False
    assert settings.load(env, None).data == Path(settings.ROOT / "var")
