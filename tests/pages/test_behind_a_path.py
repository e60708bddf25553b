"""The chat behind a path of somebody's site (`https://shop.example/chat/`): a proxy takes the path away."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from testbed import agentpages
from testbed.agentpages import Desk
from testbed.chathouse import Shop
from testbed.chatpages import PIXEL, Customer, sends_files
from testbed.deadlines import eventually
from testbed.prefixed import behind
from tests.variants import first_of


@pytest.fixture(scope="module")
def prefixed(home: Shop) -> Iterator[str]:
    with behind("/chat", home.home.sidecar.port) as address:
        yield address


def _watched(page: Page, prefixed: str) -> list[str]:
    """What was asked for elsewhere than below the path."""
    elsewhere: list[str] = []
    host = urlsplit(prefixed).netloc

    def look(url: str) -> None:
        where = urlsplit(url)
        if where.netloc == host and not where.path.startswith("/chat/"):
            elsewhere.append(url)

    page.on("request", lambda request: look(request.url))
    page.on("websocket", lambda socket: look(socket.url))
    return elsewhere


@pytest.mark.parametrize("given", first_of(["apiUrl", "apiUrl/", "where the file came from"]))
def test_the_widget_talks_below_the_path(opened, shop, agent, prefixed, given):
    page = opened(f"{prefixed}/healthz")
    elsewhere = _watched(page, prefixed)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.set_content(f"<body><script src='{prefixed}/chat-widget.js'></script></body>")
    api = {"apiUrl": prefixed, "apiUrl/": f"{prefixed}/"}.get(given)
    page.evaluate("apiUrl => CallCenterChat.init({ tenantId: 'shop', ...(apiUrl ? { apiUrl } : {}) })", api)
    page.locator(".launcher").click()
    page.get_by_label("Your name").fill("Maya Putri")
    page.get_by_label("E-mail").fill("maya@example.com")
    page.get_by_label("Your question").fill("Hello")
    with page.expect_response("**/public/sessions") as coming:
        page.locator("#start").click()
    room = coming.value.json()["session_id"]
    agent.picks(room)
    agent.says(room, "By the socket")
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "By the socket"])
    sends_files(page, {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL})
    picture = page.get_by_role("link", name="Open the picture dot.png").locator("img")
    eventually(lambda: picture.evaluate("img => img.naturalWidth") == 1, 5, "the picture")
    assert [urlsplit(url).path.startswith("/chat/ws/public/") for url in sockets] == [True]
    assert elsewhere == []


def test_the_customers_page_lives_below_the_path(opened, shop, agent, prefixed):
    page = opened(f"{prefixed}/")
    elsewhere = _watched(page, prefixed)
    page.reload()
    page.get_by_role("link", name="Chat as a customer").click()
    expect(page).to_have_url(f"{prefixed}/chat")
    customer = Customer(shop, page).starts()
    customer.expect_state("live")
    sent = customer.page.evaluate("JSON.parse(localStorage.getItem('giliran-chat-')).session_id")
    agent.picks(sent)
    agent.says(sent, "By the socket")
    expect(customer.bubbles()).to_have_text(["Hello", "By the socket"])
    sends_files(page, {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL})
    picture = page.get_by_role("link", name="Open the picture dot.png").locator("img")
    eventually(lambda: picture.evaluate("img => img.naturalWidth") == 1, 5, "the picture")
    drawn = (
        "[...document.querySelectorAll('use')].every(one => one.getBBox().width > 0 || !one.getClientRects().length)"
    )
    eventually(lambda: page.evaluate(drawn), 5, "every icon")
    assert elsewhere == []


@pytest.mark.long
def test_the_agents_page_lives_below_the_path(opened, shop, prefixed):
    customer = agentpages.Customer(shop, "Maya Putri", "Hello")
    customer.sends_file("dot.png", PIXEL, "image/png")
    page = opened(f"{prefixed}/agent")
    elsewhere = _watched(page, prefixed)
    page.reload()
    one = Desk(page, []).sign_in("agent@demo.com")
    one.expect_live()
    one.pick(customer)
    one.write("Good day")
    eventually(lambda: customer.bodies()[-1:] == ["Good day"], 5, "the reply")
    eventually(lambda: page.locator("#log .picture img").evaluate("img => img.naturalWidth") == 1, 5, "the picture")
    assert elsewhere == []


def test_the_demo_page_names_the_path_in_its_snippet(opened, prefixed):
    page = opened(f"{prefixed}/widget-demo.html")
    expect(page.locator("#snippet")).to_contain_text(f'<script src="{prefixed}/chat-widget.js"></script>')
    expect(page.locator("#snippet")).to_contain_text(f'apiUrl: "{prefixed}"')
    expect(page.locator(".launcher")).to_be_visible()
