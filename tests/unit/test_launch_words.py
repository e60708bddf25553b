"""What a start says: everything a person needs, and no secret."""

from dataclasses import replace
from pathlib import Path

import psycopg2

import settings
from scripts.launch import environment, outside, ready
from settings import Servers
from tests.variants import each

DEMO = settings.load({}, None)
REAL = settings.load(
    {"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "hush-key", "WEBHOOK_SECRET": "hush-hook-hush-hook"}, None
)
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


@each(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("h.example", "http://h.example:80")],
)
def test_an_address_that_can_be_opened_is_shown(host: str, url: str) -> None:
    assert ready.base_url(host, 80) == url


@each(
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
    env = environment.for_children(DEMO, SERVERS, {"PATH": "/bin", "OTHER": "kept", "DEMO": ""}, {})
    again = settings.load(env, None)
    assert (again.demo, again.data, again.port) == (True, DEMO.data, DEMO.port)
    assert env["OTHER"] == "kept"
    assert env["PATH"].endswith(":/bin")
    assert (again.database_url, again.redis_url) == (SERVERS.database_url, SERVERS.redis_url)


def test_children_get_what_the_file_says_to_other_programs_unless_the_environment_says_more() -> None:
    inherited = {"GUNICORN_CMD_ARGS": "", "TZ": "UTC"}
    of_the_file = {"GUNICORN_CMD_ARGS": "--workers 4", "TZ": "Asia/Jakarta", "PGSSLMODE": "require"}
    env = environment.for_children(DEMO, SERVERS, inherited, of_the_file)
    assert (env["GUNICORN_CMD_ARGS"], env["TZ"], env["PGSSLMODE"]) == ("--workers 4", "UTC", "require")


def test_open_webhooks_are_a_warning_when_all_is_ready() -> None:
    found = settings.warnings(settings.load({"DEMO": "0"}, None), Path("/nowhere"))
    text = ready.block(REAL, SERVERS, 1, list(found.values()))
    assert "WARNING" in text and "set WEBHOOK_SECRET" in text
    assert "WARNING" not in ready.block(REAL, SERVERS, 1)


def test_the_receiver_is_given_no_key_that_it_does_not_need() -> None:
    keys = {"AI_BASE_URL": "https://a", "AI_API_KEY": "hush", "AI_MODEL": "m", "SECRET_KEY": "hush" * 4}
    inherited = {"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "hush-key", "POSTGRES_PASSWORD": "hush", **keys}
    shared = environment.for_children(REAL, SERVERS, inherited, {"PGPASSWORD": "hush"})
    env = environment.for_one("receiver", shared, REAL)
    assert [name for name, value in env.items() if "hush" in value] == ["REDIS_URL"]
    found = settings.load(env, None, keys=False)
    assert (found.demo, found.qiscus_app_id, found.database_url, found.ai_api_key) == (False, "app", None, None)
    assert environment.for_one("worker", shared, REAL) == shared


def test_the_receiver_keeps_no_key_of_the_file_either(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "QISCUS_APP_ID=app\nQISCUS_SECRET_KEY=hush\nDATABASE_URL=postgresql://u:hush@h/d\nREDIS_URL=redis://h\n"
    )
    found = settings.load({}, tmp_path / ".env", keys=False)
    assert (found.demo, found.database_url, found.qiscus_secret_key) == (False, None, None)


def test_the_simulator_gets_the_secret_of_webhooks_but_not_as_an_argument() -> None:
    env = environment.for_one("simulator", {}, REAL)
    assert env == {environment.SIMULATOR_SECRET: "hush-hook-hush-hook"}
    assert environment.SIMULATOR_SECRET in (settings.ROOT / "scripts/simulator/__main__.py").read_text()
    assert "webhook-secret" not in (settings.ROOT / "scripts/launch/__main__.py").read_text()


def test_passwords_of_embedded_servers_are_shown_in_a_demo_and_else_where_they_are() -> None:
    text = ready.block(DEMO, SERVERS, tenants=1)
    assert SERVERS.redis_url in text and "giliran urls" not in text
    text = ready.block(REAL, SERVERS, tenants=1)
    assert "hush" not in text and "giliran urls" in text
    outer = replace(REAL, redis_url=SERVERS.redis_url, database_url=SERVERS.database_url)
    assert "giliran urls" not in ready.block(outer, SERVERS, tenants=1)


def test_children_of_a_real_installation_stay_out_of_the_demo() -> None:
    env = environment.for_children(REAL, SERVERS, {"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "k"}, {})
    assert settings.load(env, None).demo is False
    assert settings.load(env, None).data == Path(settings.ROOT / "var")
