"""The customer's page and the widget in a browser: who uses them, what is judged of them, how their sockets are cut."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, WebSocketRoute, expect

from testbed.chathouse import Shop
from testbed.chromium import VIOLATIONS

DESK, PHONE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}, {"width": 360, "height": 740}
KIOSK = "kiosk"  # a tenant with a bot
HOURS = ("What are your opening hours?", "We are open from 9 to 6.")
SOCKET = re.compile("/ws/public/")
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63d0885af0"
    "1f0003f2022291c4bd060000000049454e44ae426082"
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


TONES = """window.tones = 0; const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...at) { tones += 1; return start.apply(this, at); };
Object.defineProperty(document, 'hidden', { get: () => window.isAway ?? false });
window.leaves = away => { window.isAway = away; document.dispatchEvent(new Event('visibilitychange')); };"""


# The same once nothing moves: looked at in the very frame in which no change of colour is under way.
FAINT_AT_REST = """async () => {
  const roots = () => [document, ...[...document.querySelectorAll('*')].map(node => node.shadowRoot).filter(Boolean)];
  const moves = () => roots().flatMap(root => root.getAnimations()).filter(each => each.playState === 'running');
  const frame = () => new Promise(requestAnimationFrame);
  await frame(); await frame();
  while (moves().length) await frame();
  return (FAINT)(); }""".replace("FAINT", FAINT)


def sends_files(page: Page, *files: FilePayload) -> None:
    """Customer's page, widget or agent's page: they are chosen, wait in the composer, and go."""
    page.locator("#files, #file").set_input_files(files)
    expect(page.locator("#chosen li")).to_have_count(len(files))
    page.locator("#text").press("Enter")
    expect(page.locator("#chosen")).to_be_hidden()


def faint_texts(page: Page) -> list[str]:
    """What can't be read well in the light or in the dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {text}" for text in page.evaluate(FAINT_AT_REST)]
    return found


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


@contextmanager
def opening(browser: Browser, shop: Shop) -> Iterator[Callable[..., Page]]:
    """`opened("/chat?tenant=shop")`: a page. An exception, a broken policy or an error on the console fails the test;
    what the browser says of the network does not count."""
    contexts, pages, wrong = [], [], []

    def made(path: str, context: Any = None, **options: Any) -> Page:
        if context is None:
            context = browser.new_context(
                **{"locale": "en-GB", "viewport": DESK, "reduced_motion": "reduce", **options}
            )
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
