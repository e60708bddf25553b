"""URLs: what the libraries would read otherwise than it was meant is refused, and no password is shown."""

import pytest
from psycopg2 import Error
from psycopg2.extensions import parse_dsn

import addresses
from settings import SettingsError, load
from tests.variants import each

TAIL = "hunter2"


def refused(name, url):
    with pytest.raises(SettingsError) as caught:
        load({name: url, "DEMO": "0"}, None)
    text = str(caught.value)
    assert text.startswith(name) and "\n" not in text and text.isprintable()
    assert TAIL not in text and "hunter" not in text
    return text


@each(
    "url",
    [
        "postgresql://u:pass@hunter2@h/d",
        "postgresql://u:%hunter2@h/d",
        "postgresql://u:hunter2%@h/d",
        "postgresql://u:hunter2%zz@h/d",
        "postgresql://u:a/hunter2@h/d",
        "postgresql://u:a/hunter2@h:5432/d?sslmode=require",
        "postgresql://u:a?hunter2=x/@h/d"[:0] + "postgresql://u:a/b?hunter=x@h/d",
        "postgresql://u:a b@h/d",
        "postgresql://u:a\tb@h/d",
        "postgresql://u:a@hunter2#@h/d",
        "postgresql://hunter2:x:y/d",
        "postgresql://u:p@h:hunter2/d",
        "postgresql://u:p@h:0/d",
        "postgresql://u:p@h:65536/d",
        "postgresql://u:p@[::1/d",
        "postgresql://u:p@h/d?hunter2",
        "postgresql://u:p@h/d?sslmod=require",
        "postgresql://u:p@h/d?sslmode",
        "postgresql://u:p@h/d?sslmode=a=b",
        "postgresql://",
        "postgresql:/h/d",
        "host=h password=hunter2",
        "mysql://u:hunter2@h/d",
    ],
)
def test_an_address_of_a_database_that_would_be_misread_is_refused_without_showing_it(url):
    refused("DATABASE_URL", url)


@each(
    "url",
    [
        "postgresql://h/d",
        "postgres://u:p@h:5432/d",
        "postgresql://u:p%40%25%2F@h/d",
        "postgresql://u:p?q@h/d",
        "postgresql://u:p#q@h/d",
        "postgresql://u:p:q@h/d",
        "postgresql://u:pässword@h/d",
        "postgresql:///d",
        "postgresql:///d?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/d",
        "postgresql://u@:5432/d",
        "postgresql://u:p@h1:5432,h2:5433/d?target_session_attrs=read-write",
        "postgresql://u:p@[::1]:5432/d",
        "postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://u:p@h/d?options=-csearch_path%3Dgiliran",
        "postgresql://h/d?user=a@b&password=x",
    ],
)
def test_what_libpq_takes_is_taken(url):
    parse_dsn(url)
    assert load({"DATABASE_URL": url}, None).database_url == url


def test_the_parameters_are_libpqs():
    for name in sorted(addresses.LIBPQ):
        parse_dsn(f"postgresql://h/d?{name}=x")
    with pytest.raises(Error):
        parse_dsn("postgresql://h/d?sslmod=x")


@each(
    "url",
    [
        "redis://h/abc",
        "redis://h/0x",
        "redis://h/-1",
        "redis://h/0/1",
        "redis://h/²",
        "redis://h?db=abc",
        "redis://h/1?db=2",
        "redis://:a/hunter2@h:6379/0",
        "redis://:a?hunter2@h:6379/0",
        "redis://:a?hunter=x@h:6379/0",
        "redis://:a#hunter2@h:6379/0",
        "redis://:p@h:hunter2/0",
        "redis://:p@[::1/0",
        "redis://:p@h /0",
        "redis://h/0?hunter=x@y",
        "redis://h/0?socket_timeot=1",
        "redis://h/0?decode_responses=true",
        "redis://h/0?ssl_cert_reqs=none",
        "unix:///run/r.sock?ssl_ca_certs=x",
        "rediss://h/0?ssl_cert_reqs=hunter2",
        "rediss://h/0?ssl_ca_certs",
        "unix://",
        "unix://run/redis.sock",
        "unix:///run/redis.sock?db=abc",
        "redis",
        "http://h:6379/0",
    ],
)
def test_an_address_of_redis_that_would_be_misread_is_refused_without_showing_it(url):
    refused("REDIS_URL", url)


@each(
    "url",
    [
        "redis://h",
        "redis://h/",
        "redis://h:6379/15",
        "redis://h?db=3",
        "redis://h/3?db=3",
        "redis://:p@[::1]:6379/0",
        "redis://u:p@ss%40@h:6379/0",
        "rediss://u:p@h:6380/0?ssl_cert_reqs=none",
        "rediss://h?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false",
        "unix:///run/redis.sock",
        "unix://u:p@/run/redis.sock?db=2",
        "unix:///run/redis.sock?password=p",
    ],
)
def test_what_the_client_of_redis_takes_is_taken(url):
    assert load({"REDIS_URL": url}, None).redis_url == url


LIVE = {"QISCUS_APP_ID": "app", "QISCUS_SECRET_KEY": "k"}
AI = {"AI_API_KEY": "k", "AI_MODEL": "m", "DEMO": "0"}


@each(("name", "beside"), [("QISCUS_OMNICHANNEL_URL", LIVE), ("AI_BASE_URL", AI)])
@each(
    "url",
    [
        "https://host?x=1",
        "https://host/?",
        "https://host#x",
        "https://u:hunter2@host",
        "https://hunter2@host",
        "https://host:port",
        "https://host:99999",
        "https://ho st",
        "https://host\\@evil",
        "https://",
        "https:host",
        "http://host",
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0:8000",
        "socks5://h",
    ],
)
def test_an_address_that_gets_a_key_has_no_extras_and_no_plain_http_beyond_this_machine(name, beside, url):
    with pytest.raises(SettingsError, match=name) as caught:
        load({**beside, name: url}, None)
    assert "hunter" not in str(caught.value)


@each("url", ["http://127.0.0.1:9000", "http://localhost:9000/api", "http://[::1]:9000", "https://h/x/"])
def test_plain_http_may_go_to_this_machine(url):
    assert load({**LIVE, "QISCUS_OMNICHANNEL_URL": url}, None).qiscus_url == url.rstrip("/")
    assert load({**AI, "AI_BASE_URL": url}, None).ai_base_url == url.rstrip("/")
