"""The customer's page, the widget and the small pages in a real Chromium, with a real sidecar; the agent comes by REST.

Screenshots go to the test's own folder (`pytest --basetemp=…` keeps them where you want).
"""

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, WebSocketRoute, expect

from tests.chathouse import Shop, page_shop
from tests.chromium import VIOLATIONS
from tests.deadlines import eventually
from tests.servers import free_port

DESK, PHONE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}, {"width": 360, "height": 740}
ROOT = Path(__file__).resolve().parents[2]
KIOSK = "kiosk"  # a tenant with a bot
HOURS = ("What are your opening hours?", "We are open from 9 to 6.")
SOCKET = re.compile("/ws/public/")
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6260010000"
    "00ffff03000006000557bfabd40000000049454e44ae426082"
)
# Every text that can be seen, with its own and its nearest solid background: pairs below AA (4.5, large text 3).
FAINT = """root => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = (top, under) => top.slice(0, 3).map((part, i) => part * top[3] + under[i] * (1 - top[3]));
  const linear = part => (part / 255 <= .04045 ? part / 255 / 12.92 : ((part / 255 + .055) / 1.055) ** 2.4);
  const light = rgb => rgb.map(linear).reduce((sum, part, i) => sum + part * [.2126, .7152, .0722][i], 0);
  const up = node => node.parentElement ?? node.getRootNode().host;
  const ground = node => { const layers = [];
    for (let at = node; at; at = up(at)) {
      const colour = rgba(getComputedStyle(at).backgroundColor); layers.push(colour); if (colour[3] > .99) break; }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]); };
  const shadows = [...document.querySelectorAll('*')].map(node => node.shadowRoot).filter(Boolean);
  const places = [document.body, ...shadows];
  const found = [];
  for (const place of places) {
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
      if (!text || !node || !node.checkVisibility?.({ checkOpacity: true, checkVisibilityCSS: true })) continue;
      const style = getComputedStyle(node);
      let under = ground(node), ink = over(rgba(style.color), under);
      for (let at = node; at; at = up(at)) {
        const dim = Number(getComputedStyle(at).opacity), behind = dim < 1 && up(at) ? ground(up(at)) : null;
        if (behind) [under, ink] = [under, ink].map(colour => over([...colour, dim], behind)); }
      if (node.closest('.unseen, .skip, script, style, :disabled, [aria-disabled=true]')) continue;
      if (/\\p{Extended_Pictographic}/u.test(text)) continue;
      const [high, low] = [light(ink), light(under)].sort((a, b) => b - a), ratio = (high + .05) / (low + .05);
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
  }
  return found; }"""


# What a screen reader would say: every text that is put into a live region of the page or of a shadow root.
LISTEN = """window.heard = [];
const isLive = node => { for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) {
  const live = at.ariaLive ?? (at.role === 'status' || at.role === 'log' ? 'polite' : null);
  if (live) return live !== 'off'; } return false; };
const listener = new MutationObserver(changes => { for (const { target, addedNodes, type } of changes) {
  if (!isLive(target.nodeType === 1 ? target : target.parentElement)) continue;
  heard.push(...(type === 'characterData' ? [target] : [...addedNodes]).map(node => node.textContent.trim())); } });
const listenTo = root => listener.observe(root, { childList: true, subtree: true, characterData: true });
listenTo(document);
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (how) { const root = attach.call(this, how); listenTo(root); return root; };
"""


def heard(page: Page, part: str) -> list[str]:
    return page.evaluate("part => heard.filter(text => text.includes(part))", part)


class Customer:
    """One page of a customer."""

    def __init__(self, shop: Shop, page: Page) -> None:
        self.shop, self.page = shop, page

    def starts(self, name: str = "Maya Putri", message: str = "Hello", email: str = "") -> "Customer":
        self.page.locator("#name").fill(name)
        self.page.locator("#email").fill(email or f"{secrets.token_hex(4)}@example.com")
        if message:
            self.page.locator("#question").fill(message)
        self.page.locator("#start").click()
        expect(self.page.locator("#chat-view")).to_be_visible()
        return self

    @property
    def kept(self) -> dict[str, str]:
        return json.loads(self.page.evaluate("localStorage.getItem('giliran-chat-shop')"))

    @property
    def id(self) -> str:
        return self.kept["session_id"]

    def stored(self) -> list[dict[str, Any]]:
        """The rows as a fresh fetch has them, without happenings."""
        rows = self.shop.get(f"public/sessions/{self.kept['session_key']}")["messages"]
        return [row for row in rows if row["sender_type"] != "system"]

    def writes(self, text: str) -> None:
        self.page.locator("#text").fill(text)
        self.page.locator("#text").press("Enter")

    def asks_for(self, entry: str) -> None:
        """One of the menu."""
        self.page.locator("#menu-button").click()
        self.page.get_by_role("menuitem", name=entry).click()

    def bubbles(self) -> Any:
        return self.page.locator("#log .bubble")

    def expect_state(self, state: str, within_s: float = 20) -> None:
        expect(self.page.locator("#live")).to_have_attribute("data-state", state, timeout=within_s * 1000)


class Agent:
    """Works by REST, and over a socket where only that will do."""

    def __init__(self, shop: Shop, email: str = "agent@demo.com") -> None:
        self._shop, self._email = shop, email
        self.token = shop.staff_token(email)

    def does(self, method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self._shop.url}/api/v1/{path}", json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else {}

    def picks(self, room: str) -> None:
        self.does("POST", f"queue/{room}/pick")

    def says(self, room: str, body: str) -> None:
        self.does("POST", f"sessions/{room}/messages", body=body, client_id=secrets.token_hex(8))

    def wishes(self, presence: str) -> None:
        self.does("PUT", "me/presence", presence=presence)

    def online(self, browser: Browser) -> Page:
        """A socket of the agent, in a page of its own; `page.evaluate("tell(type, payload)")` sends."""
        page = browser.new_context().new_page()
        page.goto(f"{self._shop.url}/healthz")
        page.evaluate(
            """token => new Promise(done => { window.heard = [];
              const socket = new WebSocket(`ws://${location.host}/ws`);
              socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', payload: { token } }));
              window.tell = (type, payload) => socket.send(JSON.stringify({ type, payload }));
              socket.onmessage = ({ data }) => { const frame = JSON.parse(data); heard.push(frame);
                if (frame.type === 'auth.ok') done(); }; })""",
            self.token,
        )
        return page


class Gate:
    """Every socket of a page goes through it. Shut: none is opened any more; `drop` ends the present ones."""

    def __init__(self, page: Page) -> None:
        self.is_shut = False
        self.swallow: Callable[[str], bool] = lambda text: False  # frames of the server that get lost
        self._open: list[WebSocketRoute] = []
        page.route_web_socket(SOCKET, self._route)

    def _route(self, socket: WebSocketRoute) -> None:
        if self.is_shut:
            socket.close(code=1011)
            return
        self._open.append(socket)
        server = socket.connect_to_server()
        server.on_message(lambda text: None if self.swallow(str(text)) else socket.send(text))

    def drop(self) -> None:
        for socket in self._open:
            socket.close(code=1011)
        self._open.clear()

    def shut(self) -> None:
        self.is_shut = True
        self.drop()

    def open(self) -> None:
        self.is_shut = False


def _is_wrong(said: ConsoleMessage) -> bool:
    return said.type == "error" and not any(word in said.text for word in ("net::", "status of", "WebSocket", "CORS"))


@pytest.fixture(scope="module")
def site_port() -> int:
    """Of somebody's site, which may use the widget."""
    return free_port()


@pytest.fixture(scope="module")
def home(_databases, _redis_databases, site_port) -> Iterator[Shop]:
    origin = f"http://127.0.0.1:{site_port}"
    with page_shop(_databases, _redis_databases, ALLOWED_ORIGINS=origin, UPLOAD_MAX_MB="1") as made:
        made.home.new_shop("Kiosk", tenant=KIOSK)
        made.home.run("INSERT INTO faq (tenant, question, answer) VALUES (%s, %s, %s)", KIOSK, *HOURS)
        yield made


@pytest.fixture
def shop(home: Shop) -> Shop:
    home.empty()
    return home


@pytest.fixture
def opened(browser: Browser, shop: Shop) -> Iterator[Callable[..., Page]]:
    """`opened("/chat?tenant=shop")`: a page. An exception, a broken policy or an error on the console fails the test;
    what the browser says of the network does not count."""
    contexts, pages, wrong = [], [], []

    def made(path: str, context: Any = None, **options: Any) -> Page:
        if context is None:
            context = browser.new_context(**{"locale": "en-GB", "viewport": DESK, **options})
            context.add_init_script(VIOLATIONS)
            contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        pages.append(page)
        page.goto(path if path.startswith("http") else f"{shop.url}{path}")
        return page

    yield made
    violations = [page.evaluate("window.violations ?? []") for page in pages if not page.is_closed()]
    for context in contexts:
        context.close()
    assert wrong == []
    assert [one for one in violations if one] == []


@pytest.fixture
def customer(opened: Callable[..., Page], shop: Shop) -> Callable[..., Customer]:
    def made(**options: Any) -> Customer:
        page = opened("/chat?tenant=shop", **options)
        expect(page.locator("#start-view")).to_be_visible()
        return Customer(shop, page)

    return made


@pytest.fixture
def agent(shop: Shop) -> Agent:
    return Agent(shop)


# --- a chat from its start to its rating


def test_a_customer_starts_is_answered_ends_and_rates(customer, agent, shop):
    maya = customer().starts("Maya Putri", "Where is my order?")
    expect(maya.bubbles()).to_have_text(["Where is my order?"])
    agent.picks(maya.id)
    expect(maya.page.locator("#who")).to_have_text("Ani Lestari")
    expect(maya.page.locator("#log .happening").last).to_contain_text("Ani Lestari joined the chat")
    agent.says(maya.id, "On its way")
    maya.writes("Thank you")
    expect(maya.bubbles()).to_have_text(["Where is my order?", "On its way", "Thank you"])
    maya.page.locator("#menu-button").click()
    maya.page.get_by_role("menuitem", name="End the chat").click()
    maya.page.get_by_role("dialog").get_by_role("button", name="End the chat").click()
    expect(maya.page.locator("#log .happening").last).to_contain_text("You ended the chat")
    maya.page.get_by_role("radio", name="4 stars").check(force=True)
    maya.page.locator("#comment").fill("Quick")
    maya.page.get_by_role("button", name="Send the rating").click()
    expect(maya.page.locator("#rated")).to_be_visible()
    told = agent.does("GET", f"sessions/{maya.id}")
    told = told.get("session", told)
    assert (told["status"], told["rating"], told["rating_comment"]) == ("ended", 4, "Quick")
    maya.page.reload()
    expect(maya.page.locator("#rated")).to_be_visible()


def test_the_place_in_line_counts_down_live(customer, agent, browser):
    waiting = [customer().starts(f"Customer {n}") for n in range(1, 4)]
    socket = agent.online(browser)
    for page in [one.page for one in waiting]:
        page.reload()  # somebody is online now: the line is shown, not the away form
    expect(waiting[2].page.locator("#place-number")).to_have_text("3")
    agent.picks(waiting[0].id)
    expect(waiting[2].page.locator("#place-number")).to_have_text("2")
    expect(waiting[1].page.locator("#place-title")).to_have_text("You're next")
    agent.picks(waiting[1].id)
    expect(waiting[2].page.locator("#place-title")).to_have_text("You're next")
    socket.context.close()


def test_marks_say_sent_delivered_and_read(customer, agent, browser):
    maya = customer().starts(message="Hello")
    mark = maya.page.locator("#log .mark").last
    expect(mark).to_have_attribute("data-mark", "sent")
    agent.picks(maya.id)
    socket = agent.online(browser)
    socket.evaluate("id => tell('chat.message.delivered', { session_id: id, up_to_seq: 2 })", maya.id)
    expect(mark).to_have_attribute("data-mark", "delivered")
    socket.evaluate("id => tell('chat.message.read', { session_id: id, up_to_seq: 2 })", maya.id)
    expect(mark).to_have_attribute("data-mark", "read")
    maya.page.reload()
    expect(mark).to_have_attribute("data-mark", "read")
    socket.context.close()


def test_both_sides_see_that_the_other_writes(customer, agent, browser):
    maya = customer().starts(message="Hello")
    agent.picks(maya.id)
    socket = agent.online(browser)
    socket.evaluate("id => tell('chat.typing', { session_id: id, is_typing: true })", maya.id)
    expect(maya.page.locator("#typing")).to_contain_text("Ani Lestari is writing")
    socket.evaluate("id => tell('chat.typing', { session_id: id, is_typing: false })", maya.id)
    expect(maya.page.locator("#typing")).to_have_text("")
    maya.page.locator("#text").press_sequentially("Hm")
    socket.wait_for_function("heard.some(({ type, payload }) => type === 'chat.typing' && payload.is_typing)")
    agent.says(maya.id, "Yes?")
    expect(maya.bubbles().last).to_have_text("Yes?")
    socket.wait_for_function(
        "heard.some(({ type, payload }) => type === 'chat.message.read' && payload.by === 'customer')"
    )
    socket.context.close()


def test_where_nobody_is_online_the_question_is_asked_for_and_kept(customer):
    maya = customer()
    expect(maya.page.locator("#online-chip")).to_contain_text("We're away")
    maya.page.locator("#name").fill("Maya")
    maya.page.locator("#email").fill("maya@example.com")
    maya.page.locator("#start").click()
    expect(maya.page.locator("#question-wrong")).to_have_text("Please write what it is about.")
    expect(maya.page.locator("#question")).to_be_focused()
    maya.starts(message="Please call me about order 10234")
    expect(maya.page.locator("#away-card")).to_contain_text("You keep place 1")
    expect(maya.bubbles()).to_have_text(["Please call me about order 10234"])


def test_the_away_form_comes_when_the_last_agent_leaves_and_never_takes_what_was_typed(customer, agent, browser):
    socket = agent.online(browser)
    maya, form = customer().starts(message=""), "#away-form"
    expect(maya.page.locator("#line-card")).to_be_visible()
    agent.wishes("away")
    expect(maya.page.get_by_role("heading", name="Nobody is online right now")).to_be_visible()
    expect(maya.page.locator("#composer")).to_be_hidden()
    expect(maya.page.locator("#away-text")).to_be_focused()
    agent.wishes("online")
    expect(maya.page.locator(form)).to_be_hidden()
    expect(maya.page.locator("#text")).to_be_focused()
    maya.page.locator("#text").fill("Half a")
    agent.wishes("away")
    expect(maya.page.locator("#away-card")).to_be_visible()
    expect(maya.page.locator("#text")).to_be_visible()
    maya.page.locator("#text").fill("")
    agent.wishes("online")
    expect(maya.page.locator("#away-card")).to_be_hidden()
    agent.wishes("away")
    maya.page.locator("#away-text").fill("Please call me")
    agent.wishes("online")
    expect(maya.page.get_by_role("heading", name="Somebody is here now")).to_be_visible()
    expect(maya.page.locator("#away-text")).to_have_value("Please call me")
    maya.page.reload()
    expect(maya.page.locator("#away-text")).to_have_value("Please call me")
    maya.page.get_by_role("button", name="Leave the message").click()
    expect(maya.page.locator("#text")).to_be_focused()
    expect(maya.bubbles()).to_have_text(["Please call me"])
    socket.context.close()


def test_a_form_that_is_not_filled_in_says_what_is_missing(customer):
    page = customer().page
    page.locator("#start").click()
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#name-wrong")).to_have_text("Please tell us your name.")
    expect(page.locator("#email")).to_have_attribute("aria-invalid", "true")
    page.locator("#name").fill("Maya")
    expect(page.locator("#name-wrong")).to_be_hidden()


def test_a_wrong_address_says_so(opened):
    page = opened("/chat?tenant=nobody")
    expect(page.get_by_role("alert")).to_have_text("There is no chat at this address. Please check the link.")
    expect(page.locator("#name")).to_be_hidden()


def test_a_chat_that_can_not_be_reached_says_so_and_comes_by_itself_or_by_the_button(customer):
    maya = customer().starts()
    fetches = "**/public/sessions/*?after=*"
    for comes_by_button in (True, False):
        maya.page.route(fetches, lambda route: route.abort())
        maya.page.reload()
        expect(maya.page.get_by_text("The chat can't be reached at the moment.")).to_be_visible()
        maya.page.unroute(fetches)
        if comes_by_button:
            maya.page.get_by_role("button", name="Try now").click()
        expect(maya.bubbles()).to_have_text(["Hello"], timeout=20_000)


def test_the_bot_looks_different_and_a_person_can_be_asked_for(opened, shop):
    maya = Customer(shop, opened(f"/chat?tenant={KIOSK}")).starts(message=HOURS[0])
    bot = maya.page.locator("#log .message.bot")
    expect(bot).to_contain_text("automatic answer")
    expect(bot).to_contain_text(HOURS[1])
    maya.page.get_by_role("button", name="Talk to a person").click()
    expect(maya.page.get_by_text("You asked for a person")).to_be_visible()
    expect(bot.last).to_contain_text("I will be quiet")
    expect(maya.page.get_by_role("button", name="Talk to a person")).to_be_hidden()


def test_a_transcript_can_be_taken_along(customer, agent):
    maya = customer().starts(message="Hello")
    maya.page.locator("#menu-button").click()
    with maya.page.expect_download() as coming:
        maya.page.get_by_role("menuitem", name="Transcript as text").click()
    assert "Hello" in coming.value.path().read_text()


# --- what is written is text, what is attached is a file


def test_markup_is_text_and_only_web_addresses_are_links(customer, agent):
    maya = customer().starts(message="<img src=x onerror=alert(1)> <b>bold</b>")
    agent.picks(maya.id)
    agent.says(maya.id, "See https://example.com/a?b=1&c=2. Not javascript:alert(1) (https://example.com/x).")
    expect(maya.bubbles().first).to_have_text("<img src=x onerror=alert(1)> <b>bold</b>")
    links = maya.page.locator("#log .bubble a")
    expect(links).to_have_count(2)
    assert links.evaluate_all(
        "all => all.map(a => [a.getAttribute('href'), a.target, a.rel.includes('noopener')])"
    ) == [
        ["https://example.com/a?b=1&c=2", "_blank", True],
        ["https://example.com/x", "_blank", True],
    ]


def test_files_go_by_button_paste_and_drop_with_a_preview_and_a_download(customer, agent):
    maya = customer().starts(message="Files")
    agent.picks(maya.id)
    maya.page.set_input_files("#files", [{"name": "receipt.pdf", "mimeType": "application/pdf", "buffer": PDF}])
    card = maya.page.locator("#log .message:not(.waiting) .file")
    expect(card).to_contain_text("receipt.pdf")
    with maya.page.expect_download() as coming:
        card.click()
    assert coming.value.path().read_bytes() == PDF
    give = """([kind, bytes]) => { const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, { type: 'image/png' }));
      const how = { bubbles: true, cancelable: true };
      const made = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, ...how })
        : new DragEvent('drop', { dataTransfer: data, ...how });
      document.querySelector('#text').dispatchEvent(made); }"""
    for kind in ("paste", "drop"):
        maya.page.evaluate(give, [kind, list(PIXEL)])
        picture = maya.page.get_by_role("link", name=f"Open the picture {kind}.png").locator("img")
        expect(picture).to_be_visible()
        eventually(lambda shown=picture: shown.evaluate("img => img.naturalWidth") == 1, 5, "the preview")
    assert [row["attachments"][0]["name"] for row in maya.stored()[1:]] == ["receipt.pdf", "paste.png", "drop.png"]


def test_a_file_that_is_refused_says_why_and_can_be_removed(customer):
    maya = customer().starts(message="Files")
    script = {"name": "page.html", "mimeType": "text/html", "buffer": b"<!doctype html><script>alert(1)</script>"}
    maya.page.set_input_files("#files", [script])
    failed = maya.page.locator("#log .message.failed")
    again = failed.get_by_role("button", name="Try again")
    expect(failed).to_contain_text("This kind of file is not allowed.")
    expect(again).to_have_count(0)
    failed.get_by_role("button", name="Remove").click()
    expect(failed).to_have_count(0)
    expect(maya.page.locator("#text")).to_be_focused()
    maya.page.route("**/attachments", lambda route: route.fulfill(status=413, body="<h1>413</h1>"))
    maya.page.set_input_files("#files", [{"name": "some.pdf", "mimeType": "application/pdf", "buffer": PDF}])
    expect(failed).to_contain_text("Larger than 1 MB.")  # the word of a proxy
    expect(again).to_have_count(0)
    failed.get_by_role("button", name="Remove").click()
    maya.page.unroute("**/attachments")
    large = {"name": "large.pdf", "mimeType": "application/pdf", "buffer": PDF + b" " * (1024 * 1024)}
    maya.page.set_input_files("#files", [large])
    expect(failed).to_contain_text("Larger than 1 MB.")
    expect(again).to_have_count(0)
    assert len(maya.stored()) == 1


def test_a_file_that_found_no_way_can_be_tried_again(customer):
    maya = customer().starts(message="Files")
    maya.page.route("**/attachments", lambda route: route.abort())
    maya.page.set_input_files("#files", [{"name": "some.pdf", "mimeType": "application/pdf", "buffer": PDF}])
    failed = maya.page.locator("#log .message.failed")
    expect(failed).to_contain_text("Not sent: no connection.")
    maya.page.unroute("**/attachments")
    failed.get_by_role("button", name="Try again").click()
    expect(maya.page.locator("#log .message:not(.waiting) a.file")).to_contain_text("some.pdf")


def test_emojis_are_picked_by_keyboard(customer):
    maya = customer().starts(message="Hi")
    maya.page.locator("#emoji-button").click()
    maya.page.keyboard.press("ArrowRight")
    maya.page.keyboard.press("ArrowDown")
    chosen = maya.page.evaluate("document.activeElement.textContent")
    maya.page.keyboard.press("Enter")
    expect(maya.page.locator("#text")).to_have_value(chosen)
    maya.page.keyboard.press("Enter")
    expect(maya.page.locator("#log .message.emoji")).to_have_count(1)


# --- nothing is lost, doubled or out of order


def test_thirty_messages_while_the_socket_is_away_appear_once_and_in_order(customer, agent):
    maya = customer()
    gate = Gate(maya.page)
    maya.page.route("**/public/sessions/*?after=*", lambda route: route.abort() if gate.is_shut else route.continue_())
    maya.starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    gate.shut()
    maya.expect_state("reconnecting")
    expect(maya.page.locator("#banner")).to_contain_text("Connection lost")
    said = [f"message {n}" for n in range(30)]
    for text in said:
        agent.says(maya.id, text)
    gate.open()
    maya.expect_state("live", 40)
    expect(maya.bubbles()).to_have_text(["Hello", *said])
    expect(maya.page.locator("#banner")).to_be_hidden()


def test_where_sockets_are_blocked_the_chat_goes_on_by_polling(customer, agent):
    maya = customer()
    Gate(maya.page).shut()
    maya.starts(message="Hello")
    maya.expect_state("polling")
    agent.picks(maya.id)
    agent.says(maya.id, "I can hear you")
    expect(maya.bubbles()).to_have_text(["Hello", "I can hear you"], timeout=10_000)
    maya.writes("So can I")
    maya.writes("And again")
    said = ["Hello", "I can hear you", "So can I", "And again"]
    expect(maya.bubbles()).to_have_text(said)
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    assert [row["body"] for row in maya.stored()] == said
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(maya.page.locator("#ending")).to_be_visible(timeout=10_000)


def test_unsent_messages_survive_a_reload_and_are_stored_once_in_their_order(customer, agent):
    maya = customer()
    gate = Gate(maya.page)
    away = lambda route: route.abort() if gate.is_shut and route.request.method == "POST" else route.continue_()  # noqa: E731
    maya.page.route("**/public/sessions/*/messages", away)
    maya.starts(message="Hello")
    gate.shut()
    said = [f"line {n}" for n in range(4)]
    for text in said:
        maya.writes(text)
    expect(maya.page.locator("#log .message.waiting")).to_have_count(4)
    maya.page.reload()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(4)
    gate.open()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0, timeout=40_000)
    expect(maya.bubbles()).to_have_text(["Hello", *said])
    assert [row["body"] for row in maya.stored()] == ["Hello", *said]


def test_a_message_whose_ack_got_lost_is_not_doubled(customer):
    maya = customer()
    gate = Gate(maya.page)
    maya.starts(message="Hello")
    maya.expect_state("live")
    gate.swallow = lambda text: '"chat.message.ack"' in text
    maya.writes("Only once")
    eventually(lambda: len(maya.stored()) == 2, 5, "the row")
    gate.swallow = lambda text: False
    gate.drop()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    expect(maya.bubbles()).to_have_text(["Hello", "Only once"])
    assert [row["body"] for row in maya.stored()] == ["Hello", "Only once"]


def test_a_page_that_lost_an_event_starts_over_and_shows_what_a_fresh_one_shows(customer, agent, opened):
    maya = customer()
    gate = Gate(maya.page)
    maya.starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    gate.swallow = lambda text: '"body":"lost"' in text
    for text in ("one", "lost", "two"):
        agent.says(maya.id, text)
    expect(maya.bubbles()).to_have_text(["Hello", "one", "lost", "two"])
    fresh = opened("/chat?tenant=shop", context=maya.page.context)
    expect(fresh.locator("#log .bubble")).to_have_count(4)
    look = "[...document.querySelectorAll('#log > *')].map(node => [node.className, node.innerText])"
    eventually(lambda: fresh.evaluate(look) == maya.page.evaluate(look), 5, "two equal pages")


def test_a_killed_sidecar_comes_back_and_nothing_is_missing(customer, agent, shop):
    maya = customer().starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    shop.home.sidecar.kill()
    maya.expect_state("reconnecting")
    for n in range(3):
        maya.writes(f"meanwhile {n}")
    shop.home.sidecar.start()
    maya.expect_state("live", 40)
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    agent.says(maya.id, "Back again")
    expect(maya.bubbles()).to_have_text(["Hello", "meanwhile 0", "meanwhile 1", "meanwhile 2", "Back again"])


def test_two_tabs_show_the_same_chat(customer, opened):
    maya = customer().starts(message="Hello")
    other = opened("/chat?tenant=shop", context=maya.page.context)
    expect(other.locator("#log .bubble")).to_have_text(["Hello"])
    maya.writes("From the first")
    expect(other.locator("#log .bubble").last).to_have_text("From the first")
    other.locator("#text").fill("From the second")
    other.locator("#text").press("Enter")
    expect(maya.bubbles()).to_have_text(["Hello", "From the first", "From the second"])
    expect(maya.page.locator("#log .message.mine")).to_have_count(3)


def test_a_draft_survives_a_reload_and_is_not_sent(customer):
    maya = customer().starts(message="Hello")
    maya.page.locator("#text").fill("Half a sen")
    maya.page.reload()
    expect(maya.page.locator("#text")).to_have_value("Half a sen")
    assert len(maya.stored()) == 1


def test_a_session_that_is_gone_leads_back_to_the_start(customer, shop):
    maya = customer().starts(message="Hello")
    maya.page.goto("about:blank")
    shop.empty()
    maya.page.goto(f"{shop.url}/chat?tenant=shop")
    expect(maya.page.locator("#start-trouble")).to_have_text("This chat is not there any more.")
    expect(maya.page.locator("#name")).to_have_value("Maya Putri")


def test_rows_in_any_order_and_twice_are_shown_once_in_theirs(opened):
    script = """async () => { const { Thread, situation } = await import('/static/js/thread.js');
      const { wait } = await import('/static/js/link.js');
      const rows = [...Array(60).keys()].map(n => ({ seq: n + 1 })), wrong = [];
      for (let round = 0; round < 300; round++) {
        const dice = [...rows, ...rows].map(row => [Math.random(), row]);
        const mixed = dice.sort(([a], [b]) => a - b).map(([, row]) => row);
        const thread = new Thread(), shown = mixed.flatMap(row => thread.add(row));
        if (JSON.stringify(shown) !== JSON.stringify(rows) || thread.hasHole || thread.last !== 60) wrong.push(round); }
      const gone = Thread.of([rows[0], rows[2]]);
      const types = ['started', 'assigned', 'released', 'transferred', 'ended'];
      const happened = types.map(type => ({ event: { type, name: type } }));
      const waits = [1, 2, 3, 9].map(tries => [wait(tries, 0), wait(tries, 1)]);
      return { wrong, hole: [gone.last, gone.hasHole], waits,
        states: happened.map((_, n) => situation(happened.slice(0, n + 1)).status) }; }"""
    told = opened("/").evaluate(script)
    assert told["wrong"] == []
    assert told["hole"] == [1, True]
    assert told["waits"] == [[250, 500], [500, 1000], [1000, 2000], [7500, 15000]]
    assert told["states"] == ["waiting", "active", "waiting", "active", "ended"]


# --- for everybody


def test_the_page_speaks_indonesian_by_the_browser_and_by_the_switch(customer, agent):
    page = customer(locale="id-ID").page
    expect(page.get_by_role("heading", name="Ada yang bisa kami bantu?")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="How can we help?")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="How can we help?")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"


def test_both_languages_have_the_same_words(opened):
    page = opened("/chat?tenant=shop")
    script = """async () => { const words = await import('/static/js/words.js');
      const files = ['js/words-chat.js', 'js/words-site.js', 'js/words-agent.js', 'widget/words.js'];
      for (const file of files) await import(`/static/${file}`);
      const { en, id } = words.vocabulary(); return [Object.keys(en).sort(), Object.keys(id).sort()]; }"""
    english, indonesian = page.evaluate(script)
    assert english == indonesian and len(english) > 150


def test_a_marked_text_has_a_word(opened):
    for path in ("/", "/chat?tenant=shop", "/widget-demo.html", "/websocket-test.html"):
        page = opened(path)
        missing = """async () => { const { known } = await import('/static/js/words.js');
          const marks = ['t', 't-label', 't-title', 't-placeholder'];
          return marks.flatMap(mark => [...document.querySelectorAll(`[data-${mark}]`)]
            .map(node => node.getAttribute(`data-${mark}`)).filter(key => !known(key))); }"""
        assert page.evaluate(missing) == [], path


def test_the_theme_follows_the_system_and_the_switch(opened):
    page = opened("/", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(ground) != dark
    page.reload()
    assert page.evaluate(ground) != dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_and_a_narrow_phone_needs_no_sideways_scrolling(customer, agent, opened, scheme):
    look = {"color_scheme": scheme, "viewport": NARROW, "reduced_motion": "reduce"}

    def is_well(page: Page) -> bool:
        faint, wide = page.evaluate(FAINT), page.evaluate("document.documentElement.scrollWidth")
        assert (faint, wide) == ([], 360), page.url
        return True

    maya = customer(**look)
    assert is_well(maya.page)
    gate = Gate(maya.page)
    maya.starts(message="Where is it? https://example.com/" + "long" * 30)
    expect(maya.bubbles()).to_have_count(1)
    gate.shut()
    maya.page.route("**/messages", lambda route: route.abort())
    maya.writes("On its way")
    expect(maya.page.locator("#log .message.waiting")).to_be_visible()
    assert is_well(maya.page)
    maya.page.unroute("**/messages")
    gate.open()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0, timeout=20_000)
    agent.picks(maya.id)
    agent.says(maya.id, "Hello " + "w" * 200)
    expect(maya.bubbles()).to_have_count(3)
    assert is_well(maya.page)
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(maya.page.locator("#ending")).to_be_visible()
    assert is_well(maya.page)
    kiosk = Customer(maya.shop, opened(f"/chat?tenant={KIOSK}", **look)).starts(message=HOURS[0])
    expect(kiosk.page.locator("#log .message.bot")).to_be_visible()
    assert is_well(kiosk.page)
    for path in ("/", "/widget-demo.html", "/websocket-test.html"):
        page = opened(path, **look)
        page.wait_for_load_state("networkidle")
        assert is_well(page)


def test_a_reader_hears_the_chat_and_keys_reach_everything(customer, agent):
    maya = customer().starts(message="Hello")
    log = maya.page.get_by_role("log", name="Conversation")
    expect(log).to_have_attribute("aria-live", "polite")
    expect(maya.page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    maya.page.locator("#menu-button").focus()
    maya.page.keyboard.press("Enter")
    expect(maya.page.get_by_role("menuitem", name="Transcript as text")).to_be_focused()
    maya.page.keyboard.press("End")
    expect(maya.page.get_by_role("menuitem", name="End the chat")).to_be_focused()
    maya.page.keyboard.press("Escape")
    expect(maya.page.locator("#menu-button")).to_be_focused()
    nameless = """[...document.querySelectorAll('button, input, textarea, a[href], select')]
      .filter(node => node.checkVisibility())
      .filter(node => !(node.innerText || node.getAttribute('aria-label') || node.labels?.length))
      .map(node => node.outerHTML)"""
    assert maya.page.evaluate(nameless) == []


def test_each_message_is_said_once_and_history_not_at_all(customer, agent, browser):
    maya = customer()
    maya.page.context.add_init_script(LISTEN)
    gate = Gate(maya.page)
    maya.page.reload()
    maya.starts(message="Question")
    agent.picks(maya.id)
    socket = agent.online(browser)
    maya.expect_state("live")
    log = maya.page.get_by_role("log", name="Conversation")
    expect(log).to_have_attribute("aria-live", "polite")
    for text in ("Alpha", "Beta"):
        agent.says(maya.id, text)
        maya.writes(f"My {text}")
        expect(maya.bubbles().last).to_have_text(f"My {text}")
    mark = maya.page.locator("#log .mark").last
    for event in ("delivered", "read"):
        socket.evaluate(f"id => tell('chat.message.{event}', {{ session_id: id, up_to_seq: 99 }})", maya.id)
        expect(mark).to_have_attribute("data-mark", event)
    for text in ("LestariAlpha", "My Alpha", "LestariBeta", "My Beta"):
        assert len(heard(maya.page, text)) == 1, maya.page.evaluate("heard")
    assert heard(maya.page, "Delivered") == heard(maya.page, "Read") == []
    maya.page.reload()
    expect(log).to_have_attribute("aria-live", "polite")
    expect(maya.bubbles()).to_have_count(5)
    assert [heard(maya.page, text) for text in ("Question", "Alpha", "Beta", "joined")] == [[], [], [], []]
    gate.shut()
    for text in ("Gamma", "Delta"):
        agent.says(maya.id, text)
    gate.open()
    expect(maya.bubbles()).to_have_count(7, timeout=20_000)
    assert [len(heard(maya.page, text)) for text in ("Alpha", "Beta", "Gamma", "Delta")] == [0, 0, 1, 1]
    socket.context.close()


def test_what_changes_is_said_once_and_a_moving_line_only_now_and_then(customer, agent, browser):
    socket = agent.online(browser)
    others = [customer().starts(f"Customer {n}") for n in (1, 2)]
    maya = customer()
    maya.page.context.add_init_script(LISTEN)
    gate = Gate(maya.page)
    maya.page.route("**/public/sessions/*?after=*", lambda route: route.abort() if gate.is_shut else route.continue_())
    maya.page.clock.install()
    maya.page.reload()
    maya.starts()
    maya.expect_state("live")
    eventually(lambda: len(heard(maya.page, "Place 3 in line")) == 1, 5, "the place")
    for other in others:
        agent.picks(other.id)
    expect(maya.page.locator("#place-title")).to_have_text("You're next")
    maya.page.clock.run_for(10_000)
    maya.page.clock.resume()
    eventually(lambda: len(heard(maya.page, "You're next")) == 1, 5, "the place")
    assert heard(maya.page, "Place 2") == []
    gate.shut()
    eventually(lambda: len(heard(maya.page, "Connection lost")) == 1, 10, "the loss")
    banner = maya.page.locator("#banner-text")
    seen: set[str] = set()
    eventually(lambda: seen.add(banner.inner_text()) or len(seen) > 3, 20, "seconds that are counted")
    gate.open()
    maya.page.get_by_role("button", name="Try now").click()
    eventually(lambda: len(heard(maya.page, "Connected again.")) == 1, 10, "the return")
    assert len(heard(maya.page, "Connection lost")) == 1
    expect(maya.page.locator("#text")).to_be_focused()  # the button is gone
    socket.context.close()


def test_the_focus_stays_in_the_chat_and_what_was_not_sent_goes_into_the_next(customer, agent):
    maya = customer().starts()
    page, active = maya.page, maya.page.locator(":focus")
    maya.asks_for("End the chat")
    page.get_by_role("button", name="Keep chatting").click()
    expect(page.locator("#menu-button")).to_be_focused()
    agent.picks(maya.id)
    page.locator("#text").fill("Half a sen")
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(page.get_by_role("heading", name="This chat has ended")).to_be_focused()
    expect(page.get_by_label("You had not sent this yet")).to_have_value("Half a sen")
    page.get_by_role("radio", name="4 stars").check(force=True)
    page.get_by_role("button", name="Send the rating").click()
    expect(page.locator("#rated")).to_be_focused()
    page.get_by_role("button", name="Start a new chat").click()
    expect(page.locator("#question")).to_have_value("Half a sen")
    expect(page.locator("#question")).to_be_focused()
    page.locator("#start").click()
    expect(maya.bubbles()).to_have_text(["Half a sen"])
    expect(page.locator("#text")).to_have_value("")
    maya.asks_for("End the chat")
    page.get_by_role("dialog").get_by_role("button", name="End the chat").click()
    expect(active).to_have_text("This chat has ended")


def test_words_from_right_to_left_are_set_so_whoever_writes_them(customer, agent):
    maya = customer().starts("مايا", "مرحبا!")
    agent.picks(maya.id)
    agent.says(maya.id, "שלום?")
    expect(maya.bubbles()).to_have_text(["مرحبا!", "שלום?"])
    of = "all => all.map(node => getComputedStyle(node).direction)"
    assert maya.bubbles().evaluate_all(of) == ["rtl", "rtl"]
    maya.page.locator("#text").fill("مرحبا")
    fields = "all => all.filter(node => node.type !== 'file' && node.type !== 'radio' && node.type !== 'email')"
    assert (
        maya.page.locator("input, textarea").evaluate_all(f"all => ({fields})(all).map(node => node.dir)")
        == ["auto"] * 6
    )
    assert maya.page.locator("#text").evaluate("node => getComputedStyle(node).direction") == "rtl"
    agent.says(maya.id, "And from the left")
    expect(maya.bubbles().last).to_have_css("direction", "ltr")


def test_nothing_lies_on_the_messages_and_keys_scroll_them(customer, agent, browser):
    socket = agent.online(browser)
    maya = customer(viewport={"width": 640, "height": 400}).starts("Maya", "First")  # 200 %
    for n in range(12):
        maya.writes(f"Line {n}")
    expect(maya.bubbles()).to_have_count(13)
    bottom = "node => node.getBoundingClientRect().bottom"
    assert maya.page.locator("#line-card").evaluate(bottom) <= maya.page.locator("#scroll").bounding_box()["y"] + 1
    maya.page.get_by_role("region", name="All messages").focus()
    maya.page.keyboard.press("Home")
    eventually(lambda: maya.page.evaluate("document.querySelector('#scroll').scrollTop") == 0, 5, "the first message")
    maya.page.locator("#text").fill("tall\n" * 9)
    newest = maya.page.get_by_role("button", name="To the newest message")
    expect(newest).to_be_visible()
    under = newest.bounding_box()
    assert under["y"] + under["height"] <= maya.page.locator("#composer").bounding_box()["y"]
    socket.context.close()


@pytest.mark.parametrize("locale", ["en-GB", "id-ID"])
def test_the_header_of_a_small_phone_is_one_line_and_its_menu_has_the_rest(customer, locale):
    maya = customer(viewport={"width": 320, "height": 568}, locale=locale, color_scheme="light")
    maya.starts()
    line = maya.page.locator("#who-line")
    assert line.evaluate("node => node.scrollWidth <= node.clientWidth && node.clientHeight < 24")
    menu = maya.page.locator("#menu-button")
    menu.click()
    maya.page.get_by_role("menuitemradio", name="English").click()
    expect(line).to_have_text("Waiting for an agent")
    expect(menu).to_be_focused()
    menu.click()
    expect(maya.page.get_by_role("menuitemradio", name="English")).to_have_attribute("aria-checked", "true")
    maya.page.get_by_role("menuitem", name="Light or dark").click()
    expect(maya.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_with_forced_colours_everything_keeps_its_shape_and_its_focus(customer, agent):
    maya = customer(forced_colors="active").starts()
    agent.picks(maya.id)
    agent.says(maya.id, "Hi")
    expect(maya.bubbles()).to_have_count(2)
    for node in (*maya.bubbles().all(), maya.page.locator("#send"), maya.page.locator("#menu-button")):
        assert node.evaluate("node => getComputedStyle(node).borderTopStyle") == "solid"
    maya.page.locator("#text").focus()
    ring = maya.page.locator(".writing").evaluate("node => getComputedStyle(node).outlineStyle")
    maya.page.locator("#text").evaluate("node => node.blur()")
    assert (ring, maya.page.locator(".writing").evaluate("node => getComputedStyle(node).outlineStyle")) == (
        "solid",
        "none",
    )


TONES = """window.tones = 0; const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...at) { tones += 1; return start.apply(this, at); };
Object.defineProperty(document, 'hidden', { get: () => window.isAway ?? false });
window.leaves = away => { window.isAway = away; document.dispatchEvent(new Event('visibilitychange')); };"""


def test_who_looks_elsewhere_is_told_by_the_title_and_if_they_wish_by_a_tone(customer, agent):
    maya = customer()
    maya.page.context.add_init_script(TONES)
    maya.page.reload()
    maya.starts()
    agent.picks(maya.id)
    expect(maya.page).to_have_title("Ani Lestari")
    maya.page.evaluate("leaves(true)")
    agent.says(maya.id, "One")
    expect(maya.page).to_have_title("(1) Ani Lestari")
    assert maya.page.evaluate("tones") == 0
    maya.page.evaluate("leaves(false)")
    expect(maya.page).to_have_title("Ani Lestari")
    maya.page.locator("#menu-button").click()
    maya.page.get_by_role("menuitemcheckbox", name="Sound for new messages").click()
    eventually(lambda: maya.page.evaluate("tones") > 0, 5, "a sample")
    maya.page.reload()
    expect(maya.bubbles()).to_have_count(2)
    maya.page.locator("#menu-button").click()
    expect(maya.page.get_by_role("menuitemcheckbox")).to_have_attribute("aria-checked", "true")
    maya.page.keyboard.press("Escape")
    agent.says(maya.id, "Seen")
    expect(maya.bubbles()).to_have_count(3)
    assert maya.page.evaluate("tones") == 0  # who looks needs no tone
    maya.page.evaluate("leaves(true)")
    agent.says(maya.id, "Two")
    eventually(lambda: maya.page.evaluate("tones") > 0, 5, "a tone")


def test_pictures_of_the_pages_are_kept(customer, agent, opened, tmp_path: Path):
    for size, viewport in (("desk", DESK), ("phone", PHONE)):
        for scheme, locale in (("light", "en-GB"), ("dark", "id-ID")):
            maya = customer(viewport=viewport, color_scheme=scheme, locale=locale)
            shot = lambda name, at=maya.page, of=f"{size}-{scheme}-{locale[:2]}": at.screenshot(  # noqa: E731
                path=tmp_path / f"{name}-{of}.png", animations="disabled"
            )
            shot("1-start")
            maya.starts(message="Hi, where is my order?")
            shot("2-waiting")
            agent.picks(maya.id)
            agent.says(maya.id, "Let me look: https://example.com/10234")
            expect(maya.bubbles()).to_have_count(2)
            shot("3-chat")
            agent.does("POST", f"sessions/{maya.id}/end")
            expect(maya.page.locator("#ending")).to_be_visible()
            shot("4-ended")
    assert len(list(tmp_path.glob("*.png"))) == 16


# --- the widget on somebody's site

HOSTILE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<style>* { color: red !important; font: 30px cursive !important }
div, section { display: inline !important; background: yellow }
button { border: 5px dashed blue; transform: rotate(5deg) } p { margin: 50px } html { font-size: 8px }</style>
<h1>A shop</h1><p id="theirs">Their text</p><button id="buy">Buy</button>
<script src="CHAT/chat-widget.js"></script>
<script>window.before = getComputedStyle(document.querySelector('#theirs')).cssText;
const more = JSON.parse(decodeURIComponent(location.search.slice(1)) || '{}');
CallCenterChat.init({ apiUrl: 'CHAT', tenantId: 'shop', title: 'Toko Maju', primaryColor: '#7c3aed', ...more });
CallCenterChat.init({ apiUrl: 'CHAT', tenantId: 'other' });</script>"""


def _serving(port: int, html: str, strict: str = "", policy: str = "") -> ThreadingHTTPServer:
    """`strict`: what /strict has, under `policy`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_strict = self.path == "/strict"
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if is_strict:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write((strict if is_strict else html).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _strict_policy(home: Shop) -> str:
    """Nothing, and what the README says that the widget needs; the page's own scripts have a nonce."""
    told = re.search(r"^Content-Security-Policy: (.+)$", (ROOT / "README.md").read_text(), re.M)
    assert told
    policy = told[1].replace("chat.example.com", home.url[len("http://") :])
    policy = policy.replace("https:", "http:").replace("wss:", "ws:").replace("script-src", "script-src 'nonce-once'")
    return f"default-src 'none'; base-uri 'none'; require-trusted-types-for 'script'; {policy}"


@pytest.fixture(scope="module")
def site(home: Shop, site_port: int) -> Iterator[str]:
    """Somebody's page with the widget, on an origin that is allowed."""
    html = HOSTILE.replace("CHAT", home.url)
    strict = re.sub("<style>.*?</style>", "", html, flags=re.S).replace("<script", "<script nonce=once")
    server = _serving(site_port, html, strict, _strict_policy(home))
    yield f"http://127.0.0.1:{site_port}/"
    server.shutdown()
    server.server_close()


def _starts(page: Page, message: str = "Hello") -> str:
    """The session's id."""
    page.locator(".launcher").click()
    page.get_by_label("Your name").fill("Maya Putri")
    page.get_by_label("E-mail").fill(f"{secrets.token_hex(4)}@example.com")
    page.get_by_label("Your question").fill(message)
    with page.expect_response("**/public/sessions") as coming:
        page.locator("#start").click()
    expect(page.locator(".composer")).to_be_visible()
    return str(coming.value.json()["session_id"])


def test_the_widget_chats_on_another_site(opened, site, agent):
    page = opened(site)
    room = _starts(page)
    agent.picks(room)
    expect(page.get_by_role("heading", name="Ani Lestari")).to_be_visible()
    agent.says(room, "Good day <b>Maya</b>")
    page.get_by_label("Message", exact=True).fill("Thank you")
    page.keyboard.press("Enter")
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "Good day <b>Maya</b>", "Thank you"])
    page.reload()
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "Good day <b>Maya</b>", "Thank you"])
    page.get_by_role("button", name="End chat").click()
    page.get_by_role("alertdialog").get_by_role("button", name="End chat").click()
    page.get_by_role("radio", name="5 stars").check(force=True)
    page.get_by_role("button", name="Send the rating").click()
    expect(page.get_by_text("Thank you for your rating!")).to_be_visible()


def test_a_customer_whom_the_site_vouches_for_types_no_name_and_is_proved(opened, site, shop, agent):
    shop.home.run("UPDATE tenants SET identity_secret = 'sesame' WHERE id = %s", shop.id)
    proof = hmac.new(b"sesame", b"budi@example.com", hashlib.sha256).hexdigest()
    asked = {}
    for user_hash in (proof, "0" * 64):
        known = {"name": "Budi", "email": "budi@example.com", "userHash": user_hash}
        page = opened(f"{site}?{quote(json.dumps(known))}")
        page.locator(".launcher").click()
        expect(page.get_by_label("E-mail")).to_have_count(0)
        page.get_by_label("Your question").fill("Hello")
        with page.expect_response("**/public/sessions") as coming:
            page.locator("#start").click()
        asked[user_hash] = coming.value
    expect(page.get_by_text("We could not confirm who you are. Please sign in again.")).to_be_visible()
    assert {user_hash: answer.status for user_hash, answer in asked.items()} == {proof: 201, "0" * 64: 403}
    room = asked[proof].json()["session_id"]
    assert agent.does("GET", f"sessions/{room}")["customer"]["proved"] is True


def test_the_widget_and_its_page_leave_each_other_alone(opened, site):
    page = opened(site)
    _starts(page)
    launcher = page.locator(".launcher")
    assert launcher.evaluate("node => getComputedStyle(node).borderTopStyle") == "none"
    assert page.locator("#log .bubble").first.evaluate("node => getComputedStyle(node).fontSize") == "15px"
    assert page.locator("#log .bubble").first.evaluate("node => getComputedStyle(node).color") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('#theirs')).cssText === before")
    assert page.locator("#callcenter-chat").count() == 1
    expect(page.get_by_role("heading", name="Toko Maju")).to_be_visible()
    page.evaluate("CallCenterChat.destroy()")
    assert page.locator("#callcenter-chat").count() == 0


def test_the_launcher_counts_what_was_not_read_and_keys_open_and_close(opened, site, agent):
    page = opened(site)
    room = _starts(page)
    agent.picks(room)
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_be_hidden()
    expect(page.locator(".launcher")).to_be_focused()
    for n in range(2):
        agent.says(room, f"Are you there? {n}")
    expect(page.locator(".count")).to_have_text("2")
    expect(page.get_by_role("button", name="Open the chat (2 unread)")).to_be_visible()
    page.reload()
    expect(page.locator(".count")).to_have_text("2")
    page.locator(".launcher").press("Enter")
    expect(page.locator(".count")).to_be_hidden()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()


def test_on_a_phone_the_widget_is_the_whole_screen_and_keeps_the_focus(opened, site):
    page = opened(site, viewport=PHONE)
    _starts(page)
    box = page.locator(".panel").bounding_box()
    assert box == {"x": 0, "y": 0, **PHONE}
    expect(page.get_by_role("dialog")).to_have_attribute("aria-modal", "true")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "callcenter-chat"
    page.get_by_role("button", name="Close the chat").click()
    assert page.evaluate("document.documentElement.style.overflow") == ""


def test_the_widget_polls_where_sockets_are_blocked(opened, site, agent):
    page = opened(site)
    Gate(page).shut()
    room = _starts(page)
    agent.picks(room)
    agent.says(room, "By another way")
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "By another way"], timeout=15_000)
    page.get_by_label("Message", exact=True).fill("It works")
    page.keyboard.press("Enter")
    expect(page.locator("#log .message.waiting")).to_have_count(0)
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "By another way", "It works"])


def test_the_widget_shows_once_what_came_while_it_was_away(opened, site, agent):
    page = opened(site)
    gate = Gate(page)
    room = _starts(page)
    agent.picks(room)
    expect(page.get_by_role("heading", name="Ani Lestari")).to_be_visible()
    gate.shut()
    for n in range(3):
        page.get_by_label("Message", exact=True).fill(f"mine {n}")
        page.keyboard.press("Enter")
    said = [f"theirs {n}" for n in range(10)]
    for text in said:
        agent.says(room, text)
    gate.open()
    expect(page.locator("#log .message.waiting")).to_have_count(0, timeout=30_000)
    expect(page.locator("#log .bubble")).to_have_count(14, timeout=15_000)
    shown = page.locator("#log .bubble").all_text_contents()
    assert [text for text in shown if text.startswith("theirs")] == said
    assert [text for text in shown if text.startswith("mine")] == ["mine 0", "mine 1", "mine 2"]


CORNER = """() => { const { shadowRoot } = document.querySelector('#callcenter-chat');
  const { right, bottom, width } = shadowRoot.querySelector('.launcher').getBoundingClientRect();
  return [innerWidth - right, innerHeight - bottom, width]; }"""
RUDE = """* { all: unset !important; font-size: 40px !important; --fill: red !important; --text: red !important }
  *::before, *::after { content: 'x' !important } button { display: none !important }
  body { transform: translateY(700px) rotate(3deg) !important; filter: blur(2px) !important; overflow: hidden }"""


def _end_of(node) -> tuple[float, float]:
    box = node.bounding_box()
    return box["x"] + box["width"], box["y"] + box["height"]


def test_the_widget_stands_in_its_corner_whatever_the_page_does(opened, site):
    page = opened(site)
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.add_style_tag(content=RUDE)
    assert page.evaluate(CORNER) == [20, 20, 60]
    page.locator(".launcher").click()
    greeting = page.locator(".hi")
    for name, value in (("direction", "ltr"), ("font-size", "15px"), ("color", "rgb(22, 32, 29)")):
        expect(greeting).to_have_css(name, value)
    expect(page.locator(".launcher")).to_have_css("background-color", "rgb(124, 58, 237)")
    assert page.locator("#callcenter-chat").bounding_box()["width"] == 0  # nothing before or after it
    corner = (DESK["width"] - 20, DESK["height"] - 92)
    eventually(lambda: _end_of(page.locator(".panel")) == corner, 5, "the panel at rest in its corner")
    page.evaluate("CallCenterChat.destroy(); delete HTMLElement.prototype.showPopover")
    page.locator("style").evaluate_all("all => all.forEach(node => node.remove())")
    page.evaluate("CallCenterChat.init({ tenantId: 'shop', position: 'left' })")
    assert page.evaluate(CORNER) == [DESK["width"] - 80, 20, 60]  # where there is no top layer


def test_a_widget_that_is_taken_away_asks_for_nothing_any_more(opened, site):
    page = opened(site)
    page.clock.install()
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/public/sessions/" in request.url else None)
    page.on("websocket", lambda socket: asked.append(socket.url))
    _starts(page)
    fetches = "**/public/sessions/*?after=*"
    page.route(fetches, lambda route: route.abort())
    page.reload()
    expect(page.get_by_text("The chat can't be reached at the moment.")).to_be_visible()
    page.unroute(fetches)
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#log .bubble")).to_have_text(["Hello"])
    tries: list[Route] = []

    def hold(route: Route) -> None:
        tries.append(route)

    for is_under_way in (False, True):
        tries.clear()
        page.route(fetches, hold)
        page.reload()
        eventually(lambda: page.evaluate("1") and tries, 10, "the first try")
        if not is_under_way:
            tries[0].abort()
            expect(page.get_by_text("The chat can't be reached at the moment.")).to_be_visible()
        page.evaluate("CallCenterChat.destroy()")
        asked.clear()
        if is_under_way:
            tries[0].continue_()
        page.unroute(fetches)
        page.clock.run_for(60_000)
        page.evaluate("() => fetch('/').then(() => null)")  # whatever was on its way has been seen
        assert asked == []


def test_tabs_have_one_chat_and_a_reload_loses_neither_the_draft_nor_the_open_panel(opened, site):
    one = opened(site)
    other = opened(site, context=one.context)
    one.locator(".launcher").click()
    one.get_by_label("Your name").fill("Maya")
    one.get_by_label("Your question").fill("Half a ques")
    one.reload()
    expect(one.get_by_label("Your name")).to_have_value("Maya")
    expect(one.get_by_label("Your question")).to_have_value("Half a ques")
    _starts(other)
    expect(one.locator("#log .bubble")).to_have_text(["Hello"])
    field = one.get_by_label("Message", exact=True)
    expect(field).to_have_value("Half a ques")
    field.fill("Half a sen")
    one.reload()
    expect(field).to_have_value("Half a sen")
    field.press("Enter")
    expect(other.locator("#log .bubble")).to_have_text(["Hello", "Half a sen"])
    other.get_by_role("button", name="Close the chat").first.click()
    other.reload()
    expect(other.locator(".launcher")).to_be_visible()
    expect(other.locator(".panel")).to_be_hidden()


def test_a_phone_on_its_side_begins_at_the_first_field_and_a_wrong_tenant_shows_none(opened, site):
    look = {"viewport": {"width": 844, "height": 390}, "forced_colors": "active"}
    page = opened(site, **look)
    expect(page.locator(".launcher")).to_have_css("border-top-style", "solid")
    page.locator(".launcher").click()
    whole = {"x": 0, "y": 0, "width": 844, "height": 390}
    eventually(lambda: page.locator(".panel").bounding_box() == whole, 5, "the panel at rest on the whole screen")
    expect(page.get_by_label("Your name")).to_be_focused()
    expect(page.get_by_label("Your name")).to_be_in_viewport(ratio=1)
    nowhere = opened(f"{site}?{quote(json.dumps({'tenantId': 'nobody'}))}")
    nowhere.locator(".launcher").click()
    expect(nowhere.get_by_text("There is no chat at this address.")).to_be_visible()
    expect(nowhere.get_by_label("Your name")).to_be_hidden()


def test_the_widget_asks_for_a_message_when_the_last_agent_leaves(opened, site, shop, agent, browser):
    socket = agent.online(browser)
    page = opened(site)
    room = _starts(page, "")
    expect(page.locator("#place-title")).to_have_text("You're next")
    agent.wishes("away")
    expect(page.locator("#away-title")).to_have_text("Nobody is online right now")
    page.get_by_label("Your message").fill("Please call me")
    agent.wishes("online")
    expect(page.locator("#away-title")).to_have_text("Somebody is here now")
    agent.wishes("away")
    page.get_by_role("button", name="Leave the message").click()
    expect(page.locator("#away-title")).to_have_text("Thank you, your message is kept.")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    sql = "UPDATE messages SET created_at = created_at - interval '1 day' WHERE tenant = %s AND sender_type = 'system'"
    shop.home.run(sql, shop.id)
    page.reload()
    expect(page.get_by_role("separator")).to_have_text(["Yesterday", "Today"])
    agent.picks(room)
    expect(page.locator("#away-card")).to_be_hidden()
    socket.context.close()


def test_the_widget_says_each_message_once_and_keeps_the_focus(opened, site, agent):
    page = opened(site, viewport={"width": 1280, "height": 500})
    page.context.add_init_script(LISTEN)
    page.reload()
    room = _starts(page)
    expect(page.get_by_role("banner")).to_have_count(0)
    agent.picks(room)
    log, field = page.get_by_role("log", name="Conversation"), page.get_by_label("Message", exact=True)
    expect(log).to_have_attribute("aria-live", "polite")
    for text in ("Alpha", "Beta"):
        agent.says(room, text)
        field.fill(f"My {text}")
        field.press("Enter")
        expect(page.locator("#log .bubble").last).to_have_text(f"My {text}")
    for text in ("LestariAlpha", "My Alpha", "LestariBeta", "My Beta"):
        assert len(heard(page, text)) == 1, page.evaluate("heard")
    page.reload()
    expect(log).to_have_attribute("aria-live", "polite")
    assert heard(page, "Alpha") == heard(page, "Hello") == []
    agent.says(room, "مرحبا!")
    expect(page.locator("#log .bubble").last).to_have_css("direction", "rtl")
    scroll = page.get_by_role("region", name="All messages")
    at_first = lambda: scroll.evaluate("node => node.scrollTop") == 0  # noqa: E731
    eventually(lambda: (scroll.press("Home"), at_first())[1], 5, "the first message, by the keyboard alone")

    end = page.get_by_role("button", name="End chat")
    end.click()
    inside = "document.querySelector('#callcenter-chat').shadowRoot.activeElement.closest('.ask') !== null"
    for _ in range(5):
        page.keyboard.press("Tab")
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    expect(end).to_be_focused()
    field.fill("Half a sen")
    agent.does("POST", f"sessions/{room}/end")
    expect(page.locator("#ending-title")).to_be_focused()
    expect(page.get_by_label("You had not sent this yet")).to_have_value("Half a sen")
    page.get_by_role("radio", name="5 stars").check(force=True)
    page.get_by_role("button", name="Send the rating").click()
    expect(page.locator("#rated")).to_be_focused()
    page.get_by_role("button", name="Start a new chat").click()
    expect(page.get_by_label("Your question")).to_have_value("Half a sen")
    page.locator("#start").click()
    expect(page.locator("#log .bubble")).to_have_text(["Half a sen"])
    end.click()
    page.get_by_role("alertdialog").get_by_role("button", name="End chat").click()
    expect(page.locator("#ending-title")).to_be_focused()


def test_the_closed_widget_has_a_tone_for_whoever_switched_it_on(opened, site, agent):
    page = opened(site)
    page.context.add_init_script(TONES)
    page.reload()
    room = _starts(page)
    agent.picks(room)
    sound = page.get_by_role("button", name="Sound for new messages")
    expect(sound).to_have_attribute("aria-pressed", "false")
    sound.click()
    page.reload()
    expect(sound).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Tab")  # a browser is silent until something was touched
    agent.says(room, "Seen")
    expect(page.locator("#log .bubble")).to_have_count(2)
    assert page.evaluate("tones") == 0
    page.locator(".launcher").click()
    agent.says(room, "Unseen")
    eventually(lambda: page.evaluate("tones") > 0, 5, "a tone")


def test_what_the_readme_says_of_a_strict_policy_is_enough(opened, site, agent):
    page = opened(f"{site}strict")
    room = _starts(page)
    agent.picks(room)
    agent.says(room, "By the socket")
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "By the socket"])
    page.set_input_files("#files", [{"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}])
    picture = page.get_by_role("link", name="Open the picture dot.png").locator("img")
    eventually(lambda: picture.evaluate("img => img.naturalWidth") == 1, 5, "the picture")
    expect(page.locator(".launcher")).to_have_css("background-color", "rgb(124, 58, 237)")


def test_a_site_that_is_not_allowed_is_told_so(opened, shop):
    port = free_port()
    server = _serving(port, HOSTILE.replace("CHAT", shop.url))
    page = opened(f"http://127.0.0.1:{port}/")
    page.locator(".launcher").click()
    page.get_by_label("Your name").fill("Maya")
    page.get_by_label("E-mail").fill("maya@example.com")
    page.locator("#start").click()
    expect(page.locator("#start-trouble")).to_be_visible()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_any_colour_is_made_readable(opened, site, scheme):
    page = opened(site, color_scheme=scheme, reduced_motion="reduce")
    _starts(page)
    for colour in ("#facc15", "#ffffff", "#000000", "tomato", "hsl(200 90% 60%)", "no colour"):
        page.evaluate(
            "colour => { CallCenterChat.destroy(); CallCenterChat.init({ tenantId: 'shop', primaryColor: colour }) }",
            colour,
        )
        page.locator(".launcher").click()
        expect(page.locator(".bubble").last).to_be_visible()
        faint = [one for one in page.evaluate(FAINT) if not one.startswith(("A shop", "Their text", "Buy"))]
        assert (colour, faint) == (colour, [])


# --- the small pages


def test_the_first_page_leads_to_all_others_and_names_the_demo(opened):
    page = opened("/")
    for name, path in (
        ("Chat as a customer", "/chat"),
        ("Work as an agent", "/agent"),
        ("The widget", "/widget-demo.html"),
    ):
        expect(page.get_by_role("link", name=name)).to_have_attribute("href", path)
    expect(page.locator("#demo")).to_be_hidden()
    accounts = [{"email": "agent@demo.com", "password": "Test@1234", "role": "agent"}]
    about = {"demo": {"accounts": accounts, "simulator_url": "http://127.0.0.1:8002/"}, "tenants": []}
    page.route("**/api/v1/about", lambda route: route.fulfill(json=about))
    page.reload()
    expect(page.locator("#accounts")).to_contain_text("agent@demo.com")
    expect(page.get_by_role("link", name="Desk simulator")).to_have_attribute("href", "http://127.0.0.1:8002/")


def test_the_widget_demo_shows_the_snippet_of_the_options_chosen(opened):
    page = opened("/widget-demo.html")
    expect(page.locator(".launcher")).to_be_visible()
    page.locator("input#title").fill('Toko "Maju"')
    page.locator("#position").select_option("left")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#snippet")).to_contain_text('title: "Toko \\"Maju\\"",')
    expect(page.get_by_role("heading", name='Toko "Maju"')).to_be_visible()
    assert page.locator(".launcher").bounding_box()["x"] < 100
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".launcher")).to_have_count(0)


def test_the_socket_page_shows_raw_frames(opened):
    page = opened("/websocket-test.html?tenant=shop")
    expect(page.locator("#tenant")).to_have_value("shop")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#key")).not_to_have_value("")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator("#frames .in").first).to_contain_text("chat.queue.position")
    page.locator("#send-button").click()
    expect(page.locator("#frames")).to_contain_text("chat.message.ack")
    page.locator("#frame").fill("{")
    page.locator("#send-button").click()
    expect(page.locator(".toast")).to_contain_text("This is no JSON")
    page.get_by_role("button", name="Disconnect").click()
    expect(page.locator("#live")).to_have_text("Not connected")
