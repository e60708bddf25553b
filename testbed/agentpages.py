"""The agent's page in a browser: who works on it, the customers whom they serve, how its sockets are cut."""

import json
import re
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    WebSocketRoute,
    expect,
)

from testbed.chathouse import Shop
from testbed.chromium import VIOLATIONS
from testbed.passwords import PASSWORD

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}
# As after a sign-in by the form, without the price of one; only once, for one may sign out.
SIGNED_IN = """if (!sessionStorage.getItem("begun")) {
  sessionStorage.setItem("begun", "yes");
  sessionStorage.setItem("giliran-agent", %s);
}"""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63d0885af0"
    "1f0003f2022291c4bd060000000049454e44ae426082"
)


def picture(width: int, height: int) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([90, 140, 200]) * width for _ in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Customer:
    """One session, by its key."""

    def __init__(self, home: Shop, name: str, message: str, email: str = "") -> None:
        self._home = home
        self.name = name
        email = email or f"{name.lower().replace(' ', '.')}@example.com"
        told = home.post("public/sessions", tenant_id=home.id, name=name, email=email, message=message)
        self.id, self.key = told["session_id"], told["session_key"]

    def says(self, body: str) -> None:
        self._home.post(f"public/sessions/{self.key}/messages", body=body, client_id=secrets.token_hex(8))

    def sees(self) -> dict[str, Any]:
        return self._home.get(f"public/sessions/{self.key}")

    def bodies(self) -> list[str]:
        return [row["body"] for row in self.sees()["messages"] if row["sender_type"] != "system"]

    def sends_file(self, name: str, content: bytes, kind: str) -> None:
        path = f"{self._home.url}/api/v1/public/sessions/{self.key}/attachments"
        requests.post(path, files={"file": (name, content, kind)}, timeout=10).raise_for_status()

    def ends(self) -> None:
        self._home.post(f"public/sessions/{self.key}/end")

    def is_given_to(self, name: str) -> None:
        """By the supervisor, who has no page open."""
        boss = self._home.token("Sri Wahyuni")
        self._home.post(f"sessions/{self.id}/assign", boss, agent_id=self._home.ids[name])


class Desk:
    """One signed-in page."""

    def __init__(self, page: Page, wrong: list[str]) -> None:
        self.page, self.wrong = page, wrong

    def sign_in(self, email: str, password: str = PASSWORD) -> "Desk":
        self.page.locator("#email").fill(email)
        self.page.locator("#password").fill(password)
        self.page.locator("#login-button").click()
        return self

    def row(self, customer: Customer) -> Locator:
        return self.page.locator(f"#row-{customer.id}")

    def tab(self, name: str) -> None:
        self.page.locator(f"#tab-{name}").click()

    def open(self, customer: Customer, tab: str = "mine") -> None:
        self.tab(tab)
        self.row(customer).click()
        expect(self.page.locator("#room-name")).to_have_text(customer.name)

    def pick(self, customer: Customer) -> None:
        self.open(customer, "queue")
        self.page.get_by_role("button", name="Pick", exact=True).click()
        expect(self.page.locator("#room-state")).to_have_text("With you")

    def write(self, text: str) -> None:
        self.page.get_by_label("Reply", exact=True).last.fill(text)
        self.page.keyboard.press("Enter")

    def bubbles(self) -> Locator:
        return self.page.locator("#log .msg .body")

    def expect_live(self, within_s: float = 20) -> None:
        expect(self.page.locator("#live")).to_have_attribute("data-state", "live", timeout=within_s * 1000)
        expect(self.page.locator("#desk")).to_be_visible()


class Line:
    """The way of a page's sockets: `shut` cuts it and keeps it cut, `free` lets them through again. What the server
    says gets lost where `loses` is true of it."""

    def __init__(self, page: Page, loses: Callable[[str], bool] | None) -> None:
        self.loses = loses
        self._sockets: list[WebSocketRoute] = []
        self._is_shut = threading.Event()
        page.route_web_socket(re.compile("/ws$"), self._route)

    def _route(self, socket: WebSocketRoute) -> None:
        if self._is_shut.is_set():
            socket.close(code=1011)
            return
        self._sockets.append(socket)
        server = socket.connect_to_server()
        server.on_message(lambda frame: None if self.loses and self.loses(str(frame)) else socket.send(frame))

    def shut(self) -> None:
        self._is_shut.set()
        for socket in self._sockets:
            socket.close(code=1011)
        self._sockets.clear()

    def free(self) -> None:
        self._is_shut.clear()


def on_a_line(made: Desk, loses: Callable[[str], bool] | None = None) -> Line:
    """A page that is signed in, whose sockets can be cut from now on."""
    line = Line(made.page, loses)
    made.page.reload()
    made.expect_live()
    return line


def _is_wrong(said: ConsoleMessage) -> bool:
    return said.type == "error" and not any(word in said.text for word in ("net::", "status of", "WebSocket"))


@contextmanager
def desks(browser: Browser, shop: Shop) -> Iterator[Callable[..., Desk]]:
    """`desk("agent@demo.com")`: a page with somebody signed in. No worker runs, so nothing comes by itself. An
    exception, a broken policy or an error on the console fails the test; what the browser says of the network doesn't
    count."""
    contexts, opened_desks = [], []

    def opened(email: str | None, **options: Any) -> Desk:
        context = browser.new_context(**{"locale": "en-GB", "viewport": DESK, "reduced_motion": "reduce", **options})
        context.add_init_script(VIOLATIONS)
        contexts.append(context)
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        made = Desk(page, wrong)
        opened_desks.append(made)
        if email:
            page.add_init_script(SIGNED_IN % json.dumps(shop.staff_token(email)))
        page.goto(f"{shop.url}/agent")
        if email:
            made.expect_live()
        return made

    yield opened
    seen = [
        (each.wrong, each.page.evaluate("window.violations ?? []"))
        for each in opened_desks
        if not each.page.is_closed()
    ]
    for context in contexts:
        context.close()
    assert all(each == ([], []) for each in seen), seen
