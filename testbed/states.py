"""Every page in every state that people see: each as a few steps that bring a page there. For pictures, and for axe.

with stage(browser, shop, locale="id-ID") as made:
    page = STATES["chat waiting"](made)

Nothing of a state hangs on the one before it. What a page shows beside the words of its language stays the same.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from playwright.sync_api import Browser, FilePayload, Page, expect

from testbed.agentpages import Customer as Asker
from testbed.agentpages import Desk, desks, picture
from testbed.chathouse import Shop
from testbed.chatpages import HOURS, KIOSK, PDF, Agent, Customer, Gate, opening, sends_files
from testbed.deadlines import eventually

LONG = "My order 57491250 came yesterday, but one of the three lamps is broken, and the box was open. " * 3
CANNED = {
    "hello": "Hello {name}, I am {agent}.",
    "hours": "We are open from 9 to 6.",
    "refund": "It is back in 3 days.",
}


class Stage:
    """Nobody waits, nobody is there; `ani` and `sri` work without a page."""

    def __init__(self, browser: Browser, shop: Shop, stack: ExitStack, options: dict[str, Any]) -> None:
        self.browser, self.shop, self._options = browser, shop, options
        shop.empty()
        self._open = stack.enter_context(opening(browser, shop))
        self._desk = stack.enter_context(desks(browser, shop))
        self._stack = stack
        self.ani, self.sri = Agent(shop), Agent(shop, "supervisor@demo.com")

    def open(self, path: str) -> Page:
        return self._open(path, **self._options)

    def desk(self, email: str | None = "agent@demo.com") -> Desk:
        return self._desk(email, **self._options)

    def staffed(self) -> None:
        """Ani is there."""
        page = self.ani.online(self.browser)
        self._stack.callback(page.context.close)
        self.ani.wishes("online")
        eventually(
            lambda: self.shop.get("public/desk?tenant_id=shop")["agents_online"] == 1, 5, "an agent who is there"
        )

    def customer(self, message: str = "Where is my order?", tenant: str = "shop") -> Customer:
        page = self.open(f"/chat?tenant={tenant}")
        expect(page.locator("#start-view")).to_be_visible()
        return Customer(self.shop, page).starts("Maya Putri", message, "maya@example.com")

    def served(self) -> Customer:
        """Ani talks with Maya."""
        self.staffed()
        maya = self.customer()
        self.ani.picks(maya.id)
        self.ani.says(maya.id, "Good day, I'll have a look.")
        expect(maya.bubbles()).to_have_count(2)
        return maya

    def askers(self) -> list[Asker]:
        """Three who wait, one who has been here before."""
        before = Asker(self.shop, "Maya Putri", "Do you have lamps?", "maya@example.com")
        before.is_given_to("Ani Lestari")
        before.ends()
        texts = {"Maya Putri": LONG, "Bartholomew Montgomery-Featherstonehaugh": "Hello?", "محمد علي": "مرحبا"}
        return [
            Asker(
                self.shop,
                name,
                text,
                f"{name[:4].strip().lower()}@example.com" if name.isascii() else "ali@example.com",
            )
            for name, text in texts.items()
        ]

    def widget(self, message: str = "") -> Page:
        page = self.open("/widget-demo.html?tenant=shop")
        page.locator(".launcher").click()
        expect(page.locator("#start-view")).to_be_visible()
        if message:
            page.locator("#chat-view #name").fill("Maya Putri")
            page.locator("#chat-view #email").fill("maya@example.com")
            page.locator("#chat-view #question").fill(message)
            page.locator("#start").click()
            expect(page.locator("#log .bubble")).to_have_count(1)
        return page

    def newest(self) -> str:
        return str(self.ani.does("GET", "queue")["sessions"][0]["session_id"])


@contextmanager
def stage(browser: Browser, shop: Shop, **options: Any) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(browser, shop, stack, options)


def make_kiosk(shop: Shop) -> None:
    """A tenant with a bot."""
    shop.home.new_shop("Kiosk", tenant=KIOSK)
    shop.home.run("INSERT INTO faq (tenant, question, answer) VALUES (%s, %s, %s)", KIOSK, *HOURS)


STATES: dict[str, Callable[[Stage], Page]] = {}


def _state(name: str) -> Callable[[Callable[[Stage], Page]], Callable[[Stage], Page]]:
    def put(reach: Callable[[Stage], Page]) -> Callable[[Stage], Page]:
        STATES[name] = reach
        return reach

    return put


# --- the small pages


def _opened(path: str) -> Callable[[Stage], Page]:
    return lambda made: made.open(path)


STATES["first page"] = _opened("/")
STATES["socket page"] = _opened("/websocket-test.html")
STATES["demo of the widget"] = _opened("/widget-demo.html")


# --- the customer's page


@_state("chat start")
def _(made: Stage) -> Page:
    made.staffed()
    page = made.open("/chat?tenant=shop")
    expect(page.locator("#online-chip")).to_be_visible()
    return page


@_state("chat start away")
def _(made: Stage) -> Page:
    page = made.open("/chat?tenant=shop")
    expect(page.locator("#online-chip")).to_be_visible()
    return page


@_state("chat start refused")
def _(made: Stage) -> Page:
    page = made.open("/chat?tenant=shop")
    page.locator("#email").fill("maya@")
    page.locator("#start").click()
    expect(page.locator("#email-wrong")).to_be_visible()
    return page


@_state("chat nowhere")
def _(made: Stage) -> Page:
    page = made.open("/chat?tenant=unknown")
    expect(page.locator("#nowhere-view")).to_be_visible()
    return page


@_state("chat waiting next")
def _(made: Stage) -> Page:
    made.staffed()
    page = made.customer().page
    expect(page.locator("#line-card")).to_be_visible()
    return page


@_state("chat waiting third")
def _(made: Stage) -> Page:
    made.staffed()
    made.askers()
    page = made.customer().page
    expect(page.locator("#place-number")).to_have_text("4")
    return page


@_state("chat away asked")
def _(made: Stage) -> Page:
    made.staffed()
    maya = made.customer("")
    made.ani.wishes("away")
    maya.page.reload()
    expect(maya.page.locator("#away-form")).to_be_visible()
    return maya.page


@_state("chat away kept")
def _(made: Stage) -> Page:
    page = made.customer().page
    expect(page.locator("#away-card")).to_be_visible()
    return page


@_state("chat bot")
def _(made: Stage) -> Page:
    maya = made.customer(HOURS[0], KIOSK)
    expect(maya.page.locator("#offers")).to_be_visible()
    return maya.page


@_state("chat active")
def _(made: Stage) -> Page:
    maya = made.served()
    sends_files(
        maya.page, {"name": "An invoice with a long name 2026.pdf", "mimeType": "application/pdf", "buffer": PDF}
    )
    maya.writes(LONG)
    sends_files(maya.page, {"name": "lamp.png", "mimeType": "image/png", "buffer": picture(400, 260)})
    maya.writes("👍")
    made.ani.says(maya.id, "See https://example.com/orders/57491250/returns?of=lamps&size=very-long-indeed-and-longer")
    expect(maya.page.locator("#log .picture img")).to_be_visible()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    return maya.page


@_state("chat menu")
def _(made: Stage) -> Page:
    page = made.served().page
    page.locator("#menu-button").click()
    expect(page.locator("#menu")).to_be_visible()
    return page


@_state("chat emojis")
def _(made: Stage) -> Page:
    page = made.served().page
    page.locator("#emoji-button").click()
    return page


@_state("chat asks about the end")
def _(made: Stage) -> Page:
    page = made.served().page
    page.locator("#menu-button").click()
    page.locator("#end").click()
    return page


@_state("chat not sent")
def _(made: Stage) -> Page:
    page = made.served().page
    sends_files(page, {"name": "page.html", "mimeType": "text/html", "buffer": b"<!doctype html><script></script>"})
    expect(page.locator("#log .failed")).to_be_visible()
    return page


def _chooses(page: Page, files: str) -> Page:
    """A picture, a document, and what is too large; and a text to go with them."""
    chosen = {"lamp.png": picture(400, 260), "An invoice with a long name 2026.pdf": PDF, "film.mp4": bytes(2 << 20)}
    kinds = {"png": "image/png", "pdf": "application/pdf", "mp4": "video/mp4"}
    page.locator(files).set_input_files(
        [FilePayload(name=name, mimeType=kinds[name[-3:]], buffer=held) for name, held in chosen.items()]
    )
    page.locator("#text").fill("This is how it came.")
    expect(page.locator("#chosen li")).to_have_count(3)
    return page


@_state("chat files chosen")
def _(made: Stage) -> Page:
    return _chooses(made.served().page, "#files")


@_state("chat no connection")
def _(made: Stage) -> Page:
    page = made.open("/chat?tenant=shop")
    gate = Gate(page)
    maya = Customer(made.shop, page).starts("Maya Putri", "Hello", "maya@example.com")
    maya.expect_state("live")
    page.route("**/api/v1/public/sessions/**", lambda route: route.abort())
    gate.shut()
    maya.writes("Are you there?")
    expect(page.locator("#banner")).to_be_visible()
    return page


@_state("chat ended")
def _(made: Stage) -> Page:
    maya = made.served()
    maya.page.locator("#text").fill("And one more")
    made.ani.does("POST", f"sessions/{maya.id}/end")
    expect(maya.page.locator("#rating")).to_be_visible()
    maya.page.locator("#stars input[value='4']").check(force=True)
    return maya.page


@_state("chat rated")
def _(made: Stage) -> Page:
    page = STATES["chat ended"](made)
    page.locator("#rating button[type=submit]").click()
    expect(page.locator("#rated")).to_be_visible()
    return page


# --- the widget


@_state("widget start")
def _(made: Stage) -> Page:
    made.staffed()
    return made.widget()


@_state("widget waiting")
def _(made: Stage) -> Page:
    made.staffed()
    made.askers()
    page = made.widget("Where is my order?")
    expect(page.locator("#line-card")).to_be_visible()
    return page


@_state("widget away")
def _(made: Stage) -> Page:
    page = made.widget("Where is my order?")
    expect(page.locator("#away-card")).to_be_visible()
    return page


@_state("widget active")
def _(made: Stage) -> Page:
    made.staffed()
    page = made.widget("Where is my order?")
    room = made.newest()
    made.ani.picks(room)
    made.ani.says(room, LONG)
    sends_files(page, {"name": "An invoice 2026.pdf", "mimeType": "application/pdf", "buffer": PDF})
    expect(page.locator("#log .bubble")).to_have_count(2)
    expect(page.locator("#log .message.waiting")).to_have_count(0)
    return page


@_state("widget files chosen")
def _(made: Stage) -> Page:
    return _chooses(STATES["widget active"](made), "#files")


@_state("widget asks about the end")
def _(made: Stage) -> Page:
    page = STATES["widget active"](made)
    page.locator("#end").click()
    expect(page.locator(".ask")).to_be_visible()
    return page


@_state("widget ended")
def _(made: Stage) -> Page:
    page = STATES["widget asks about the end"](made)
    page.locator(".ask .danger").click()
    expect(page.locator("#rating")).to_be_visible()
    page.locator("#stars input[value='4']").check(force=True)
    return page


# --- the agent's page


@_state("agent sign-in")
def _(made: Stage) -> Page:
    page = made.desk(None).page
    page.locator("#email").fill("agent@demo.com")
    page.locator("#password").fill("wrong")
    page.locator("#login-button").click()
    expect(page.locator("#login-error")).to_be_visible()
    return page


@_state("agent nothing")
def _(made: Stage) -> Page:
    page = made.desk().page
    expect(page.locator("#no-rows")).to_be_visible()
    return page


@_state("agent queue")
def _(made: Stage) -> Page:
    made.askers()
    ani = made.desk()
    ani.tab("queue")
    expect(ani.page.locator("#rows .row")).to_have_count(3)
    return ani.page


@_state("agent waiting room")
def _(made: Stage) -> Page:
    first, *_ = made.askers()
    ani = made.desk()
    ani.open(first, "queue")
    return ani.page


def _served_by(made: Stage) -> tuple[Desk, Asker]:
    """Ani has the first of the askers open, with messages of all kinds, a note and an earlier visit."""
    first, second, third = made.askers()
    made.shop.canned(CANNED)
    made.ani.picks(first.id)
    made.ani.picks(second.id)
    made.ani.says(first.id, "Good day Maya, I'm sorry to hear that.")
    made.ani.does("POST", f"sessions/{first.id}/notes", body="The second time this month.")
    first.sends_file("lamp.png", picture(400, 260), "image/png")
    first.sends_file("An invoice with a long name 2026.pdf", PDF, "application/pdf")
    second.says("Are you still there?")
    ani = made.desk()
    ani.open(first, "mine")
    expect(ani.page.locator("#log .file")).to_be_visible()
    return ani, first


@_state("agent room")
def _(made: Stage) -> Page:
    return _served_by(made)[0].page


@_state("agent files chosen")
def _(made: Stage) -> Page:
    return _chooses(_served_by(made)[0].page, "#file")


@_state("agent details")
def _(made: Stage) -> Page:
    page = _served_by(made)[0].page
    if page.locator("#details").is_hidden():
        page.locator("#details-button").click()
    expect(page.locator("#notes li")).to_be_visible()
    return page


def _clicked(name: str, button: str, seen: str) -> None:
    """A state of the open conversation, one click further."""

    def reach(made: Stage) -> Page:
        page = _served_by(made)[0].page
        page.locator(button).dispatch_event("click")  # on a phone some are in a menu
        expect(page.locator(seen)).to_be_visible()
        return page

    STATES[name] = reach


_clicked("agent note", "#kind-note", "#text")
_clicked("agent canned replies", "#canned-button", "#canned-box")
_clicked("agent emojis", "#emoji-button", "#emoji")
_clicked("agent gives", "#give", "#give-dialog")
_clicked("agent asks about the end", "#end", "#end-dialog")
_clicked("agent more", "#more-button", "#more-menu")
_clicked("agent picture", "#log .picture", "#photo-dialog")
_clicked("agent earlier visit", "#visits button", "#visit-dialog")


@_state("agent me")
def _(made: Stage) -> Page:
    page = made.desk().page
    page.locator("#me-button").click()
    return page


@_state("agent team")
def _(made: Stage) -> Page:
    page = made.desk().page
    page.locator("#team-button").click()
    return page


@_state("agent keys")
def _(made: Stage) -> Page:
    page = made.desk().page
    page.locator("#me-button").click()
    page.locator("#keys-button").dispatch_event("click")
    expect(page.locator("#keys-dialog")).to_be_visible()
    return page


@_state("agent search")
def _(made: Stage) -> Page:
    made.askers()
    ani = made.desk()
    ani.page.locator("#search").fill("lamp")
    expect(ani.page.locator("#found-rows .row").first).to_be_visible()
    return ani.page


@_state("agent no connection")
def _(made: Stage) -> Page:
    ani, _ = _served_by(made)
    ani.page.context.set_offline(True)
    ani.page.locator("#text").fill("Are you there?")
    ani.page.keyboard.press("Enter")
    expect(ani.page.locator("#live")).not_to_have_attribute("data-state", "live")
    return ani.page


@_state("agent ended")
def _(made: Stage) -> Page:
    ani, first = _served_by(made)
    first.ends()
    made.shop.post(f"public/sessions/{first.key}/rating", rating=4, comment="Quick and kind")
    expect(ani.page.locator("#room-state")).to_have_attribute("data-status", "ended")
    return ani.page


@_state("supervisor all")
def _(made: Stage) -> Page:
    _, second, _ = made.askers()
    second.is_given_to("Budi Santoso")
    sri = made.desk("supervisor@demo.com")
    sri.open(second, "all")
    return sri.page


@_state("supervisor canned replies")
def _(made: Stage) -> Page:
    made.shop.canned(CANNED)
    page = made.desk("supervisor@demo.com").page
    page.locator("#me-button").click()
    page.locator("#canned-menu").click()
    expect(page.locator("#canned-dialog .reply").first).to_be_visible()
    page.locator("#canned-add").click()
    return page


def slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name)
