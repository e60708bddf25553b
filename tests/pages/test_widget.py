"""The widget on somebody's site in a real Chromium, with a real sidecar; the agent comes by REST."""

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, Route, expect

from testbed.chathouse import Shop
from testbed.chatpages import (
    DESK,
    LISTEN,
    PHONE,
    PIXEL,
    TONES,
    Gate,
    faint_texts,
    heard,
    sends_files,
)
from testbed.deadlines import eventually
from testbed.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


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
    """Nothing, and what the docs say that the widget needs; the page's own scripts have a nonce."""
    told = re.search(r"^Content-Security-Policy: (.+)$", (ROOT / "docs" / "chat.md").read_text(), re.M)
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
    whole = {"x": 0, "y": 0, **PHONE}
    eventually(lambda: page.locator(".panel").bounding_box() == whole, 5, "the whole screen")
    expect(page.get_by_role("dialog")).to_have_attribute("aria-modal", "true")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "callcenter-chat"
    page.get_by_role("button", name="Close the chat").click()
    eventually(lambda: page.evaluate("document.documentElement.style.overflow") == "", 5, "a page that scrolls")


@pytest.mark.long
def test_the_widget_polls_where_sockets_are_blocked(opened, site, agent):
    page = opened(site)
    Gate(page).shut()
    room = _starts(page)
    agent.picks(room)
    agent.says(room, "By another way")
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "By another way"])
    page.get_by_label("Message", exact=True).fill("It works")
    page.keyboard.press("Enter")
    expect(page.locator("#log .message.waiting")).to_have_count(0)
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "By another way", "It works"])


@pytest.mark.long
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
    expect(page.locator("#log .bubble")).to_have_count(14)
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
    eventually(lambda: page.evaluate(CORNER) == [20, 20, 60], 5, "the launcher in its corner")
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
    left = [DESK["width"] - 80, 20, 60]
    eventually(lambda: page.evaluate(CORNER) == left, 5, "the other corner, where there is no top layer")


@pytest.mark.long
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
    page.get_by_role("button", name="Try now").focus()
    page.unroute(fetches)
    page.keyboard.press("Enter")  # unless it has come back by itself in this moment
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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
    expect(page.locator("#away-title")).to_have_text("We have your message.")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    sql = "UPDATE messages SET created_at = created_at - interval '1 day' WHERE tenant = %s AND sender_type = 'system'"
    shop.home.run(sql, shop.id)
    page.reload()
    expect(page.get_by_role("separator")).to_have_text(["Yesterday", "Today"])
    agent.picks(room)
    expect(page.locator("#away-card")).to_be_hidden()
    socket.context.close()


@pytest.mark.long
def test_the_widget_says_each_message_once_and_keeps_the_focus(opened, site, agent):
    page = opened(site, viewport={"width": 1280, "height": 500})
    page.context.add_init_script(LISTEN)
    page.reload()
    room = _starts(page)
    expect(page.get_by_role("banner")).to_have_count(0)
    agent.picks(room)
    field = page.get_by_label("Message", exact=True)
    for text in ("Alpha", "Beta"):
        agent.says(room, text)
        field.fill(f"My {text}")
        field.press("Enter")
        expect(page.locator("#log .bubble").last).to_have_text(f"My {text}")
    assert [heard(page, text) for text in ("Alpha", "Beta")] == [["Ani Lestari: Alpha"], ["Ani Lestari: Beta"]]
    page.reload()
    expect(page.locator("#log .bubble")).to_have_count(5)
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


@pytest.mark.long
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
    sends_files(page, {"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL})
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


@pytest.mark.long
def test_any_colour_is_made_readable(opened, site, agent):
    page = opened(site)
    agent.picks(_starts(page))
    for colour in ("#7c3aed", "#facc15", "#ffffff", "#000000", "tomato", "hsl(200 90% 60%)", "no colour"):
        page.evaluate(
            "colour => { CallCenterChat.destroy(); CallCenterChat.init({ tenantId: 'shop', primaryColor: colour }) }",
            colour,
        )
        page.locator(".launcher").click()
        expect(page.locator(".bubble").last).to_be_visible()
        expect(page.locator("#face")).to_have_text("AL")
        faint = [one for one in faint_texts(page) if not re.match("(light|dark): (A shop|Their text|Buy)", one)]
        assert (colour, faint) == (colour, [])
