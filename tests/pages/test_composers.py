"""Where people write: widget, customer's page, agent's page. Pastes of text and pictures, keys of input methods."""

import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from testbed import agentpages
from testbed.chathouse import Shop
from testbed.chatpages import Customer
from testbed.deadlines import eventually
from tests.variants import first_of

WHERE = ["widget", "chat", "agent"]


@dataclass
class Composer:
    page: Page
    field: Locator
    key: str
    shop: Shop

    def stored(self) -> list[Any]:
        """What was said since the beginning: texts, and the names of files. Its routes are served only while Playwright
        is asked for something."""
        self.page.title()
        rows = self.shop.get(f"public/sessions/{self.key}")["messages"]
        said = [row for row in rows if row["sender_type"] != "system" and row["body"] != "Hello"]
        return [[file["name"] for file in row["attachments"]] or row["body"] for row in said]


@pytest.fixture
def composer(request, opened, shop, desk) -> Composer:
    """Of `request.param`, with a chat begun."""
    if request.param == "agent":
        customer = agentpages.Customer(shop, "Maya Putri", "Hello")
        one = desk("agent@demo.com")
        one.pick(customer)
        return Composer(one.page, one.page.get_by_label("Reply", exact=True).last, customer.key, shop)
    if request.param == "chat":
        customer = Customer(shop, opened("/chat?tenant=shop")).starts()
        return Composer(customer.page, customer.page.locator("#text"), customer.kept["session_key"], shop)
    page = opened("/healthz")
    page.set_content(f"<body><script src='{shop.url}/chat-widget.js'></script></body>")
    page.evaluate(
        "CallCenterChat.init({ tenantId: 'shop', name: 'Maya', email: 'maya@example.com' }), CallCenterChat.open()"
    )
    page.get_by_label("Your question").fill("Hello")
    with page.expect_response("**/public/sessions") as coming:
        page.locator("#start").click()
    field = page.get_by_label("Message", exact=True)
    expect(field).to_be_visible()
    return Composer(page, field, coming.value.json()["session_key"], shop)


COPY = """async ({ text, html, width }) => {
  const kinds = {};
  if (text !== null) kinds['text/plain'] = new Blob([text], { type: 'text/plain' });
  if (html !== null) kinds['text/html'] = new Blob([html], { type: 'text/html' });
  if (width) { const canvas = document.createElement('canvas'); canvas.width = canvas.height = width;
    kinds['image/png'] = await new Promise(done => canvas.toBlob(done, 'image/png')); }
  await navigator.clipboard.write([new ClipboardItem(kinds)]); }"""
GIVEN = """(node, { text, names }) => { const data = new DataTransfer();
  if (text !== null) data.setData('text/plain', text);
  for (const name of names) data.items.add(new File(['%PDF-1.4 ' + name], name, { type: 'application/pdf' }));
  return node.dispatchEvent(new ClipboardEvent('paste',
    { clipboardData: data, bubbles: true, cancelable: true, composed: true })); }"""


def _pastes(on: Composer, text: str | None = None, html: str | None = None, width: int = 0) -> None:
    on.page.evaluate(COPY, {"text": text, "html": html, "width": width})
    on.field.press("Control+v")


@pytest.mark.long
@pytest.mark.parametrize("composer", first_of(WHERE), indirect=True)
def test_of_a_spreadsheet_the_text_is_pasted_and_of_a_picture_the_picture(composer):
    composer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cells = "Kopi\t12000\nTeh\t8000"
    _pastes(composer, cells, "<table><tr><td>Kopi</td></tr></table>", width=20)
    expect(composer.field).to_have_value(cells)
    _pastes(composer, None, "<img src='https://shop.example/kopi.png'>", width=20)
    expect(composer.page.locator("#chosen li")).to_have_count(1)
    expect(composer.field).to_have_value(cells)
    composer.field.press("Enter")
    eventually(lambda: len(composer.stored()) == 2, 10, "the text and the picture")
    paste = lambda text, names: composer.field.evaluate(GIVEN, {"text": text, "names": names})  # noqa: E731
    assert not paste("Faktur é.pdf\nb.pdf", ["Faktur e\u0301.pdf", "b.pdf"]), "files, as a file manager copies them"
    assert not paste("file:///home/maya/c%20d.pdf", ["c d.pdf"])
    assert not paste(" \n", ["e.pdf"])
    assert paste("Kopi", ["image.pdf"]), "text beside a picture"
    composer.field.fill("")
    composer.field.press("Enter")
    eventually(lambda: len(composer.stored()) == 6, 10, "four files more")
    files = sorted(name for names in composer.stored()[2:] for name in names)
    assert files == sorted(["Faktur é.pdf", "b.pdf", "c d.pdf", "e.pdf"])


CHOSEN = """(node, files) => { const data = new DataTransfer();
  for (const [name, size] of files)
    data.items.add(new File(['%PDF-1.4 ' + name + ' '.repeat(size)], name, { type: 'application/pdf' }));
  node.dispatchEvent(new ClipboardEvent('paste',
    { clipboardData: data, bubbles: true, cancelable: true, composed: true })); }"""
# A minute without a byte is over soon.
SOON = """() => { const set = setTimeout;
  window.setTimeout = (then, ms, ...more) => set(then, ms === 6e4 ? 3000 : ms, ...more); }"""


def _sends(on: Composer, files: list[list[Any]]) -> None:
    on.field.evaluate(CHOSEN, files)
    on.field.press("Enter")


@pytest.mark.parametrize("composer", first_of(WHERE), indirect=True)
def test_files_wait_in_the_composer_can_be_taken_out_and_go_after_their_text(composer):
    page, chosen = composer.page, composer.page.locator("#chosen li")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "attachments" in request.url else None)
    composer.field.evaluate(CHOSEN, [["wrong.pdf", 10], ["one.pdf", 10], ["large.pdf", 2 << 20], ["two.pdf", 10]])
    expect(chosen).to_have_count(4)
    expect(page.locator("#chosen .wrong")).to_contain_text("1 MB")
    composer.field.fill("Here they are")
    page.get_by_role("button", name="Take out wrong.pdf").click()
    expect(page.get_by_role("button", name="Take out one.pdf")).to_be_focused()
    assert asked == []
    composer.field.press("Enter")
    eventually(lambda: composer.stored() == ["Here they are", ["one.pdf"], ["two.pdf"]], 10, "text, then files")
    expect(composer.field).to_have_value("")
    expect(chosen).to_have_count(1)  # what can't be sent is not lost from sight
    composer.field.press("Enter")
    page.get_by_role("button", name="Take out large.pdf").click()
    expect(page.locator("#chosen")).to_be_hidden()
    expect(composer.field).to_be_focused()
    assert len(composer.stored()) == 3


@pytest.mark.parametrize("composer", first_of(WHERE), indirect=True)
def test_files_arrive_as_they_were_chosen_can_be_cancelled_and_are_not_waited_for_for_ever(composer):
    page = composer.page
    chosen = [["0.pdf", 900_000], ["1.pdf", 10], ["2.pdf", 500_000], ["3.pdf", 10], ["4.pdf", 10]]
    _sends(composer, chosen)
    eventually(lambda: len(composer.stored()) == 5, 20, "all of them")
    assert composer.stored() == [[name] for name, _ in chosen]
    held: list[Route] = []

    def hold(route: Route) -> None:
        """The first of them; a route that is taken away would let it go."""
        route.continue_() if held else held.append(route)

    page.route("**/attachments", hold)
    _sends(composer, [["held.pdf", 10], ["unsent.pdf", 10], ["next.pdf", 10]])
    cancel = [page.get_by_role("button", name=f"Cancel sending {name}.pdf") for name in ("held", "unsent")]
    expect(cancel[0]).to_be_visible()
    eventually(lambda: page.title() is not None and len(held) == 1, 10, "one under way, the others behind it")
    for one in reversed(cancel):
        one.click()
    eventually(lambda: composer.stored()[-1] == ["next.pdf"], 10, "the next one")
    assert len(composer.stored()) == 6
    expect(page.get_by_text("held.pdf")).to_have_count(0)
    page.evaluate(SOON)
    held.clear()
    _sends(composer, [["still.pdf", 10]])
    again = page.get_by_role("button", name="Try again")
    again.click()
    eventually(lambda: composer.stored()[-1] == ["still.pdf"], 10, "once there is a way again")


KEY = """(node, { type, key, code, composing }) => { const event = new KeyboardEvent(type,
    { key, keyCode: code, which: code, isComposing: composing, bubbles: true, cancelable: true, composed: true });
  node.dispatchEvent(event); return event.defaultPrevented; }"""


def _enter(field: Locator, *, code: int = 229, composing: bool = False, key: str = "Enter") -> None:
    for kind in ("keydown", "keyup"):
        field.evaluate(KEY, {"type": kind, "key": key, "code": code, "composing": composing})


@pytest.mark.parametrize("composer", first_of(WHERE), indirect=True)
def test_enter_that_ends_a_word_of_an_input_method_sends_nothing(composer):
    composer.field.fill("半分")
    for how in ({"code": 229}, {"code": 13, "composing": True}, {"code": 229, "composing": True}):
        _enter(composer.field, **how)
        _enter(composer.field, **how, key="Escape")
        expect(composer.field).to_have_value("半分")
        expect(composer.field).to_be_visible()
    client = composer.page.context.new_cdp_session(composer.page)
    composer.field.focus()
    for kind in ("rawKeyDown", "keyUp"):
        client.send("Input.dispatchKeyEvent", {"type": kind, "key": "Enter", "windowsVirtualKeyCode": 229})
    _enter(composer.field, code=13)
    expect(composer.field).to_have_value("")
    eventually(lambda: composer.stored() == ["半分"], 5, "the whole word, once")


@pytest.mark.parametrize("where", first_of(["widget", "chat"]))
def test_enter_of_an_input_method_begins_no_chat(opened, shop, where):
    page = opened("/chat?tenant=shop" if where == "chat" else "/healthz")
    if where == "widget":
        page.set_content(f"<body><script src='{shop.url}/chat-widget.js'></script></body>")
        page.evaluate("CallCenterChat.init({ tenantId: 'shop' }), CallCenterChat.open()")
    page.locator("#email").fill(f"{secrets.token_hex(4)}@example.com")
    page.locator("#name").fill("前田")
    page.locator("#question").fill("半分")
    client = page.context.new_cdp_session(page)
    page.locator("#name").focus()
    enter = {"key": "Enter", "windowsVirtualKeyCode": 229, "text": "\r"}
    client.send("Input.dispatchKeyEvent", {"type": "keyDown", **enter})
    client.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    assert page.evaluate("() => new Promise(done => setTimeout(() => done(1)))")
    assert shop.get(f"public/desk?tenant_id={shop.id}")["waiting"] == 0
    page.locator("#name").press("Enter")
    expect(page.locator("#log .happening").first).to_be_visible()


@pytest.mark.long
def test_a_word_that_is_put_together_takes_no_canned_reply(desk, shop):
    shop.canned({"/thanks": "Thank you"})
    customer = agentpages.Customer(shop, "Maya Putri", "Hello")
    one = desk("agent@demo.com")
    one.pick(customer)
    field = one.page.get_by_label("Reply", exact=True).last
    field.press_sequentially("/")
    expect(one.page.locator("#canned-box")).to_be_visible()
    _enter(field)
    _enter(field, key="Tab")
    expect(field).to_have_value("/")
    field.press("Enter")
    expect(field).to_have_value("Thank you")


def test_a_picture_that_is_pasted_into_a_private_note_goes_nowhere(desk, shop):
    customer = agentpages.Customer(shop, "Maya Putri", "Hello")
    one = desk("agent@demo.com")
    one.pick(customer)
    one.page.locator("#kind-note").click()
    asked: list[str] = []
    one.page.on("request", lambda request: asked.append(request.url) if "attachments" in request.url else None)
    assert one.page.locator("#text").evaluate(GIVEN, {"text": None, "names": ["secret.pdf"]})
    expect(one.page.locator("#uploads li, #chosen li")).to_have_count(0)
    assert asked == []
