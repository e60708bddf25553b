"""The one reader of the environment: what it takes, what it refuses, and in which words."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest

import settings
from settings import NAMES, SettingsError, load, servers
from sidecar.__main__ import told
from tenant_ids import TENANT_ID
from tests.variants import each

LIVE = {"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "s3cret"}
SECRET = "hunter2hunter2hunter2"


def loaded(**given):
    return load(given, env_file=None)


def refusal(**given):
    with pytest.raises(SettingsError) as caught:
        loaded(**given)
    text = str(caught.value)
    assert text and "\n" not in text and text.isprintable()
    return text


# What holds without a word


def test_nothing_set_is_a_demo():
    found = loaded()
    assert (found.demo, found.host, found.port, found.sim_port, found.worker_port) == (
        True,
        "127.0.0.1",
        8000,
        8002,
        None,
    )
    assert (found.max_agent_chat, found.allocation_policy) == (2, "least_loaded")
    assert (found.retry_seconds, found.idle_seconds, found.log_level) == (30, 60, "INFO")
    assert (found.qiscus_app_id, found.qiscus_secret_key) == (settings.DEMO_APP_ID, settings.DEMO_SECRET_KEY)
    assert found.qiscus_url == "http://127.0.0.1:8002"
    assert found.data == settings.ROOT / "var" / "demo"


@each("given", [LIVE, {"DATABASE_URL": "postgresql://h/d"}, {"DEMO": "0"}])
def test_an_app_id_or_a_database_or_a_plain_0_is_no_demo(given):
    found = loaded(**given)
    assert (found.demo, found.host) == (False, "0.0.0.0")
    assert found.data == settings.ROOT / "var"
    assert found.qiscus_url == "https://omnichannel.qiscus.com"
    assert found.qiscus_secret_key != settings.DEMO_SECRET_KEY
    assert found.qiscus_app_id == given.get("QISCUS_APP_ID")


def test_a_demo_that_is_asked_for_never_talks_to_qiscus():
    found = loaded(DEMO="1", **LIVE, QISCUS_OMNICHANNEL_URL="https://omnichannel.qiscus.com", SIM_PORT="9002")
    assert (found.demo, found.qiscus_url, found.qiscus_app_id) == (True, "http://127.0.0.1:9002", settings.DEMO_APP_ID)
    assert found.qiscus_secret_key == settings.DEMO_SECRET_KEY


def test_a_demo_with_a_database_of_its_own_keeps_its_files_apart():
    assert loaded(DEMO="1", DATABASE_URL="postgresql://h/d", GILIRAN_DATA="/srv/g").data == Path("/srv/g/demo")


@each("name", NAMES)
def test_empty_means_unset(name):
    assert loaded(**{name: ""}) == loaded()


def test_the_real_environment_wins_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("PORT=9001\nIDLE_SECONDS=7\nQISCUS_APP_ID=\n")
    found = load({"PORT": "9000"}, file)
    assert (found.port, found.idle_seconds, found.demo) == (9000, 7, True)


def test_a_file_that_is_not_there_is_no_error(tmp_path):
    assert load({}, tmp_path / ".env") == loaded()


def test_the_file_does_not_change_the_process_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("IDLE_SECONDS", raising=False)
    (tmp_path / ".env").write_text("IDLE_SECONDS=7\n")
    load(None, tmp_path / ".env")
    assert "IDLE_SECONDS" not in settings.os.environ


@each(
    ("name", "field", "low", "high"),
    [
        ("PORT", "port", 1, 65535),
        ("CHAT_PORT", "chat_port", 1, 65535),
        ("SIM_PORT", "sim_port", 1, 65535),
        ("WORKER_PORT", "worker_port", 1, 65535),
        ("MAX_AGENT_CHAT", "max_agent_chat", 0, 1000),
        ("RETRY_SECONDS", "retry_seconds", 1, 3600),
        ("IDLE_SECONDS", "idle_seconds", 1, 86400),
        ("DESK_LAG_SECONDS", "desk_lag_seconds", 0, 60),
        ("KEEP_DAYS", "keep_days", 1, 36500),
        ("KEEP_CHATS_DAYS", "keep_chats_days", 0, 36500),
        ("REASSIGN_OFFLINE_SECONDS", "reassign_offline_seconds", 0, 86400),
        ("CUSTOMER_GONE_SECONDS", "customer_gone_seconds", 0, 86400),
        ("CUSTOMER_RETURN_SECONDS", "customer_return_seconds", 0, 604_800),
        ("SESSIONS_PER_MINUTE", "sessions_per_minute", 1, 1_000_000),
        ("MESSAGES_PER_SECOND", "messages_per_second", 1, 10_000),
        ("UPLOADS_PER_MINUTE", "uploads_per_minute", 1, 10_000),
        ("UPLOAD_MAX_MB", "upload_max_mb", 1, 1000),
        ("FILES_PER_TENANT_MB", "files_per_tenant_mb", 0, 100_000_000),
        ("SOCKETS_PER_ADDRESS", "sockets_per_address", 10, 1_000_000),
    ],
)
def test_numbers_hold_to_their_range(name, field, low, high):
    for value in (low, high):
        assert getattr(loaded(**{name: str(value)}), field) == value
    for value in (low - 1, high + 1):
        text = refusal(**{name: str(value)})
        assert name in text and str(low) in text and str(high) in text


# Nonsense


NUMBERS = ["PORT", "SIM_PORT", "WORKER_PORT", "MAX_AGENT_CHAT", "RETRY_SECONDS", "IDLE_SECONDS", "KEEP_DAYS"]


@each("name", NUMBERS)
@each("value", ["banana", "-1", "+1", "1e3", "1.0", "１", "²", " ", "1 2", "0x1", "3\n4", "9" * 400])
def test_what_is_no_number_is_refused_and_named(name, value):
    text = refusal(**{name: value})
    assert text.startswith(name)
    assert "whole number from" in text


@each("value", ["yes", "true", "2", " 1", "False", "on"])
def test_a_flag_is_0_or_1(value):
    text = refusal(DEMO=value)
    assert "DEMO" in text and "1 (yes)" in text


@each("name", ["ALLOCATION_POLICY", "LOG_LEVEL"])
@each("value", ["banana", "Least_Loaded", "info", " INFO", "least_loaded,round_robin"])
def test_a_choice_names_what_can_be_chosen(name, value):
    text = refusal(**{name: value})
    assert name in text
    for choice in settings.POLICIES if name == "ALLOCATION_POLICY" else settings.LOG_LEVELS:
        assert choice in text


@each("policy", settings.POLICIES)
def test_every_policy_can_be_chosen(policy):
    assert loaded(ALLOCATION_POLICY=policy).allocation_policy == policy


@each(
    ("name", "value"),
    [
        ("REDIS_URL", f"http://:{SECRET}@h:6379/0"),
        ("REDIS_URL", f"{SECRET}@h:6379"),
        ("REDIS_URL", f" redis://:{SECRET}@h"),
        ("DATABASE_URL", f"mysql://u:{SECRET}@h/d"),
        ("DATABASE_URL", f"host=h password={SECRET}"),
    ],
)
def test_an_address_of_another_kind_is_refused_without_showing_it(name, value):
    text = refusal(**{name: value})
    assert name in text and "://" in text
    assert SECRET not in text


@each("url", ["redis://h", "rediss://:p@h:6379/3", "unix:///run/redis.sock"])
def test_redis_may_be_plain_encrypted_or_a_socket(url):
    assert loaded(REDIS_URL=url).redis_url == url


@each("url", ["postgresql://u:p@h/d", "postgres://h/d"])
def test_both_spellings_of_postgresql_are_good(url):
    assert loaded(DATABASE_URL=url).database_url == url


def test_an_app_id_without_its_key_is_refused():
    text = refusal(QISCUS_APP_ID="app")
    assert "QISCUS_SECRET_KEY" in text and "QISCUS_APP_ID" in text


@each("value", ["omnichannel.qiscus.com", "ftp://x", "//x", "https://"])
def test_the_address_of_qiscus_is_an_http_one(value):
    assert "QISCUS_OMNICHANNEL_URL" in refusal(**LIVE, QISCUS_OMNICHANNEL_URL=value)


@each("name", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"])
@each("proxy", ["socks5://u:hunter2@p:1080", "socks5h://p", "SOCKS4://p"])
def test_a_proxy_that_calls_to_qiscus_cannot_use_is_refused(name, proxy):
    text = refusal(**LIVE, **{name: proxy})
    assert name in text and "NO_PROXY" in text and "hunter2" not in text
    assert loaded(**LIVE, **{name: proxy}, NO_PROXY="localhost,.qiscus.com").qiscus_app_id == "app"
    assert loaded(**LIVE, **{name: proxy}, no_proxy="*").qiscus_app_id == "app"
    assert loaded(**{name: proxy}).demo, "the simulator is on this machine"


def test_a_proxy_that_calls_to_qiscus_can_use_is_fine():
    assert loaded(**LIVE, HTTPS_PROXY="http://p:3128", ALL_PROXY="http://p:3128").qiscus_app_id == "app"


def test_the_address_of_qiscus_loses_its_last_slash():
    assert loaded(**LIVE, QISCUS_OMNICHANNEL_URL="https://x.example/").qiscus_url == "https://x.example"


def test_no_refusal_shows_a_secret():
    given = {
        **LIVE,
        "QISCUS_SECRET_KEY": SECRET,
        "WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": f"postgresql://u:{SECRET}@h/d",
    }
    for name in (*NUMBERS, "DEMO", "ALLOCATION_POLICY", "LOG_LEVEL", "QISCUS_OMNICHANNEL_URL", "REDIS_URL"):
        assert SECRET not in refusal(**{**given, name: "banana"})


# The two servers


def running(tmp_path, text):
    data = tmp_path / "demo"
    data.mkdir()
    (data / "servers.json").write_text(text)
    return loaded(GILIRAN_DATA=str(tmp_path))


def test_servers_come_from_the_environment():
    found = servers(loaded(DATABASE_URL="postgresql://h/d", REDIS_URL="redis://h"))
    assert (found.database_url, found.redis_url) == ("postgresql://h/d", "redis://h")


def test_servers_come_from_the_launcher_where_the_environment_names_none(tmp_path):
    told = {"database_url": "postgresql://l/d", "redis_url": "redis://l"}
    assert servers(running(tmp_path, json.dumps(told))).redis_url == "redis://l"


@pytest.mark.parametrize("text", ["", "{", "not json"])
def test_an_unreadable_note_of_the_launcher_is_said_in_one_line(tmp_path, text):
    with pytest.raises(SettingsError, match=r"servers\.json can't be read"):
        servers(running(tmp_path, text))


def test_servers_that_nobody_named_are_missed_by_name(tmp_path):
    with pytest.raises(SettingsError, match="REDIS_URL not set") as caught:
        servers(loaded(DATABASE_URL=f"postgresql://u:{SECRET}@h/d", GILIRAN_DATA=str(tmp_path)))
    assert SECRET not in str(caught.value) and "DATABASE_URL" not in str(caught.value)


# The chat


def test_sites_and_proxies_are_lists_with_commas():
    found = loaded(
        ALLOWED_ORIGINS=" https://Shop.example , http://a:8080/,https://b:443", TRUSTED_PROXIES="10.0.0.0/8, ::1"
    )
    assert found.allowed_origins == ("https://shop.example", "http://a:8080", "https://b")
    assert found.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert (loaded().allowed_origins, loaded().trusted_proxies) == ((), ())


def test_hooks_stay_out_of_private_networks_unless_that_is_said():
    assert (loaded().hooks_allow_private, loaded(HOOKS_ALLOW_PRIVATE="1").hooks_allow_private) == (False, True)
    assert "HOOKS_ALLOW_PRIVATE is 'yes': use 1 (yes) or 0 (no)" in refusal(HOOKS_ALLOW_PRIVATE="yes")


@each(
    "origin", ["*", "shop.example", "https://", "https://*.a", "https://a/b", "https://u@a", "ftp://a", "https://a:x"]
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin):
    text = refusal(ALLOWED_ORIGINS=f"https://good.example,{origin}")
    assert "ALLOWED_ORIGINS" in text and "https://host" in text


@each("proxy", ["proxy.internal", "10.0.0.0/40", "*", "10.0.0"])
def test_a_proxy_is_an_address_or_a_network(proxy):
    assert "TRUSTED_PROXIES" in refusal(TRUSTED_PROXIES=proxy)


@each("name", ["SECRET_KEY", "WEBHOOK_SECRET"])
@each("value", ["hunter2", "x", " ", "h" * 15])
def test_a_secret_that_can_be_guessed_is_refused_and_not_shown(name, value):
    text = refusal(**{name: value})
    assert name in text and "16 characters" in text and "hunter2" not in text


# Who can reach it


@each("host", ["0.0.0.0", "::", "[::]", "10.0.0.1", "chat.example.com", "2001:db8::1"])
def test_a_demo_is_open_to_others_only_where_that_is_said(host):
    text = refusal(HOST=host)
    assert "HOST" in text and "DEMO=1" in text
    assert loaded(HOST=host, DEMO="1").demo
    assert not loaded(HOST=host, DEMO="0").demo


@each("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_a_demo_may_listen_on_this_machine(host):
    assert loaded(HOST=host).host == host.strip("[]")


@each("host", ["0.0.0.0:8000", "[::]:8000", "http://h", "a b", "h/", "::x", " ::", "*", ":", "["])
def test_a_host_is_an_address_without_a_port(host):
    assert "HOST" in refusal(HOST=host, DEMO="0")


def test_who_leaves_the_door_open_is_warned(tmp_path):
    file = tmp_path / ".env"
    assert "WEBHOOK_SECRET" in settings.warnings(loaded(DEMO="0"), file)["webhooks_open"]
    assert settings.warnings(loaded(DEMO="0", WEBHOOK_SECRET=SECRET), file) == {}
    assert settings.warnings(loaded(), file) == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_who_lets_others_read_the_file_is_warned(tmp_path, mode):
    file = tmp_path / ".env"
    file.write_text("")
    file.chmod(mode)
    assert "chmod 600" in settings.warnings(loaded(), file)["env_file_readable"]
    file.chmod(0o600)
    assert settings.warnings(loaded(), file) == {}


def test_a_key_that_is_given_is_used(tmp_path):
    assert settings.secret_key(loaded(SECRET_KEY="k" * 16, GILIRAN_DATA=str(tmp_path))) == "k" * 16
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_nobody_gave_is_made_once_and_kept_for_this_user_alone(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: settings.secret_key(loaded(GILIRAN_DATA=str(tmp_path))), range(8)))
    (key,) = keys
    (file,) = (tmp_path / "demo").iterdir()
    assert len(key) >= 32
    assert (file.read_text().strip(), file.stat().st_mode & 0o777) == (key, 0o600)


def test_a_key_that_cannot_be_kept_is_said_in_one_line(tmp_path):
    (tmp_path / "demo").write_text("a file where a folder should be")
    with pytest.raises(SettingsError, match="set SECRET_KEY"):
        settings.secret_key(loaded(GILIRAN_DATA=str(tmp_path)))


def key_in(folder: str) -> str:
    return settings.secret_key(loaded(GILIRAN_DATA=folder))


@pytest.mark.long
def test_processes_that_start_together_have_the_same_key(tmp_path):
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number in range(20):  # of a pool whose processes wait for the next folder
            keys = set(pool.map(key_in, [str(tmp_path / str(number))] * 8))
            (file,) = (tmp_path / str(number) / "demo").iterdir()
            assert keys == {file.read_text().strip()}


@pytest.mark.parametrize("kept", [b"", b"\n", b"hunter2\n", b"\xff" * 40], ids=["empty", "blank", "short", "no text"])
def test_a_kept_key_that_is_damaged_is_refused_and_not_shown(tmp_path, kept):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "secret_key").write_bytes(kept)
    with pytest.raises(SettingsError, match="secret_key .*remove it, or set SECRET_KEY") as refused:
        key_in(str(tmp_path))
    assert "hunter2" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_sidecar_is_told_the_key_that_is_given_or_kept(tmp_path):
    nowhere, folder = settings.Servers("postgresql://x", "redis://x"), str(tmp_path)
    assert told(loaded(SECRET_KEY="k" * 16, GILIRAN_DATA=folder), nowhere, "id").secret_key == "k" * 16
    made = told(loaded(GILIRAN_DATA=folder), nowhere, "id")
    assert made.secret_key == key_in(folder) and key_in(folder) not in repr(made)


@each("given", ["AI_BASE_URL", "AI_API_KEY", "AI_MODEL"])
def test_an_ai_is_named_whole_or_not_at_all(given):
    ai = {"AI_BASE_URL": "https://ai.example/v1/", "AI_API_KEY": SECRET, "AI_MODEL": "m"}
    assert loaded(**ai).ai_base_url == "https://ai.example/v1"
    text = refusal(**{given: ai[given]})
    assert SECRET not in text and all(name in text for name in ai)


# What is taken though it is nonsense


@each("given", [{"REDIS_URL": "redis"}, {"DATABASE_URL": "postgresql"}, {"DATABASE_URL": "postgres"}])
def test_a_word_is_no_address(given):
    refusal(**given)


def test_a_password_in_the_address_of_qiscus_is_not_shown():
    assert SECRET not in refusal(**LIVE, QISCUS_OMNICHANNEL_URL=f"ftp://u:{SECRET}@h")


def test_a_number_of_any_length_is_refused_in_our_words():
    refusal(PORT="9" * 5000)


def test_a_file_that_is_no_text_is_refused_in_one_line(tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    with pytest.raises(SettingsError):
        load({}, tmp_path / ".env")


def test_a_note_of_the_launcher_that_is_no_object_is_said_in_one_line(tmp_path):
    with pytest.raises(SettingsError):
        servers(running(tmp_path, "[]"))


@each("key", ["two words", "schlüssel", "a\u200bb"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key):
    assert key not in refusal(QISCUS_APP_ID="app", QISCUS_SECRET_KEY=key)


def test_settings_printed_by_mistake_show_no_secret():
    shown = repr(loaded(QISCUS_APP_ID="app", QISCUS_SECRET_KEY=SECRET, WEBHOOK_SECRET=SECRET, SECRET_KEY=SECRET * 4))
    assert SECRET not in shown


def test_a_secret_with_a_dollar_sign_in_the_file_stays_whole(tmp_path):
    (tmp_path / ".env").write_text("WEBHOOK_SECRET=a${b}cdefghijklmnop\n")
    assert load({}, tmp_path / ".env").webhook_secret == "a${b}cdefghijklmnop"


@each("app_id", ["a:b", "a b", "é", "x" * 65, "a/b", "{a}"])
def test_an_app_id_that_no_tenant_can_have_is_refused(app_id):
    with pytest.raises(SettingsError, match=r"^QISCUS_APP_ID is .*: use 1 to 64 letters, digits and _ \. @ -$"):
        settings.load({"QISCUS_APP_ID": app_id, "QISCUS_SECRET_KEY": "x"}, None)


def test_the_schema_has_the_same_grammar_of_an_id():
    schema = (settings.ROOT / "db" / "schema.sql").read_text()
    assert f"NEW.id !~ '^{TENANT_ID.pattern}$'" in schema
