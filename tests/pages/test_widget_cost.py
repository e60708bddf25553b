"""What a visitor of somebody's site costs who never opens the chat: its file and what it asks for, in CPU time."""

import gzip
import os
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from testbed.chathouse import Shop
from testbed.deadlines import eventually
from tests.variants import first_of

TICKS = os.sysconf("SC_CLK_TCK")
TIMES = 300
PACKED = {"Accept-Encoding": "gzip"}


def _cpu_ms(shop: Shop, path: str, headers: dict[str, str], status: int = 200) -> float:
    """Of the sidecar's process, for each of `TIMES` requests."""
    process = shop.home.sidecar.process
    assert process is not None
    spent = lambda: sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))  # noqa: E731
    with requests.Session() as http:
        asked = lambda: http.get(f"{shop.url}{path}", headers=headers, timeout=10)  # noqa: E731
        assert asked().status_code == status
        before = spent()
        for _ in range(TIMES):
            asked()
    return (spent() - before) * 1000 / TICKS / TIMES


@pytest.mark.parametrize(
    "path",
    first_of(
        [
            "/chat-widget.js",
            "/api/v1/public/desk?tenant_id=shop",
            "/api/v1/public/desk?tenant_id=nobody",
            "/api/v1/about",
        ]
    ),
)
def test_a_visitor_who_never_opens_the_chat_costs_next_to_nothing(shop, path):
    status = 404 if "nobody" in path else 200
    floor, cost = _cpu_ms(shop, "/healthz", PACKED), _cpu_ms(shop, path, PACKED, status)
    print(f"{path}: {cost:.2f} ms of CPU time a request, /healthz {floor:.2f}")
    assert cost <= 2 * floor + 0.5


def test_a_file_that_a_browser_has_already_costs_next_to_nothing(shop):
    tag = requests.get(f"{shop.url}/chat-widget.js", headers=PACKED, timeout=10).headers["ETag"]
    floor = _cpu_ms(shop, "/healthz", PACKED)
    cost = _cpu_ms(shop, "/chat-widget.js", {**PACKED, "If-None-Match": tag}, 304)
    print(f"304: {cost:.2f} ms of CPU time a request, /healthz {floor:.2f}")
    assert cost <= 2 * floor + 0.5


def test_the_file_is_kept_for_an_hour_and_packed_for_whoever_can_unpack_it(shop):
    def asked(**headers: str) -> requests.Response:
        return requests.get(f"{shop.url}/chat-widget.js", headers=headers, timeout=10, stream=True)

    plain, packed = asked(**{"Accept-Encoding": "identity"}), asked(**{"Accept-Encoding": "br, gzip;q=0.8"})
    text = plain.raw.read()
    assert gzip.decompress(packed.raw.read()) == text
    assert b"CallCenterChat" in text
    refuses = asked(**{"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in refuses.headers
    for one in (plain, packed):
        assert one.headers["Cache-Control"].startswith("public, max-age=3600")
        assert (one.headers["Vary"], one.headers["Content-Type"]) == (
            "Accept-Encoding",
            "text/javascript; charset=utf-8",
        )
    tag = plain.headers["ETag"]
    assert packed.headers["ETag"] == tag
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = asked(**{"If-None-Match": known})
        assert (again.status_code, again.headers["ETag"], again.raw.read()) == (304, tag, b"")
    assert asked(**{"If-None-Match": '"other"'}).status_code == 200
    head = requests.head(f"{shop.url}/chat-widget.js", timeout=10)
    assert (head.status_code, head.content) == (200, b"")


def test_the_line_is_as_it_was_a_second_ago_at_most(shop, agent):
    path = f"public/desk?tenant_id={shop.id}"
    waiting = lambda: shop.get(path)["waiting"]  # noqa: E731
    eventually(lambda: waiting() == 0, 5, "an empty line")
    shop.post("public/sessions", tenant_id=shop.id, name="Maya", email="maya@example.com")
    eventually(lambda: waiting() == 1, 1.5, "the newcomer")


def test_nothing_is_asked_for_before_somebody_opens_the_chat(opened, shop):
    asked: list[str] = []
    page = opened("/healthz")
    page.on("request", lambda request: asked.append(request.url.removeprefix(shop.url)))
    page.set_content(f"<body><script src='{shop.url}/chat-widget.js'></script></body>")
    page.evaluate("CallCenterChat.init({ tenantId: 'shop' })")
    expect(page.locator(".launcher")).to_be_visible()
    page.evaluate("() => fetch('/healthz').then(() => null)")  # whatever was on its way has been seen
    assert asked == ["/chat-widget.js", "/healthz"]
    page.locator(".launcher").click()
    expect(page.locator("#online-chip")).to_be_visible()
    assert asked[2:] == ["/api/v1/public/desk?tenant_id=shop"]
