"""Whatever is posted to either webhook: never a 500, and what got a 200 is in the inbox, from there in the ledger."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.inbox import ARRIVED, RESOLVED, key
from tests.receivers import CAA, SOLVED, Gunicorn, gunicorn
from tests.services.line_of import TENANT, Line

PAYLOADS = Path(__file__).parents[2] / "testbed" / "payloads"
REAL = [
    {**json.loads((PAYLOADS / f"webhook_{name}.json").read_text()), "app_id": TENANT}
    for name in ("caa_modern", "mark_as_resolved")
]
BOTH = {**REAL[0], **REAL[1]}  # fits either address
STATUSES = {200, 400, 404, 405, 413, 415}
LONG, PIECES = 100_000, 50
DRAIN_EVERY = 400  # accepted webhooks
GROWTH_KB = 30_000

ROOMS = (
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
    | st.integers(0, 10**64 - 1)
    | st.sampled_from([*range(20), "7", "a:b", '"\\', "{x}", "*"])
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70) | st.just(10**70)
JSON = st.recursive(
    SCALARS | ROOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SERVICES = st.fixed_dictionaries(
    {"room_id": ROOMS}, optional={"id": st.integers(0, 2**64) | JSON, "is_resolved": st.booleans() | JSON}
)
FIELDS = {
    "room_id": ROOMS | ROOMS | JSON,
    "service": SERVICES | SERVICES | JSON,
    "latest_service": SERVICES | JSON,
    "app_id": st.sampled_from([TENANT, None, "other", "a:b"]) | JSON,
    "app_code": st.sampled_from([TENANT, None]) | JSON,
    "channel": st.fixed_dictionaries({}, optional={"id": JSON}) | JSON,
    "source": JSON,
    "extras": JSON,
    "name": st.text(st.characters(codec=None), max_size=20),
}
CHANGES = st.lists(st.sampled_from(["room_id", "service", *FIELDS]), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)
PATHS = st.sampled_from(
    [f"/{TENANT}{CAA}", f"/{TENANT}{SOLVED}", f"/{TENANT}/mark-as-resolved/webhook/", CAA, SOLVED] * 2
    + [f"//{TENANT}/{CAA}?x=1", f"/other{CAA}", f"/a:b{SOLVED}", f"/{TENANT}{CAA}?secret=%ff+%00"]
)
TYPES = st.sampled_from(["application/json"] * 12 + ["Application/JSON; charset=x", "text/plain", "", "a/b+json"])


class Post(NamedTuple):
    method: str
    path: str
    content_type: str
    body: bytes


@st.composite
def posts(draw: st.DrawFn) -> Post:
    base = draw(st.sampled_from([BOTH, BOTH, *REAL, {}]))
    payload: Any = {**base, **draw(CHANGES)} if draw(st.integers(0, 19)) else draw(JSON)
    text = json.dumps(payload, ensure_ascii=draw(st.booleans()))
    body = text.encode(draw(st.sampled_from(["utf-8"] * 9 + ["utf-16"])), "surrogatepass")
    damage = draw(st.integers(0, 19))
    if damage == 0:
        body = draw(st.binary(max_size=100))
    elif damage == 1:
        body = body[: draw(st.integers(0, len(body)))]
    elif damage == 2:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=4)) + body[at:]
    method = draw(st.sampled_from(["POST"] * 19 + ["PUT"]))
    return Post(method, draw(PATHS), draw(TYPES), body)


class Fuzz:
    """Posts one after the other over one connection, and looks what became of each."""

    def __init__(self, receiver: Gunicorn, line: Line) -> None:
        self._receiver, self._line = receiver, line
        self._http = http.client.HTTPConnection(receiver.address, receiver.port, timeout=30)
        self._arrived: set[str] = set()
        self._resolved: set[str] = set()
        self._seen = "0"
        self.taken = 0

    def post(self, post: Post) -> None:
        self._http.request(post.method, post.path, post.body, {"Content-Type": post.content_type})
        answer = self._http.getresponse()
        said = json.loads(answer.read())
        assert answer.status in STATUSES, said
        entries = self._line.redis.xrange(key(TENANT, "inbox"), min=f"({self._seen}")
        if answer.status != 200:
            assert set(said["error"]) == {"code", "message"}
            assert entries == []
            return
        ((self._seen, fields),) = entries
        self._check(post, said, fields)
        self.taken += 1
        if self.taken % DRAIN_EVERY == 0:
            self.drain()

    def _check(self, post: Post, said: dict[str, Any], fields: dict[str, str]) -> None:
        """The same rules, written down once more."""
        kind = ARRIVED if "allocate" in post.path else RESOLVED
        payload = read(post.body)
        room = payload["room_id"] if kind == ARRIVED else payload["service"]["room_id"]
        assert type(room) in (str, int)
        assert re.fullmatch(r"[!-~]{1,64}", str(room))
        assert said["room_id"] == str(room)
        assert said["status"] in (("noted",) if kind == RESOLVED else ("queued", "already_waiting", "already_assigned"))
        assert (said["position"] is None) == (said["status"] in ("noted", "already_assigned"))
        assert (fields["tenant"], fields["kind"], fields["room"]) == (TENANT, kind, str(room))
        for number in (fields["latest"], fields["service"]):
            assert number == "" or (number.isdigit() and int(number) < 2**63)
        proof = payload.get("latest_service")
        assert fields["latest"] == "" or (proof["is_resolved"] is True and int(fields["latest"]) == int(proof["id"]))
        (self._arrived if kind == ARRIVED else self._resolved).add(str(room))

    def memory_kb(self) -> int:
        """Of all the receiver's processes."""
        main = self._receiver.process.pid
        pids = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in [main, *pids]]
        return sum(int(text.partition("VmRSS:")[2].split()[0]) for text in texts)

    def drain(self) -> None:
        """What a worker does: the inbox is empty afterwards, nothing was refused, whoever has only arrived waits."""
        size = self._line.redis.xlen(key(TENANT, "inbox"))
        for _ in range(size // 100 + 2):
            self._line.decide()
        assert self._line.redis.xlen(key(TENANT, "inbox")) == 0
        assert self._line.rows("SELECT * FROM refused") == []
        known = {row.room for row in self._line.rows("SELECT DISTINCT room FROM visits")}
        assert self._arrived - self._resolved - known == set()


def read(body: bytes) -> Any:
    text = body.decode(json.detect_encoding(body), "replace")
    return json.loads(text)


@pytest.fixture
def fuzz(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Fuzz]:
    line = Line(database_url, redis_url)
    try:
        with gunicorn(tmp_path, redis_url, QISCUS_APP_ID=TENANT) as receiver:
            yield Fuzz(receiver, line)
    finally:
        line.close()


def run(fuzz: Fuzz, number: int) -> None:
    @settings(max_examples=number, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(posts())
    def one(post: Post) -> None:
        fuzz.post(post)

    one()
    fuzz.drain()
    assert fuzz.taken > number / 20


def test_whatever_is_posted_is_stored_as_it_was_meant_or_refused(fuzz: Fuzz) -> None:
    run(fuzz, 300)


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_a_hundred_thousand_posts_leave_nothing_stuck_and_the_memory_as_it_was(fuzz: Fuzz) -> None:
    """In pieces: Hypothesis remembers every example of a run, and is slower with each."""
    run(fuzz, LONG // PIECES)
    before = fuzz.memory_kb()
    for _ in range(PIECES - 1):
        run(fuzz, LONG // PIECES)
    assert fuzz.memory_kb() - before < GROWTH_KB
