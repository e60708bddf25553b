"""The door's manners over HTTP: who is let in, what is answered. Redis is a stand-in that says what it is told to."""

import json
import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import settings
from db.inbox import ARRIVED, RESOLVED, InboxDown, digest
from db.push import Pushed, Sender, Webhook
from receiver.app import create_app
from receiver.payloads import Posted
from tests.variants import each

FOLDER = Path(__file__).parents[2] / "testbed" / "payloads"
CAA, SOLVED, ALIAS = "/allocate-agent/webhook", "/mark-as-solved/webhook", "/mark-as-resolved/webhook"
JSON = {"Content-Type": "application/json"}
ROOM = b'{"room_id": "7", "app_id": "shop"}'


class StandIn:
    """Takes the place of `receiver.door.Door`."""

    def __init__(self) -> None:
        self.says: Any = Pushed("queued", 3, None)
        self.came: list[tuple[Webhook, Sender]] = []

    def push(self, posted: Posted, sender: Sender) -> Pushed:
        self.came.append((posted.webhook, sender))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def ready(self) -> bool:
        if isinstance(self.says, Exception):
            raise self.says
        return bool(self.says)


class Installation:
    def __init__(self, **environ: str) -> None:
        given = {"DEMO": "0", "QISCUS_APP_ID": "main", "QISCUS_SECRET_KEY": "x", "REDIS_URL": "redis://nowhere"}
        given |= {"DATABASE_URL": "postgresql://nowhere", **environ}
        self.door = StandIn()
        self.http = create_app(settings.load(given, None), self.door).test_client()

    def post(self, path: str, body: bytes = ROOM, **more: Any) -> Any:
        return self.http.post(path, data=body, **{"headers": JSON, **more})

    def code(self, path: str, body: bytes = ROOM, **more: Any) -> tuple[int, str]:
        answer = self.post(path, body, **more)
        return answer.status_code, answer.json["error"]["code"]

    @property
    def tenant(self) -> str:
        return self.door.came[-1][1].tenant


@pytest.fixture
def here() -> Installation:
    return Installation()


@pytest.mark.parametrize("prefix", ["", "/shop", "/shop/", "/shop//"])
@pytest.mark.parametrize("end", ["", "/", "//"])
def test_both_webhooks_are_taken_at_the_root_and_under_the_app_id_with_and_without_a_slash(here, prefix, end):
    answer = here.post(f"{prefix}{CAA}{end}")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.json == {"status": "queued", "room_id": "7", "position": 3}
    here.door.says = Pushed("noted", None, None)
    for path in (SOLVED, ALIAS):
        answer = here.post(f"{prefix}{path}{end}", b'{"service": {"room_id": 7, "id": 5}}')
        assert answer.json == {"status": "noted", "room_id": "7", "position": None}
    assert [webhook.kind for webhook, _ in here.door.came] == [ARRIVED, RESOLVED, RESOLVED]


@pytest.mark.parametrize(
    ("path", "body", "tenant", "named"),
    [
        (f"/shop{CAA}", b'{"room_id": "7"}', "shop", True),
        (f"/shop{CAA}", ROOM, "shop", True),
        (CAA, ROOM, "shop", True),
        (CAA, b'{"room_id": "7", "app_code": "shop"}', "shop", True),
        (CAA, b'{"room_id": "7"}', "main", False),
        (SOLVED, b'{"service": {"room_id": "7"}}', "main", False),
        (f"/shop{SOLVED}", b'{"service": {"room_id": "7"}}', "shop", True),
    ],
)
def test_the_tenant_is_in_the_path_else_in_the_payload_else_the_installations_own(here, path, body, tenant, named):
    here.post(path, body)
    sender = here.door.came[0][1]
    assert (sender.tenant, sender.named) == (tenant, named)


def test_path_and_payload_that_disagree_are_refused_by_name(here):
    answer = here.post(f"/other{CAA}")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_payload")
    assert "app_id" in answer.json["error"]["message"]
    assert here.door.came == []


def test_without_a_tenant_of_its_own_an_installation_asks_for_the_app_id():
    native_only = Installation(QISCUS_APP_ID="", QISCUS_SECRET_KEY="")
    answer = native_only.post(SOLVED, b'{"service": {"room_id": "7"}}')
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_payload")
    assert "/<app_id>/mark-as-solved/webhook" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("says", "status", "code"),
    [
        (Pushed("unknown", None, None), 404, "unknown_app"),
        (Pushed("denied", None, None), 404, "not_found"),
        (Pushed("ambiguous", None, None), 400, "invalid_payload"),
        (Pushed("full", None, None), 503, "queue_unavailable"),
        (InboxDown("ConnectionError: gone"), 503, "queue_unavailable"),
        (RuntimeError("a bug that quotes hunter2"), 503, "queue_unavailable"),
    ],
)
def test_what_redis_refuses_is_said_in_the_contracts_words(here, says, status, code, caplog):
    here.door.says = says
    answer = here.post(CAA)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert "hunter2" not in answer.text + caplog.text


@pytest.mark.parametrize(("path", "status"), [(CAA, "queued"), (SOLVED, "noted")])
def test_a_webhook_that_no_tenant_is_known_for_yet_is_kept_and_answered_as_usual(here, path, status):
    here.door.says = Pushed("unsorted", None, None)
    answer = here.post(path, b'{"room_id": "7", "service": {"room_id": "7"}}')
    assert (answer.status_code, answer.json) == (200, {"status": status, "room_id": "7", "position": None})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", [CAA, f"/shop{ALIAS}/"])
def test_other_methods_are_refused_and_told_the_right_one(here, method, path):
    answer = here.http.open(path, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    if method != "HEAD":
        assert answer.json["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/allocate-agent", f"/a/b{CAA}", f"{CAA}/more", "/%00", "/é", "/%ff"]
    + [f"/a%2Fb{CAA}", "/" + "x" * 5000],
)
def test_other_addresses_are_not_found(here, path):
    assert here.code(path) == (404, "not_found")


@pytest.mark.parametrize("app_id", ["é", "%00", "%ff", "a b", "{shop}", "*", "a:b", "a%3Ab", "x" * 65])
def test_an_app_id_that_can_be_none_is_unknown(here, app_id):
    assert here.code(f"/{app_id}{CAA}") == (404, "unknown_app")
    assert here.door.came == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;x=y", "application/vnd.api+json"],
)
def test_any_kind_of_json_is_taken(here, content_type):
    assert here.post(CAA, headers={"Content-Type": content_type}).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"]
)
def test_anything_else_is_no_media_type(here, content_type):
    assert here.code(CAA, headers={"Content-Type": content_type}) == (415, "unsupported_media_type")
    assert here.code(CAA, headers={}) == (415, "unsupported_media_type")


def test_a_body_over_one_mebibyte_is_refused_before_it_is_read(here):
    unread = BytesIO(b"{}")
    environ = {"wsgi.input": unread, "CONTENT_LENGTH": str(1024 * 1024 + 1)}
    answer = here.http.post(CAA, headers=JSON, environ_overrides=environ)
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "payload_too_large")
    assert unread.tell() == 0


def test_a_body_of_one_mebibyte_is_read(here):
    filled = ROOM[:-1] + b', "x": "' + b"x" * (1024 * 1024 - len(ROOM) - 9) + b'"}'
    assert len(filled) == 1024 * 1024
    assert here.post(CAA, filled).status_code == 200


def test_a_body_shorter_than_announced_is_refused(here):
    environ = {"wsgi.input": BytesIO(ROOM), "CONTENT_LENGTH": str(len(ROOM) + 1)}
    answer = here.http.post(CAA, headers=JSON, environ_overrides=environ)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_json")
    assert here.door.came == []


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "٣", "9" * 500])
def test_a_length_that_is_none_is_refused(here, length):
    answer = here.http.post(CAA, headers=JSON, environ_overrides={"CONTENT_LENGTH": length})
    assert answer.status_code in (400, 413)
    assert here.door.came == []


def test_a_body_that_breaks_off_is_the_senders_fault(here):
    class Broken(BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError

    environ = {"wsgi.input": Broken(), "CONTENT_LENGTH": "5"}
    answer = here.http.post(CAA, headers=JSON, environ_overrides=environ)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "invalid_json")


SECRET = "s3cret-sécret-of-all"


@pytest.fixture
def guarded() -> Installation:
    return Installation(WEBHOOK_SECRET=SECRET)


def test_the_secret_is_taken_from_the_query_or_the_header(guarded):
    assert guarded.http.post(f"{CAA}?secret=s3cret-s%C3%A9cret-of-all", data=ROOM, headers=JSON).status_code == 200
    header = SECRET.encode().decode("latin-1")
    assert guarded.post(CAA, headers={**JSON, "X-Webhook-Secret": header}).status_code == 200
    assert [sender.installation_secret_ok for _, sender in guarded.door.came] == [True, True]
    assert all(digest(SECRET) in sender.secret_digests.split() for _, sender in guarded.door.came)


@each("written", ["+b/c=", "%2Bb%2Fc%3D", "%2bb/c%3D&x=1", "+b%2Fc="])
def test_a_plus_in_a_secret_may_be_written_as_it_is(written):
    secret = "abcdefghijklm+b/c="
    here = Installation(WEBHOOK_SECRET=secret)
    assert here.post(f"{CAA}?secret=abcdefghijklm{written}").status_code == 200
    assert [sender.installation_secret_ok for _, sender in here.door.came] == [True]
    assert here.code(f"{CAA}?secret=", headers={**JSON, "X-Webhook-Secret": ""}) == (404, "not_found")
    assert here.post(CAA, headers={**JSON, "X-Webhook-Secret": secret}).status_code == 200


@each("written", ["two+words+and+two+more", "two%20words%20and%20two%20more"])
def test_a_space_in_a_secret_may_be_written_both_ways(written):
    here = Installation(WEBHOOK_SECRET="two words and two more")
    here.post(f"{CAA}?secret={written}")
    assert [sender.installation_secret_ok for _, sender in here.door.came] == [True]


@pytest.mark.parametrize("query", ["", "?", "?secret=", "?other=1"])
def test_without_any_secret_nothing_is_found_here(guarded, query):
    for body in (ROOM, b"{", b""):
        assert guarded.code(f"{CAA}{query}", body) == (404, "not_found")
    assert guarded.door.came == []


def test_another_secret_may_be_a_tenants_own_and_redis_judges(guarded):
    guarded.door.says = Pushed("denied", None, None)
    for query in ("?secret=wrong", "?secret=%ff", "?secret=s3cret-s%C3%A9cret-of-all%20"):
        assert guarded.code(f"{CAA}{query}") == (404, "not_found")
    assert [sender.installation_secret_ok for _, sender in guarded.door.came] == [False] * 3
    assert guarded.door.came[0][1].secret_digests == digest("wrong")


def test_who_has_no_right_to_post_learns_no_tenants(guarded):
    guarded.door.says = Pushed("unknown", None, None)
    assert guarded.code(f"{CAA}?secret=wrong") == (404, "not_found")
    assert guarded.code(f"{CAA}?secret=s3cret-s%C3%A9cret-of-all") == (404, "unknown_app")


def test_an_open_installation_passes_on_what_was_given(here):
    here.post(f"{CAA}?secret=a")
    here.post(CAA)
    assert [(s.installation_secret_ok, s.secret_digests) for _, s in here.door.came] == [
        (True, digest("a")),
        (True, ""),
    ]


def test_the_room_of_the_answer_is_the_room_that_was_sent(here):
    room = '"\\</script>'
    assert here.post(CAA, json.dumps({"room_id": room}).encode()).json["room_id"] == room


def test_every_webhook_is_one_line_with_its_ids(here, caplog):
    caplog.set_level(logging.INFO)
    here.post(CAA)
    here.post(f"{CAA}?secret=hunter2", b'{"room_id": null, "app_id": "hunter2"}')
    lines = [record.getMessage() for record in caplog.records if record.name == "receiver"]
    assert lines == [
        "arrived status=queued tenant=shop room=7 position=3",
        "refused status=400 code=invalid_payload field=room_id",
    ]


@pytest.mark.parametrize(("says", "status"), [(True, 200), (False, 503), (InboxDown("gone"), 503)])
def test_ready_is_who_can_store_for_known_tenants(here, says, status):
    here.door.says = says
    assert here.http.get("/readyz").status_code == status
    assert here.http.get("/healthz").json == {"status": "alive"}
    assert here.http.head("/healthz").status_code == 200


def test_metrics_count_answers_by_status(here):
    here.post(CAA)
    here.post("/nothing")
    text = here.http.get("/metrics").text
    assert 'giliran_receiver_answers_total{status="200"}' in text
    assert 'giliran_receiver_answers_total{status="404"}' in text
