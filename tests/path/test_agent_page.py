"""The agent's page in a real Chromium, with a real sidecar; customers come by REST, as their own pages would."""

import os
import re
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Dialog,
    FilePayload,
    Locator,
    Page,
    Route,
    WebSocketRoute,
    expect,
)

from db import chat
from tests.chathouse import Shop, page_shop
from tests.chromium import VIOLATIONS
from tests.deadlines import eventually
from tests.passwords import PASSWORD

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6260010000"
    "00ffff03000006000557bfabd40000000049454e44ae426082"
    + "1f15c4890000000d49444154789c626001000000ffff03000006000557bfabd40000000049454e44ae426082"
)


def _picture(width: int, height: int) -> bytes:
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

    def is_signed_in(self, token: str) -> "Desk":
        """As after a sign-in by the form, without the price of one. The page begins anew."""
        self.page.evaluate("token => sessionStorage.setItem('giliran-agent', token)", token)
        self.page.reload()
        return self

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
    """The way of a page's sockets: `shut` cuts it and keeps it cut, `free` lets them through again."""

    def __init__(self, page: Page) -> None:
        self._sockets: list[WebSocketRoute] = []
        self._is_shut = threading.Event()
        page.route_web_socket(re.compile("/ws$"), self._route)

    def _route(self, socket: WebSocketRoute) -> None:
        if self._is_shut.is_set():
            socket.close(code=1011)
            return
        self._sockets.append(socket)
        socket.connect_to_server()

    def shut(self) -> None:
        self._is_shut.set()
        for socket in self._sockets:
            socket.close(code=1011)
        self._sockets.clear()

    def free(self) -> None:
        self._is_shut.clear()


def _on_a_line(made: Desk) -> Line:
    """A page that is signed in, whose sockets can be cut from now on."""
    line = Line(made.page)
    made.page.reload()
    made.expect_live()
    return line


def _is_wrong(said: ConsoleMessage) -> bool:
    return said.type == "error" and not any(word in said.text for word in ("net::", "status of", "WebSocket"))


@pytest.fixture(scope="module")
def home(_databases, _redis_databases) -> Iterator[Shop]:
    with page_shop(_databases, _redis_databases, UPLOAD_MAX_MB="1") as made:
        yield made


@pytest.fixture
def shop(home: Shop) -> Shop:
    """Nobody waits, everybody has a free hand."""
    home.empty()
    return home


@pytest.fixture
def desk(browser: Browser, shop: Shop) -> Iterator[Callable[..., Desk]]:
    """`desk("agent@demo.com")`: a page with somebody signed in. No worker runs, so nothing comes by itself. An
    exception, a broken policy or an error on the console fails the test; what the browser says of the network doesn't
    count."""
    contexts, desks = [], []

    def opened(email: str | None, **options: Any) -> Desk:
        context = browser.new_context(**{"locale": "en-GB", "viewport": DESK, **options})
        context.add_init_script(VIOLATIONS)
        contexts.append(context)
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        made = Desk(page, wrong)
        desks.append(made)
        page.goto(f"{shop.url}/agent")
        if email:
            made.is_signed_in(shop.staff_token(email)).expect_live()
        return made

    yield opened
    seen = [(each.wrong, each.page.evaluate("window.violations ?? []")) for each in desks if not each.page.is_closed()]
    for context in contexts:
        context.close()
    assert all(each == ([], []) for each in seen), seen


# --- signing in


def test_a_wrong_password_is_told_and_the_right_one_opens_the_desk(desk):
    page = desk(None).page
    made = Desk(page, [])
    made.sign_in("agent@demo.com", "wrong")
    expect(page.locator("#login-error")).to_have_text("E-mail or password is not right.")
    made.sign_in("agent@demo.com")
    made.expect_live()
    expect(page.get_by_role("heading", name="Giliran")).to_be_visible()
    assert page.evaluate("localStorage.getItem('giliran-agent')") is None
    page.reload()
    made.expect_live()


def test_signing_out_ends_the_token(desk, shop):
    made = desk("agent@demo.com")
    token = made.page.evaluate("sessionStorage.getItem('giliran-agent')")
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitem", name="Sign out").click()
    expect(made.page.get_by_role("button", name="Sign in")).to_be_visible()
    answer = requests.get(f"{shop.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.status_code == 401


def test_a_sign_in_that_ended_comes_back_without_losing_the_draft(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hello")
    made.pick(maya)
    made.page.locator("#text").fill("A long answer that nobody wants to type twice")
    shop.revoke_all()
    expect(made.page.locator("#login-why")).to_contain_text("drafts are kept", timeout=15_000)
    made.sign_in("agent@demo.com")
    made.expect_live()
    expect(made.page.locator("#text")).to_have_value("A long answer that nobody wants to type twice")
    made.page.locator("#text").press("Enter")
    eventually(lambda: "A long answer that nobody wants to type twice" in maya.bodies(), 5, "the answer")


# --- serving


def test_a_waiting_customer_is_picked_and_answered(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "My parcel is late")
    made.tab("queue")
    expect(made.row(maya)).to_contain_text("#1")
    made.pick(maya)
    made.write("I am looking")
    expect(made.bubbles()).to_have_text(["My parcel is late", "I am looking"])
    expect(made.page.locator("#log .mark-box[data-mark=sent]")).to_have_count(1)
    assert maya.sees()["agent"]["name"] == "Ani Lestari"
    maya.says("Thank you")
    expect(made.bubbles()).to_have_text(["My parcel is late", "I am looking", "Thank you"])
    eventually(lambda: maya.sees()["agent_read"] == maya.sees()["last_seq"], 5, "the mark that the agent has read")


def test_places_in_line_move_up_live(desk, shop):
    made = desk("agent@demo.com")
    people_ = [Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A")]
    made.tab("queue")
    expect(made.page.locator("#rows .chip")).to_have_text(["#1", "#2", "#3"])
    people_[0].ends()
    expect(made.page.locator("#rows .chip")).to_have_text(["#1", "#2"])
    expect(made.page.locator("#rows .name")).to_have_text(["Joko W", "Dewi A"])


def test_a_pick_whose_answer_is_late_takes_nobody_back(desk, shop):
    ani = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    held = []
    ani.page.route("**/queue/*/pick", lambda route: held.append((route, route.fetch())))
    ani.pick(maya)
    ani.tab("queue")
    ((route, answer),) = held
    with ani.page.expect_response("**/queue/*/pick"):
        route.fulfill(response=answer)
    ani.page.evaluate("() => new Promise(done => setTimeout(done, 200))")
    expect(ani.page.locator("#tab-queue")).to_have_attribute("aria-selected", "true")
    expect(ani.row(joko)).to_be_visible()


def test_of_two_who_pick_one_customer_the_slower_is_told_kindly(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    for each in (ani, budi):
        each.open(maya, "queue")
    shop.pick("agent2@demo.com", maya.id)
    expect(ani.page.locator("#room-state")).to_have_text("With Budi Santoso")
    expect(ani.page.locator("#pick")).to_be_hidden()
    press = "const pick = document.querySelector('#pick'); pick.hidden = false; pick.click()"
    ani.page.evaluate(f"() => {{ {press} }}")  # the press that was on its way
    expect(ani.page.locator(".toast")).to_contain_text("A colleague was faster")
    expect(budi.page.locator("#room-state")).to_have_text("With you")


def test_nobody_picks_over_their_limit(desk, shop):
    made = desk("agent@demo.com")
    for name in ("Maya Putri", "Joko W"):
        made.pick(Customer(shop, name, "Hi"))
    third = Customer(shop, "Dewi A", "Hi")
    made.open(third, "queue")
    made.page.locator("#pick").click()
    expect(made.page.locator(".toast")).to_contain_text("as many conversations as your limit allows")
    expect(made.page.locator("#room-state")).to_contain_text("Number 1 in line")


def test_a_conversation_moves_to_a_colleague_and_both_pages_know(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    ani.page.get_by_role("button", name="Transfer").click()
    choice = ani.page.locator("#give-people").get_by_role("button", name=re.compile("Budi Santoso"))
    expect(choice).to_contain_text("0 of 2")
    choice.click()
    expect(ani.page.locator("#room-state")).to_have_text("With Budi Santoso")
    expect(ani.page.locator("#bar-text")).to_contain_text("reading along")
    expect(ani.page.locator("#kind-reply")).to_be_hidden()
    budi.open(maya)
    budi.write("Budi here")
    expect(ani.bubbles()).to_have_text(["Hi", "Budi here"])
    expect(ani.page.locator("#log .happening").last).to_contain_text("Transferred from Ani Lestari to Budi Santoso")


def test_a_supervisor_may_write_into_a_conversation_of_a_colleague(desk, shop):
    ani, boss = desk("agent@demo.com"), desk("supervisor@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    boss.open(maya, "all")
    expect(boss.page.locator("#bar-text")).to_contain_text("shown to the customer")
    boss.write("This is the supervisor")
    expect(ani.bubbles()).to_have_text(["Hi", "This is the supervisor"])


def test_the_end_asks_first_and_is_shown_with_the_rating(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.page.get_by_role("button", name="End", exact=True).click()
    made.page.get_by_role("button", name="Cancel").click()
    assert maya.sees()["status"] == "active"
    made.page.get_by_role("button", name="End", exact=True).click()
    made.page.get_by_role("button", name="End conversation").click()
    expect(made.page.locator("#bar-text")).to_contain_text("has ended")
    expect(made.page.locator("#rows .row")).to_have_count(0)
    shop.post(f"public/sessions/{maya.key}/rating", rating=5, comment="Quick")
    expect(made.page.locator("[data-fact=f_rating]")).to_have_text("★★★★★")


def test_the_worker_gives_conversations_to_whoever_is_online(desk, shop):
    made = desk("agent@demo.com")
    with shop.home.house.worker():
        customers = [Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A")]
        expect(made.page.locator("#rows .row")).to_have_count(2)
        made.tab("queue")
        expect(made.page.locator("#rows .name")).to_have_text(["Dewi A"])
        customers[0].ends()
        expect(made.page.locator("#rows .row")).to_have_count(0)
        made.tab("mine")
        expect(made.page.locator("#rows .row")).to_have_count(2)


# --- messages


def test_html_is_text_and_links_open_elsewhere(desk, shop):
    made = desk("agent@demo.com")
    body = "<script>alert(1)</script> https://example.com/a?b=1. And (https://example.com/Foo_(bar))"
    maya = Customer(shop, "<img src=x onerror=alert(1)>", body, "maya@example.com")
    made.pick(maya)
    expect(made.bubbles()).to_have_text([body])
    links = made.page.locator("#log a")
    expect(links).to_have_text(["https://example.com/a?b=1", "https://example.com/Foo_(bar)"])
    expect(links.first).to_have_attribute("href", "https://example.com/a?b=1")
    expect(links.first).to_have_attribute("rel", re.compile("noopener noreferrer"))
    assert made.page.locator("#log img, #log script, #rows img").count() == 0


def test_notes_are_shown_to_colleagues_and_never_reach_the_customer(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    budi.open(maya, "all")
    ani.page.get_by_role("tab", name="Private note").click()
    ani.page.locator("#text").fill("Third complaint this month")
    ani.page.get_by_role("button", name="Save note").click()
    expect(ani.page.locator("#log .note")).to_contain_text("Third complaint this month")
    expect(budi.page.locator("#log .note")).to_contain_text("Third complaint this month")
    expect(budi.page.locator("#notes li")).to_contain_text("Third complaint this month")
    assert "Third complaint" not in str(maya.sees())


def test_what_somebody_writes_never_changes_its_kind_by_itself(desk, shop):
    """Half a note would go to the customer, half a reply to the colleagues."""
    made = desk("agent@demo.com")
    page = made.page
    maya = Customer(shop, "Maya Putri", "Hi")
    made.open(maya, "queue")
    page.locator("#text").press_sequentially("She is rude, give her")
    maya.is_given_to("Ani Lestari")
    expect(page.locator("#room-state")).to_have_text("With you")
    page.keyboard.type(" nothing")
    page.keyboard.press("Enter")
    expect(page.locator("#log .note")).to_contain_text("She is rude, give her nothing")
    expect(page.locator("#composer")).to_have_attribute("data-kind", "note")
    page.get_by_role("tab", name="Reply").click()
    page.keyboard.type("Dear Maya")
    maya.is_given_to("Budi Santoso")
    expect(page.locator("#bar-text")).to_contain_text("Budi Santoso has this conversation now")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value("Dear Maya")
    expect(page.locator("#composer")).to_have_attribute("data-kind", "reply")
    expect(page.locator("#send")).to_be_disabled()
    expect(page.locator("#said")).to_contain_text("your reply cannot be sent")
    page.get_by_role("button", name="Write a private note").click()
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#send")).to_be_enabled()
    page.locator("#log-box").click()
    maya.is_given_to("Ani Lestari")
    expect(page.locator("#room-state")).to_have_text("With you")
    page.get_by_role("tab", name="Reply").click()
    expect(page.locator("#text")).to_have_value("Dear Maya")
    assert maya.bodies() == ["Hi"]
    expect(page.locator("#log .note")).to_have_count(1)


def test_a_reply_that_came_too_late_says_why_it_is_not_sent(desk, shop):
    made = desk("agent@demo.com")
    line = _on_a_line(made)
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    line.shut()
    made.page.route("**/messages", lambda route: route.abort())
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    made.write("Too late")
    maya.is_given_to("Budi Santoso")
    made.page.unroute("**/messages")
    line.free()
    expect(made.page.locator("#log .failed .meta")).to_contain_text(
        "Not sent: a colleague has this conversation now", timeout=20_000
    )
    assert maya.bodies() == ["Hi"]


def test_the_emoji_close_when_somebody_goes_on_elsewhere_and_keys_move_by_their_rows(desk, shop):
    made = desk("agent@demo.com")
    page = made.page
    made.pick(Customer(shop, "Maya Putri", "Hi"))
    for size, reached in ((DESK, 11), (PHONE, 11 + 8)):
        page.set_viewport_size(size)
        page.locator("#emoji-button").click()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#emoji button").nth(reached)).to_be_focused()
        page.locator("#log-box").click()
        expect(page.locator("#emoji")).to_be_hidden()


def test_canned_replies_come_by_their_shortcut(desk, shop):
    shop.canned({"hello": "Hello {name}, this is {agent}.", "bye": "Good bye"})
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.page.locator("#text").press_sequentially("/he")
    expect(made.page.get_by_role("option", name="hello")).to_be_visible()
    made.page.keyboard.press("Enter")
    expect(made.page.locator("#text")).to_have_value("Hello Maya Putri, this is Ani Lestari.")


# --- canned replies, edited


def _editor(made: Desk) -> Locator:
    """Opened from the menu."""
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitem", name="Edit canned replies").click()
    editor = made.page.get_by_role("dialog", name="Canned replies")
    expect(editor).to_be_visible()
    return editor


def _reply(editor: Locator, shortcut: str) -> Locator:
    return editor.get_by_role("group", name=f"Reply /{shortcut}", exact=True)


def _add(editor: Locator, shortcut: str, text: str) -> None:
    editor.get_by_role("button", name="Add a reply").click()
    made = editor.locator(".reply").last
    expect(made.get_by_label("Shortcut", exact=True)).to_be_focused()
    made.get_by_label("Shortcut", exact=True).fill(shortcut)
    made.get_by_label("Text", exact=True).fill(text)


def _save(editor: Locator) -> None:
    editor.get_by_role("button", name="Save", exact=True).click()


def test_a_supervisor_edits_the_canned_replies_and_an_agent_has_them_at_once(desk, shop):
    shop.canned({"hello": "Hello {name}", "bye": "Good bye", "hours": "Open from 9 to 5"})
    ani, sri = desk("agent@demo.com"), desk("supervisor@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    sri.open(maya, "all")
    sri.page.locator("#canned-button").click()
    sri.page.get_by_role("button", name="Edit replies").click()
    editor = sri.page.get_by_role("dialog", name="Canned replies")
    expect(_reply(editor, "bye").get_by_label("Shortcut", exact=True)).to_be_focused()
    _reply(editor, "hello").get_by_label("Text", exact=True).fill("Good morning {name}, I am {agent}")
    editor.get_by_role("button", name="Remove /hours").click()
    expect(editor.get_by_text("/hours will be removed")).to_be_visible()
    editor.get_by_role("button", name="Remove /bye").click()
    editor.get_by_role("button", name="Undo: keep /bye").click()
    _add(editor, "refund", "The money is back in three days.")
    _save(editor)
    expect(editor).to_be_hidden()
    expect(sri.page.locator("#canned-button")).to_be_focused()
    expect(sri.page.get_by_text("Canned replies saved")).to_be_visible()
    sri.page.locator("#canned-button").click()
    expect(sri.page.locator("#canned").get_by_role("option")).to_have_text(
        [re.compile("^/bye"), re.compile("^/hello"), re.compile("^/refund")]
    )
    ani.page.locator("#text").press_sequentially("/ref")
    expect(ani.page.get_by_role("option", name="refund")).to_be_visible()
    ani.page.keyboard.press("Enter")
    expect(ani.page.locator("#text")).to_have_value("The money is back in three days.")
    ani.page.reload()
    ani.expect_live()
    ani.open(maya)
    ani.page.locator("#text").fill("/hel")
    ani.page.keyboard.press("Enter")
    expect(ani.page.locator("#text")).to_have_value("Good morning Maya Putri, I am Ani Lestari")


def test_agents_are_not_offered_to_edit_canned_replies(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("agent@demo.com")
    made.pick(Customer(shop, "Maya Putri", "Hi"))
    made.page.locator("#canned-button").click()
    expect(made.page.get_by_role("option", name="hello")).to_be_visible()
    expect(made.page.get_by_role("button", name="Edit replies")).to_be_hidden()
    made.page.locator("#me-button").click()
    expect(made.page.get_by_role("menuitem", name="Keyboard shortcuts")).to_be_visible()
    expect(made.page.get_by_role("menuitem", name="Edit canned replies")).to_be_hidden()


def test_what_is_wrong_with_a_canned_reply_is_said_at_its_field_and_nothing_is_sent(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("supervisor@demo.com")
    asked: list[str] = []
    editor = _editor(made)
    made.page.on("request", lambda request: asked.append(request.method))
    for shortcut, text in (("Hello", "Hi"), ("two words", ""), ("a" * 33, "x" * 4001)):
        _add(editor, shortcut, text)
    _save(editor)
    expect(editor.get_by_role("alert")).to_contain_text("5 fields are not right yet.")
    expect(editor.get_by_label("Shortcut", exact=True).nth(1)).to_be_focused()
    for number, said in ((1, "/Hello is there twice."), (2, "no spaces and no slash"), (3, "At most 32 characters")):
        field = editor.get_by_label("Shortcut", exact=True).nth(number)
        expect(field).to_have_accessible_description(re.compile(re.escape(said)))
    expect(editor.get_by_label("Text", exact=True).nth(2)).to_have_accessible_description("Write the text.")
    expect(editor.get_by_label("Text", exact=True).nth(3)).to_have_accessible_description(re.compile("4000.*4001"))
    assert asked == []
    for number in (3, 2):
        editor.locator(".reply").nth(number).get_by_role("button", name="Remove").click()
    editor.get_by_label("Shortcut", exact=True).nth(1).fill("hi")
    expect(editor.get_by_role("alert")).to_be_hidden()
    _save(editor)
    expect(editor).to_be_hidden()


def test_in_a_long_list_of_canned_replies_one_is_found(desk, shop):
    shop.canned({f"reply{number}": f"Answer {number}" for number in range(30)})
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    expect(editor.get_by_role("group")).to_have_count(30)
    editor.get_by_label("Find a reply").fill("answer 17")
    expect(editor.get_by_role("group")).to_have_count(1)
    made.page.keyboard.press("Enter")
    _reply(editor, "reply17").get_by_label("Text", exact=True).fill("Found")
    editor.get_by_label("Find a reply").fill("nowhere")
    expect(editor.get_by_text("No canned reply matches")).to_be_visible()
    made.page.keyboard.press("Escape")
    expect(editor.get_by_role("group")).to_have_count(30)
    _save(editor)
    expect(editor).to_be_hidden()
    editor = _editor(made)
    expect(editor.get_by_role("group")).to_have_count(30)
    expect(_reply(editor, "reply17").get_by_label("Text", exact=True)).to_have_value("Found")


def test_changed_canned_replies_are_not_dropped_without_asking(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    made.page.keyboard.press("Escape")
    expect(editor).to_be_hidden()
    expect(made.page.locator("#me-button")).to_be_focused()
    editor = _editor(made)
    text = _reply(editor, "hello").get_by_label("Text", exact=True)
    text.fill("Welcome back")
    made.page.keyboard.press("Escape")
    question = made.page.get_by_role("dialog", name="Discard your changes?")
    expect(question.get_by_role("button", name="Keep editing")).to_be_focused()
    made.page.keyboard.press("Enter")
    expect(question).to_be_hidden()
    expect(text).to_be_focused()
    expect(text).to_have_value("Welcome back")
    editor.get_by_role("button", name="Cancel").click()
    question.get_by_role("button", name="Discard changes").click()
    expect(editor).to_be_hidden()
    editor = _editor(made)
    expect(_reply(editor, "hello").get_by_label("Text", exact=True)).to_have_value("Hello {name}")


def test_a_page_with_changed_canned_replies_is_not_left_without_asking(desk, shop):
    made = desk("supervisor@demo.com")
    _add(_editor(made), "hello", "Hello {name}")
    asked: list[str] = []

    def stay(question: Dialog) -> None:
        asked.append(question.type)
        question.dismiss()

    made.page.on("dialog", stay)
    made.page.evaluate("setTimeout(() => location.reload())")
    eventually(lambda: made.page.title() and asked == ["beforeunload"], 5, "the question of the browser")
    expect(made.page.get_by_label("Text", exact=True)).to_have_value("Hello {name}")


def test_canned_replies_that_a_colleague_changed_meanwhile_are_not_overwritten_unseen(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    _reply(editor, "hello").get_by_label("Text", exact=True).fill("Mine")
    shop.canned({"hello": "Theirs"})
    _save(editor)
    expect(editor.get_by_role("alert")).to_contain_text("Somebody else has changed the replies")
    editor.get_by_role("button", name="Drop mine, show theirs").click()
    text = _reply(editor, "hello").get_by_label("Text", exact=True)
    expect(text).to_have_value("Theirs")
    text.fill("Mine again")
    shop.canned({"hello": "Theirs again"})
    _save(editor)
    editor.get_by_role("button", name="Save mine instead").click()
    expect(editor).to_be_hidden()
    editor = _editor(made)
    expect(_reply(editor, "hello").get_by_label("Text", exact=True)).to_have_value("Mine again")


def test_a_refusal_and_a_sign_in_that_ended_lose_no_changed_canned_reply(desk, shop):
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    expect(editor.get_by_text("No canned replies yet")).to_be_visible()
    _add(editor, "hello", "Hello {name}")
    refused = {"error": {"code": "unavailable", "message": "away"}}
    made.page.route("**/api/v1/canned", lambda route: route.fulfill(status=503, json=refused))
    _save(editor)
    expect(editor.get_by_role("alert")).to_contain_text("The server cannot do this right now. Try again in a moment.")
    made.page.unroute("**/api/v1/canned")
    shop.revoke_all()
    _save(editor)
    made.sign_in("supervisor@demo.com")
    expect(editor.get_by_role("alert")).to_contain_text("Your changes are still here, they are not saved yet.")
    _save(editor)
    expect(editor).to_be_hidden()
    expect(made.page.get_by_text("Canned replies saved")).to_be_visible()


def test_canned_replies_are_edited_on_a_phone_in_indonesian(desk, shop, tmp_path):
    """Leaves pictures to look at, as the day at the desk does."""
    folder = Path(os.environ.get("GILIRAN_PICTURES", tmp_path))
    shop.canned({"halo": "Halo {name}, saya {agent}. Ada yang bisa saya bantu?", "kirim": "Paket tiba besok."})
    phone = {"viewport": PHONE, "locale": "id-ID", "is_mobile": True, "has_touch": True}
    made = desk("supervisor@demo.com", **phone)
    made.page.locator("#me-button").tap()
    made.page.get_by_role("menuitem", name="Ubah balasan siap pakai").tap()
    editor = made.page.get_by_role("dialog", name="Balasan siap pakai")
    expect(editor.get_by_role("group", name="Balasan /halo")).to_be_visible()
    made.page.screenshot(path=folder / "canned-phone-id.png")
    editor.get_by_role("button", name="Hapus /kirim").tap()
    editor.get_by_role("button", name="Tambah balasan").tap()
    editor.get_by_label("Pintasan", exact=True).last.fill("dua kata")
    editor.get_by_role("button", name="Simpan").tap()
    expect(editor.get_by_text("Pintasan tidak memuat spasi")).to_be_visible()
    made.page.screenshot(path=folder / "canned-phone-id-wrong.png")
    assert made.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    editor.get_by_label("Pintasan", exact=True).last.fill("dua")
    editor.get_by_label("Teks", exact=True).last.fill("Dua kata")
    editor.get_by_role("button", name="Simpan").tap()
    expect(editor).to_be_hidden()


# --- files and transcripts


def _file(name: str, kind: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def test_files_go_both_ways(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    maya.sends_file("photo.png", PIXEL, "image/png")
    expect(made.page.locator("#log .picture img")).to_have_attribute("src", re.compile("^blob:"))
    made.page.locator("#file").set_input_files(
        {"name": "terms.txt", "mimeType": "text/plain", "buffer": b"All is well"}
    )
    expect(made.page.locator("#log .file")).to_contain_text("terms.txt")
    assert maya.sees()["messages"][-1]["attachments"][0]["name"] == "terms.txt"
    with made.page.expect_download() as download:
        made.page.locator("#log .file").click()
    assert Path(download.value.path()).read_bytes() == b"All is well"


def test_an_upload_stays_with_its_conversation_and_says_what_is_wrong(desk, shop):
    made = desk("agent@demo.com")
    page = made.page
    held: list[Route] = []
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (joko, maya):
        made.pick(each)
    rows, files = page.locator("#uploads li"), page.locator("#file")

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/attachments", hold)
    files.set_input_files(_file("terms.txt", "text/plain", b"All is well"))
    eventually(lambda: page.title() and held, 5, "the upload")
    made.open(joko)
    expect(rows).to_have_count(0)
    held[0].abort()
    made.open(maya)
    expect(rows).to_contain_text("No connection. Try again in a moment.")
    page.unroute("**/attachments")
    rows.get_by_role("button", name="Try again").click()
    expect(page.locator("#log .file")).to_contain_text("terms.txt")
    expect(rows).to_have_count(0)
    asked: list[str] = []
    files.set_input_files(_file("x.html", "text/html", b"<html><script>alert(1)</script>"))
    expect(rows).to_contain_text("x.html is a kind of file that cannot be sent here")
    page.on("request", lambda request: asked.append(request.url))
    files.set_input_files(_file("big.bin", "application/octet-stream", bytes(1 + (1 << 20))))
    expect(rows.last).to_contain_text("big.bin is too large: at most 1 MB may be sent.")
    expect(rows.get_by_role("button", name="Try again")).to_have_count(0)
    assert asked == []
    for name in ("x.html", "big.bin"):
        page.get_by_role("button", name=f"Remove {name}").click()
    expect(rows).to_have_count(0)


def test_a_transcript_is_saved_as_text_and_as_json(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "My parcel is late")
    made.pick(maya)
    for name in ("Transcript as text", "Transcript as JSON"):
        made.page.locator("#more-button").click()
        with made.page.expect_download() as download:
            made.page.get_by_role("menuitem", name=name).click()
        assert b"My parcel is late" in Path(download.value.path()).read_bytes()


def test_search_finds_messages_of_ended_conversations_and_shows_them(desk, shop):
    maya = Customer(shop, "Maya Putri", "The courier broke my vase")
    maya.ends()
    made = desk("agent@demo.com")
    made.page.keyboard.press("/")
    made.page.keyboard.type("vase")
    hit = made.page.locator("#found-rows button")
    expect(hit.locator("mark")).to_have_text("vase")
    hit.click()
    expect(made.page.locator("#log .msg.flash")).to_contain_text("The courier broke my vase")
    expect(made.page.locator("#bar-text")).to_contain_text("has ended")
    told = shop.post("public/sessions", tenant_id=shop.id, name="Silent Joko", email="joko@example.com")
    shop.post(f"public/sessions/{told['session_key']}/end")
    made.page.keyboard.press("/")
    made.page.keyboard.type("silent")
    expect(made.page.locator("#found-rows time")).to_have_text(re.compile(r"^\d\d:\d\d$"))


def test_earlier_visits_are_beside_the_conversation_with_their_messages(desk, shop):
    first = Customer(shop, "Maya Putri", "Where is my order")
    first.ends()
    second = Customer(shop, "Maya Putri", "It is me again")
    made = desk("agent@demo.com")
    made.pick(second)
    made.page.locator("#visits button").click()
    expect(made.page.locator("#visit-log .msg")).to_contain_text("Where is my order")
    made.page.keyboard.press("Escape")
    expect(made.page.locator("#visit-dialog")).to_be_hidden()


def test_drafts_are_kept_for_each_conversation_and_over_a_reload(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (maya, joko):
        made.pick(each)
    made.open(maya)
    made.page.locator("#text").fill("for Maya")
    made.open(joko)
    expect(made.page.locator("#text")).to_have_value("")
    made.page.reload()
    made.expect_live()
    made.open(maya)
    expect(made.page.locator("#text")).to_have_value("for Maya")


def test_the_title_and_the_row_count_what_is_unread(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (maya, joko):
        made.pick(each)
    for text in ("one", "two"):
        maya.says(text)
    expect(made.row(maya).locator(".badge")).to_have_text("2")
    expect(made.page).to_have_title("(2) Agent · Giliran")
    made.open(maya)
    expect(made.page).to_have_title("Agent · Giliran")
    expect(made.row(maya).locator(".badge")).to_have_count(0)


def test_a_customer_learns_that_their_message_has_arrived_before_it_is_read(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (maya, joko):
        made.pick(each)
    maya.says("Are you there?")
    eventually(lambda: maya.sees()["agent_got"] == maya.sees()["last_seq"], 5, "the mark that it was delivered")
    assert maya.sees()["agent_read"] < maya.sees()["last_seq"]


TOLD = """() => { window.told = []; document.hasFocus = () => false;
    window.Notification = class { constructor(title, { body }) { told.push(title + ': ' + body); }
        static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } } }"""


def test_notifications_are_shown_to_whoever_asked_for_them_and_looks_elsewhere(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.page.evaluate(TOLD)
    maya.says("not yet")
    expect(made.bubbles()).to_have_count(2)
    assert made.page.evaluate("told") == []
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitemcheckbox", name="Desktop notifications").click()
    maya.says("now")
    expect(made.bubbles()).to_have_count(3)
    assert made.page.evaluate("told") == ["Maya Putri: now"]
    expect(made.page).to_have_title("(2) Agent · Giliran")


def test_a_new_customer_in_the_line_is_told_to_whoever_picks_by_hand(desk, shop):
    """Agents who are away; supervisors once they ask for it. Others are given chats and need not look."""
    away, online, boss = (desk(f"{name}@demo.com") for name in ("agent", "agent2", "supervisor"))
    away.page.locator("#me-button").click()
    away.page.get_by_role("menuitemradio", name="Away").click()
    for each in (away, online, boss):
        each.page.evaluate(TOLD)
        each.page.locator("#me-button").click()
        each.page.get_by_role("menuitemcheckbox", name="Desktop notifications").click()
        each.page.keyboard.press("Escape")
    maya = Customer(shop, "Maya Putri", "Hi")
    for each in (away, online, boss):
        expect(each.page.locator("[data-count=queue]")).to_have_text("1")
    expect(away.page).to_have_title("(1) Agent · Giliran")
    assert [each.page.evaluate("told") for each in (away, online, boss)] == [
        ["New in the queue: Maya Putri: Hi"],
        [],
        [],
    ]
    boss.page.locator("#me-button").click()
    boss.page.get_by_role("menuitemcheckbox", name="New in the queue").click()
    Customer(shop, "Joko W", "Hello")
    expect(boss.page).to_have_title("(1) Agent · Giliran")
    assert boss.page.evaluate("told") == ["New in the queue: Joko W: Hello"]
    maya.ends()
    expect(away.page).to_have_title("(1) Agent · Giliran")
    away.page.evaluate("document.hasFocus = () => true")
    away.tab("queue")
    expect(away.page).to_have_title("Agent · Giliran")


# --- the connection


def test_no_request_is_made_while_messages_flow(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    expect(made.bubbles()).to_have_count(1)
    asked: list[str] = []
    made.page.on("request", lambda request: asked.append(request.url))
    others = [Customer(shop, f"Guest {n}", "Hello") for n in range(3)]
    for n in range(30):
        maya.says(f"message {n}")
    others[0].ends()
    made.write("I read all of it")
    expect(made.bubbles()).to_have_count(32)
    made.tab("queue")
    expect(made.page.locator("#rows .row")).to_have_count(2)
    assert asked == []


def test_what_was_said_while_the_socket_was_away_is_there_once_and_in_order(desk, shop):
    made = desk("agent@demo.com")
    line = _on_a_line(made)
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    line.shut()
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    said = [f"message {n}" for n in range(30)]
    for text in said:
        maya.says(text)
    line.free()
    made.expect_live()
    expect(made.bubbles()).to_have_text(["Hi", *said])


def test_the_list_of_the_ended_is_whole_again_after_the_socket_was_away(desk, shop):
    """Those that it had, of later pages too; those that ended meanwhile; each once."""
    early = [Customer(shop, f"Guest {number}", "Hi") for number in range(53)]
    for customer in early[1:]:
        customer.ends()
    made = desk("agent@demo.com")
    line = _on_a_line(made)
    made.tab("all")
    made.page.locator("[data-show=ended]").click()
    expect(made.page.locator("#rows .row")).to_have_count(50)
    made.page.locator("#more").click()
    expect(made.page.locator("#rows .row")).to_have_count(52)
    late = [Customer(shop, name, "Hi") for name in ("Joko W", "Dewi A")]
    late[0].ends()
    expect(made.page.locator("#rows .name").first).to_have_text("Joko W")
    line.shut()
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    late[1].ends()
    early[0].ends()
    line.free()
    made.expect_live()
    expect(made.page.locator("#rows .row")).to_have_count(55)
    expect(made.page.locator("#rows .name").nth(0)).to_have_text("Guest 0")
    expect(made.page.locator("#rows .name").nth(1)).to_have_text("Dewi A")
    expect(made.page.locator("#rows .name").nth(2)).to_have_text("Joko W")


def test_where_sockets_are_blocked_it_goes_on_by_polling(desk, shop):
    made = desk(None)
    made.page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close(code=1011))
    made.page.reload()
    maya = Customer(shop, "Maya Putri", "Hi")
    made.sign_in("agent@demo.com")
    expect(made.page.locator("#live")).to_have_text("Offline · polling", timeout=15_000)
    eventually(
        lambda: shop.get(f"public/desk?tenant_id={shop.id}")["agents_online"] == 1,
        5,
        "the presence of a page that polls",
    )
    made.pick(maya)
    made.write("By another way")
    expect(made.bubbles()).to_have_text(["Hi", "By another way"])
    eventually(lambda: maya.bodies() == ["Hi", "By another way"], 5, "the message")
    maya.says("Got it")
    expect(made.bubbles()).to_have_text(["Hi", "By another way", "Got it"], timeout=10_000)


def test_what_was_written_while_the_server_was_away_is_sent_once_and_in_order(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    shop.home.sidecar.kill()
    expect(made.page.locator("#live")).to_have_text("Reconnecting…")
    said = [f"answer {n}" for n in range(5)]
    for text in said:
        made.write(text)
    expect(made.page.locator("#log .msg.pending")).to_have_count(5)
    shop.home.sidecar.start()
    made.expect_live(30)
    expect(made.page.locator("#log .msg.pending")).to_have_count(0)
    expect(made.bubbles()).to_have_text(["Hi", *said])
    assert maya.bodies() == ["Hi", *said]


SHOWN = """() => [...document.querySelectorAll('#rows .row, #log > li, #room-state')]
    .map(node => node.innerText.replace(/\\d+ (s|min)/, ''))"""


def test_events_lead_to_what_a_fresh_load_shows(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya, joko, dewi = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A"))
    ani.pick(maya)
    budi.pick(joko)
    ani.write("Hello Maya")
    maya.says("one")
    budi.write("Hello Joko")
    budi.page.get_by_role("button", name="Transfer").click()
    budi.page.locator("#give-people").get_by_role("button", name=re.compile("Ani")).click()
    expect(budi.page.locator("#room-state")).to_have_text("With Ani Lestari")
    dewi.ends()
    joko.says("two")
    for each in (ani, budi):
        each.open(joko, "all")
        expect(each.bubbles()).to_have_text(["Hi", "Hello Joko", "two"])
        expect(each.page.locator("#rows .row")).to_have_count(2)
        expect(each.page.locator("#rows .badge")).to_have_count(0)
        before = each.page.evaluate(SHOWN)
        each.page.reload()
        each.expect_live()
        each.open(joko, "all")
        expect(each.bubbles()).to_have_count(3)
        assert each.page.evaluate(SHOWN) == before


# --- people and devices


def test_a_day_at_the_desk_with_two_agents_and_three_customers(desk, shop, tmp_path):
    """Leaves pictures to look at, in GILIRAN_PICTURES or pytest's temporary folder: both themes, languages, sizes."""
    folder = Path(os.environ.get("GILIRAN_PICTURES", tmp_path))
    shop.canned({"greet": "Hello {name}, how can I help?"})
    earlier = Customer(shop, "Maya Putri", "Can I return a lamp?")
    shop.pick("agent2@demo.com", earlier.id)
    earlier.ends()
    shop.post(f"public/sessions/{earlier.key}/rating", rating=5, comment="Quick and kind")
    ani = desk("agent@demo.com")
    budi = desk("agent2@demo.com", viewport=PHONE, color_scheme="dark", locale="id-ID", is_mobile=True, has_touch=True)
    maya = Customer(shop, "Maya Putri", "Good morning, my parcel has not arrived")
    joko = Customer(shop, "Joko Widodo", "Apakah toko buka hari Minggu?")
    dewi = Customer(shop, "Dewi Anggraini", "My payment was charged twice, see https://shop.example/order/20931")
    ani.pick(maya)
    ani.write("Good morning Maya, which order is it?")
    expect(ani.page.locator("#log .mark-box[data-mark=sent]")).to_have_count(1)
    maya.says("INV-20931")
    maya.sends_file("parcel.png", PIXEL, "image/png")
    ani.page.get_by_role("tab", name="Private note").click()
    ani.page.locator("#text").fill("The courier says: at the hub since yesterday")
    ani.page.get_by_role("button", name="Save note").click()
    expect(ani.page.locator("#log .note")).to_have_count(1)
    ani.page.get_by_role("tab", name="Reply").click()
    ani.write("It is at the hub in Bandung and comes tomorrow.")
    expect(ani.page.locator("#log .picture img")).to_be_visible()
    ani.page.screenshot(path=folder / "agent.png")
    ani.page.emulate_media(color_scheme="dark")
    ani.page.screenshot(path=folder / "agent-dark.png")
    budi.page.locator("#tab-queue").tap()
    expect(budi.page.locator("#rows .name")).to_have_text(["Joko Widodo", "Dewi Anggraini"])
    budi.page.screenshot(path=folder / "agent-phone-queue-dark-id.png")
    budi.row(joko).tap()
    budi.page.locator("#pick").tap()
    expect(budi.page.locator("#room-state")).to_have_text("Dengan Anda")
    budi.page.locator("#text").fill("Buka, pukul 10 sampai 16.")
    budi.page.locator("#send").tap()
    eventually(lambda: "Buka, pukul 10 sampai 16." in joko.bodies(), 5, "the answer")
    budi.page.screenshot(path=folder / "agent-phone-dark-id.png")
    ani.open(dewi, "queue")
    ani.page.screenshot(path=folder / "agent-queue-dark.png")
    maya.ends()
    ani.tab("mine")
    expect(ani.page.locator("#rows .row")).to_have_count(0)
    assert all(path.stat().st_size > 10_000 for path in folder.glob("agent*.png"))


def test_the_keyboard_alone_is_enough(desk, shop):
    made = desk("agent@demo.com")
    first, second = Customer(shop, "Maya Putri", "Hi"), Customer(shop, "Joko W", "Hi")
    keys = made.page.keyboard
    keys.press("2")
    expect(made.page.locator("#rows .row")).to_have_count(2)
    keys.press("j")
    keys.press("j")
    keys.press("k")
    keys.press("Enter")
    expect(made.page.locator("#room-name")).to_have_text("Maya Putri")
    expect(made.page.locator("#pick")).to_be_focused()
    keys.press("Enter")
    expect(made.page.locator("#room-state")).to_have_text("With you")
    expect(made.page.locator("#text")).to_be_focused()
    keys.press("Escape")
    keys.press("r")
    keys.type("typed without a mouse")
    keys.press("Enter")
    eventually(lambda: "typed without a mouse" in first.bodies(), 5, "the message")
    keys.press("Escape")
    keys.press("Escape")
    expect(made.page.locator("#no-room")).to_be_visible()
    keys.press("p")
    expect(made.page.locator("#room-name")).to_have_text("Joko W")
    assert second.sees()["status"] == "active"


def test_colleagues_presence_and_load_are_live(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    ani.page.locator("#team-button").click()
    line = ani.page.locator("#team-people li", has_text="Budi Santoso")
    expect(line).to_contain_text("Online")
    budi.page.locator("#me-button").click()
    budi.page.get_by_role("menuitemradio", name="Away").click()
    expect(line).to_contain_text("Away")
    budi.pick(Customer(shop, "Maya Putri", "Hi"))
    expect(line).to_contain_text("1 of 2")
    budi.page.close()
    expect(line).to_contain_text("Offline")


def test_the_page_speaks_indonesian_and_has_all_words_in_both(desk):
    made = desk("agent@demo.com")
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitemradio", name="Bahasa Indonesia").click()
    expect(made.page.locator("#tab-queue")).to_contain_text("Antrean")
    expect(made.page.get_by_role("menuitemradio", name="Bahasa Indonesia")).to_be_checked()
    expect(made.page.get_by_role("menuitemradio", name="English")).not_to_be_checked()
    keys = made.page.evaluate("""async () => { const { vocabulary } = await import('/static/js/words.js');
        const words = vocabulary(); return ['en', 'id'].map(one => Object.keys(words[one]).sort()); }""")
    assert keys[0] == keys[1] and len(keys[0]) > 100


def test_on_a_phone_the_panels_are_screens(desk, shop):
    made = desk("agent@demo.com", viewport=PHONE, has_touch=True, is_mobile=True)
    maya = Customer(shop, "Maya Putri", "A rather long message that has to be broken into several lines on a phone")
    made.tab("queue")
    made.row(maya).tap()
    expect(made.page.locator(".list-panel")).to_be_hidden()
    made.page.locator("#pick").tap()
    expect(made.page.locator("#room-state")).to_have_text("With you")
    made.page.locator("#details-button").tap()
    expect(made.page.locator("#d-name")).to_have_text("Maya Putri")
    made.page.locator("#details-back").tap()
    made.page.locator("#back").tap()
    expect(made.page.locator(".list-panel")).to_be_visible()
    assert made.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


# --- for everybody


def _box(place: Locator) -> dict[str, float]:
    found = place.bounding_box()
    assert found, place
    return {**found, "right": found["x"] + found["width"], "bottom": found["y"] + found["height"]}


def test_on_narrow_screens_every_deed_keeps_its_name_and_the_customer_theirs(desk, shop):
    made, boss = desk("agent@demo.com", viewport=TABLET), desk("supervisor@demo.com", viewport=PHONE)
    page, maya = made.page, Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    expect(page.get_by_role("button", name="Transfer")).to_have_attribute("title", "Transfer")
    expect(page.locator("#end")).to_have_text("End", use_inner_text=True)
    assert _box(page.locator("#end span"))["width"] > 20
    boss.tab("all")
    boss.row(maya).click()
    expect(boss.page.locator("#room-state")).to_have_text("With Ani Lestari")
    assert _box(boss.page.locator(".who"))["width"] > 150
    for deed in ("Assign to me", "Transfer", "End conversation"):
        boss.page.locator("#more-button").click()
        expect(boss.page.get_by_role("menuitem", name=deed)).to_be_visible()
        boss.page.keyboard.press("Escape")
    boss.page.locator("#more-button").click()
    boss.page.get_by_role("menuitem", name="End conversation").click()
    boss.page.locator("#end-yes").click()
    expect(boss.page.locator("#bar-text")).to_contain_text("has ended")
    expect(boss.page.locator("#room-name")).to_be_focused()


def test_what_comes_into_the_open_conversation_is_said_each_time_to_whoever_looks_at_it(desk, shop):
    ani, boss = desk("agent@demo.com"), desk("supervisor@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    boss.open(maya, "all")
    for _ in range(3):
        maya.says("Hello?")
    for each in (ani, boss):
        expect(each.page.locator("#said p").filter(has_text="Maya Putri: Hello?")).to_have_count(3)
    ani.write("Yes, I am here")
    expect(boss.page.locator("#said p").last).to_have_text("Ani Lestari: Yes, I am here")
    expect(ani.page.locator("#log .mark-box[data-mark=sent]")).to_have_count(1)
    read = ani.page.locator("#room").aria_snapshot()
    assert "- paragraph: You\n" in read and read.count("- paragraph: Maya Putri\n") == 4, read
    assert "- log" not in read and re.search(r'region "Messages":\s+- list:', read), read
    for place in ("#log .body", "#text", "#room-name", "#rows .name", "#rows .said"):
        expect(ani.page.locator(place).first).to_have_attribute("dir", "auto")


def test_the_focus_never_falls_to_the_page(desk, shop):
    made = desk("agent@demo.com")
    page, maya, joko = made.page, Customer(shop, "Maya Putri", "Hi"), Customer(shop, "Joko W", "Hi")
    for each in (maya, joko):
        made.pick(each)
    page.locator("#end").click()
    page.keyboard.press("Enter")
    expect(page.locator("#bar-text")).to_contain_text("has ended")
    expect(page.locator("#room-name")).to_be_focused()
    made.open(maya)
    page.locator("#give").click()
    people = page.locator("#give-people button")
    expect(page.get_by_role("listbox", name="Transfer to")).to_have_count(0)
    expect(people.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(people.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#room-state")).to_have_text("With Budi Santoso")
    expect(page.locator("#room-name")).to_be_focused()
    made.tab("all")
    page.get_by_role("button", name="Unanswered").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#rows")).to_be_focused()
    expect(page.locator("#rows")).to_have_attribute("aria-activedescendant", f"row-{maya.id}")
    expect(made.row(maya)).to_have_css("outline-style", "solid")
    shop.revoke_all()
    expect(page.locator("#login-why")).to_contain_text("drafts are kept", timeout=15_000)
    made.sign_in("agent@demo.com")
    made.expect_live()
    expect(page.locator("#rows")).to_be_focused()


def test_the_customers_details_open_over_a_tablet_and_close_again(desk, shop):
    made = desk("agent@demo.com", viewport=TABLET)
    page = made.page
    made.pick(Customer(shop, "Maya Putri", "Hi"))
    button, details = page.locator("#details-button"), page.locator("#details")
    expect(button).to_have_attribute("aria-expanded", "false")
    for leave in (
        lambda: page.keyboard.press("Escape"),
        lambda: page.locator("#log-box").click(position={"x": 9, "y": 9}),
    ):
        button.click()
        expect(button).to_have_attribute("aria-expanded", "true")
        expect(page.locator("#details-back")).to_be_focused()
        leave()
        expect(details).to_be_hidden()
        expect(button).to_have_attribute("aria-expanded", "false")


def test_with_colours_of_the_readers_own_lines_say_what_colours_said(desk, shop):
    made = desk("agent@demo.com", forced_colors="active")
    page = made.page
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.write("Hello")
    expect(made.bubbles()).to_have_count(2)
    expect(page.locator("#composer")).to_have_css("outline-style", "solid")
    expect(made.row(maya)).to_have_css("outline-style", "solid")
    for bubble in page.locator("#log .bubble").all():
        expect(bubble).to_have_css("border-top-style", "solid")
    page.locator("#me-button").click()
    expect(page.locator("#sound-switch .tick")).to_have_css("border-top-style", "solid")
    on, off = (page.locator(f"#{name}-switch .tick") for name in ("sound", "notify"))
    colours = [each.evaluate("node => getComputedStyle(node).backgroundColor") for each in (on, off)]
    assert colours[0] != colours[1]


def test_single_keys_can_be_turned_off_and_stay_off(desk, shop):
    made = desk("agent@demo.com")
    page, maya = made.page, Customer(shop, "Maya Putri", "Hi")
    page.locator("#me-button").click()
    page.get_by_role("menuitemcheckbox", name="Single-key shortcuts").click()
    page.get_by_role("menuitem", name="Keyboard shortcuts").click()
    expect(page.locator("#keys-note")).to_contain_text("turned off")
    page.keyboard.press("Escape")
    page.reload()
    made.expect_live()
    for key in ("2", "?", "/"):
        page.keyboard.press(key)
    expect(page.locator("#keys-dialog")).to_be_hidden()
    expect(page.locator("#tab-mine")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#search")).not_to_be_focused()
    expect(page.locator(".find kbd").first).to_be_hidden()
    made.tab("queue")
    expect(made.row(maya)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#room-name")).to_have_text(maya.name)


CONTRAST = """place => { const node = document.querySelector(place);
    const paint = document.createElement('canvas').getContext('2d');
    const rgba = colour => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
        return [...paint.getImageData(0, 0, 1, 1).data].map(part => part / 255); };
    const over = ([r, g, b, a], back) => [r, g, b].map((part, n) => part * a + back[n] * (1 - a));
    const light = colour => { const [r, g, b] = colour.map(p => p <= .04045 ? p / 12.92 : ((p + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b; };
    const chain = []; for (let each = node; each; each = each.parentElement) chain.unshift(each);
    let back = [1, 1, 1], fore, seen = 1;
    for (const each of chain) { const style = getComputedStyle(each), below = back; seen *= style.opacity;
        const [r, g, b, a] = rgba(style.backgroundColor); back = over([r, g, b, a * seen], below);
        const text = rgba(style.color); fore = over([...text.slice(0, 3), text[3] * seen], back); }
    const [low, high] = [light(fore), light(back)].sort((a, b) => a - b); return (high + .05) / (low + .05); }"""


def test_faint_words_are_still_readable_and_the_canned_replies_are_a_combobox(desk, shop):
    shop.canned({"hello": "Hello {name}", "help": "How can I help?"})
    made = desk("agent@demo.com")
    line = _on_a_line(made)
    page = made.page
    made.pick(Customer(shop, "Maya Putri", "Hi"))
    text = page.locator("#text")
    text.press_sequentially("/he")
    expect(text).to_have_role("combobox")
    expect(text).to_have_attribute("aria-expanded", "true")
    expect(text).to_have_attribute("aria-controls", "canned")
    page.keyboard.press("ArrowDown")
    expect(text).to_have_attribute("aria-activedescendant", "canned-1")
    page.keyboard.press("Escape")
    expect(text).to_have_role("textbox")
    page.route("**/messages", lambda route: route.abort())
    line.shut()
    expect(page.locator("#live")).not_to_have_attribute("data-state", "live")
    made.write("On its way")
    expect(page.locator("#log .pending")).to_have_count(1)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for place in (".happening time", ".msg.pending .body"):
            assert page.evaluate(CONTRAST, place) >= 4.5, (scheme, place)


# --- the look


def test_the_way_to_the_latest_never_lies_on_the_text(desk, shop):
    made = desk("agent@demo.com")
    page, maya = made.page, Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    for number in range(30):
        maya.says(f"message {number}")
    expect(made.bubbles()).to_have_count(31)
    page.locator("#text").fill("a line\n" * 9)
    page.locator("#log-box").evaluate("box => { box.scrollTop = 0 }")
    expect(page.locator("#to-end")).to_be_visible()
    assert _box(page.locator("#to-end"))["bottom"] <= _box(page.locator("#composer"))["y"]
    page.locator("#to-end").click()
    expect(page.locator("#to-end")).to_be_hidden()


TONE = """async name => { const { tone } = await import('/static/js/dom.js'); return `tone-${tone(name)}`; }"""


def test_the_list_tells_the_bot_from_the_customer_and_marks_what_was_just_given(desk, shop):
    maya = Customer(shop, "Maya Putri", "Where is my parcel?")
    with shop.home.ledger.transaction() as cur:  # a bot is asked by customers only, and slowly
        session = chat.by_room(cur, shop.id, maya.id)
        assert session
        chat.add_messages(cur, [chat.draft(session.id, "bot", "On its way.", sender_name="Assistant")])
    made = desk("agent@demo.com")
    page = made.page
    made.tab("queue")
    expect(made.row(maya).locator(".said")).to_have_text("Assistant: On its way.")
    shop.pick("agent2@demo.com", maya.id)
    budi = shop.token("Budi Santoso")
    shop.post(f"sessions/{maya.id}/read", budi, up_to_seq=maya.sees()["last_seq"])
    shop.post(f"sessions/{maya.id}/transfer", budi, agent_id=shop.ids["Ani Lestari"])
    made.tab("mine")
    expect(made.row(maya).locator(".chip")).to_have_text("New")
    made.open(maya)
    expect(made.row(maya).locator(".chip")).to_have_count(0)
    expect(page.locator("#log .bot .avatar svg")).to_be_visible()
    tone = page.evaluate(TONE, maya.name)
    for avatar in (made.row(maya).locator(".avatar"), page.locator("#room-avatar"), page.locator("#d-avatar")):
        expect(avatar).to_have_class(re.compile(tone))


def test_a_picture_fills_its_bubble_and_can_be_saved(desk, shop):
    made = desk("agent@demo.com")
    page, maya = made.page, Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    maya.sends_file("wide.png", _picture(900, 300), "image/png")
    maya.sends_file("tall.png", _picture(300, 700), "image/png")
    bubbles = page.locator("#log .bubble").filter(has=page.locator("img"))
    for bubble, height in ((bubbles.nth(0), 100), (bubbles.nth(1), 260)):
        expect(bubble.locator("img")).to_have_js_property("offsetHeight", height)
        assert _box(bubble)["width"] - _box(bubble.locator("img"))["width"] < 20
    bubbles.nth(1).locator("button").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "tall.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_all_conversations_are_narrowed_by_agent_by_what_is_unread_and_by_what_is_unanswered(desk, shop):
    made = desk("agent@demo.com")
    page = made.page
    maya, joko, dewi = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A"))
    made.pick(maya)
    made.write("Hello Maya")
    eventually(lambda: "Hello Maya" in maya.bodies(), 5, "the answer")
    shop.pick("agent2@demo.com", joko.id)
    made.tab("all")
    names, unanswered = page.locator("#rows .name"), page.get_by_role("button", name="Unanswered")
    expect(names).to_have_count(3)
    page.get_by_label("Conversations of").select_option("Budi Santoso")
    expect(names).to_have_text(["Joko W"])
    page.get_by_label("Conversations of").select_option("Everybody")
    unanswered.click()
    expect(names).to_have_text(["Dewi A", "Joko W"])
    page.locator("#search").fill("joko")
    expect(names).to_have_text(["Joko W"])
    page.locator("#search").fill("")
    made.tab("mine")
    made.tab("all")
    expect(names).to_have_text(["Dewi A", "Joko W"])
    unanswered.click()
    page.get_by_role("button", name="Unread", exact=True).click()
    expect(names).to_have_text(["Dewi A", "Joko W"])
    expect(made.row(maya)).to_have_count(0)
    dewi.ends()
    joko.ends()
    expect(page.get_by_text("Nothing passes the filter")).to_be_visible()
