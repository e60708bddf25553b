"""What belongs to one conversation stays with it, though the agent goes from one to the next and answers come late."""

import re
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from testbed.agentpages import Customer, Desk

DROP = """name => { const carried = new DataTransfer(); carried.items.add(new File(["text"], name));
  const drop = new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
  document.getElementById("room-panel").dispatchEvent(drop); }"""


class Held:
    """Answers of one address that stay away until they are let go. Each was given at the moment of the request."""

    def __init__(self, page: Page, address: str) -> None:
        self._page, self._held = page, list[Any]()
        self._is_holding = True
        page.route(address, self._hold)

    def _hold(self, route: Route) -> None:
        if self._is_holding:
            self._held.append((route, route.fetch()))
        else:
            route.continue_()

    def until_asked(self) -> None:
        while not self._held:
            self._page.wait_for_timeout(10)

    def let_go(self) -> None:
        self._is_holding = False
        for route, answer in self._held:
            route.fulfill(response=answer)
        self._held.clear()


@pytest.fixture
def two(desk, shop) -> tuple[Desk, Customer, Customer]:
    """An agent who serves Maya and Joko, both read already."""
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, f"{name} is here") for name in ("Maya Putri", "Joko W"))
    for customer in (maya, joko):
        made.pick(customer)
        expect(made.bubbles()).to_have_text([f"{customer.name} is here"])
    return made, maya, joko


def test_whoever_goes_back_to_a_conversation_finds_its_messages(two):
    made, maya, joko = two
    joko.says("Joko asks")
    made.write("An answer to Joko")
    expect(made.bubbles()).to_have_text(["Joko W is here", "Joko asks", "An answer to Joko"])
    made.open(maya)
    expect(made.bubbles()).to_have_text(["Maya Putri is here"])
    maya.says("Maya asks")
    expect(made.bubbles()).to_have_text(["Maya Putri is here", "Maya asks"])
    made.open(joko)
    expect(made.bubbles()).to_have_text(["Joko W is here", "Joko asks", "An answer to Joko"])
    made.open(maya)
    expect(made.bubbles()).to_have_text(["Maya Putri is here", "Maya asks"])


@pytest.mark.long
def test_a_happening_and_a_message_with_one_number_stay_what_they_are(two, shop):
    """Where a node of the other kind was used again, nothing was drawn any more."""
    made, maya, joko = two
    dewi = Customer(shop, "Dewi A", "Dewi A is here")
    dewi.says("Dewi asks")  # where the others have the row of their agent
    made.open(dewi, "queue")
    expect(made.bubbles()).to_have_text(["Dewi A is here", "Dewi asks"])
    for customer in (maya, dewi, joko, dewi):
        made.open(customer, "all")
        expect(made.page.locator("#d-name")).to_have_text(customer.name)
        expect(made.bubbles().first).to_have_text(f"{customer.name} is here")
        expect(made.row(customer)).to_have_attribute("aria-selected", "true")


@pytest.mark.long
def test_a_note_on_its_way_stops_no_other_conversation_and_takes_nothing_that_is_typed_on(two):
    made, maya, joko = two
    held = Held(made.page, "**/sessions/*/notes")
    made.open(maya)
    made.page.get_by_role("tab", name="Private note").click()
    made.page.locator("#text").fill("Maya is right")
    made.page.keyboard.press("Enter")
    held.until_asked()
    made.open(joko)
    expect(made.page.locator("#send")).to_be_enabled()
    made.write("An answer to Joko")
    expect(made.bubbles()).to_have_text(["Joko W is here", "An answer to Joko"])
    made.open(maya)
    made.page.get_by_role("tab", name="Private note").click()
    made.page.locator("#text").fill("And she is kind")
    held.let_go()
    expect(made.page.locator("#log .note")).to_have_count(1)
    expect(made.page.locator("#text")).to_have_value("And she is kind")
    made.open(joko)
    expect(made.page.locator("#log .note")).to_have_count(0)


@pytest.mark.long
def test_a_pick_on_its_way_leaves_the_next_conversation_its_buttons(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    held = Held(made.page, f"**/queue/{maya.id}/pick")
    made.open(maya, "queue")
    made.page.locator("#pick").click()
    held.until_asked()
    made.open(joko, "queue")
    made.page.locator("#pick").click(timeout=5000)
    expect(made.page.locator("#room-state")).to_have_text("With you")
    held.let_go()
    made.open(maya)
    expect(made.page.locator("#end")).not_to_have_attribute("aria-disabled", "true")


@pytest.mark.long
def test_an_earlier_visit_that_comes_late_covers_no_other_conversation(desk, shop):
    earlier = Customer(shop, "Maya Putri", "Can I return a lamp?")
    earlier.ends()
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    made.open(maya, "queue")
    held = Held(made.page, f"**/sessions/{earlier.id}/messages*")
    made.page.locator("#visits button").click()
    held.until_asked()
    made.open(joko, "queue")
    with made.page.expect_response(f"**/sessions/{earlier.id}/messages*"):
        held.let_go()
    made.page.evaluate("() => new Promise(done => setTimeout(done, 200))")
    expect(made.page.locator("#visit-dialog")).to_be_hidden()
    made.open(maya, "queue")
    made.page.locator("#visits button").click()
    expect(made.page.locator("#visit-log .body")).to_have_text("Can I return a lamp?")


@pytest.mark.long
def test_files_go_to_the_conversation_that_they_were_chosen_for(two, shop):
    made, maya, joko = two
    made.open(maya)
    with made.page.expect_file_chooser() as chooser:
        made.page.locator("#attach").click()
    made.open(joko)
    chooser.value.set_files(FilePayload(name="maya.txt", mimeType="text/plain", buffer=b"text"))
    expect(made.page.locator("#chosen li")).to_have_count(0)
    made.open(maya)
    expect(made.page.locator("#chosen b")).to_have_text("maya.txt")
    made.page.locator("#text").press("Enter")
    expect(made.page.locator("#log .file-name")).to_have_text("maya.txt")
    made.open(joko)
    expect(made.page.locator("#log .file-name, #chosen li")).to_have_count(0)


@pytest.mark.long
def test_files_that_are_dropped_where_no_conversation_is_shown_go_nowhere(two):
    made, maya, joko = two
    made.page.locator("#room-name").focus()
    made.page.keyboard.press("Escape")
    expect(made.page.locator("#no-room")).to_be_visible()
    made.page.evaluate(DROP, "secret.txt")
    made.open(joko)
    made.page.evaluate(DROP, "meant.txt")
    made.page.locator("#text").press("Enter")
    expect(made.page.locator("#log .file-name", has_text="meant.txt")).to_be_visible()
    expect(made.page.locator("#log .file-name")).to_have_text(["meant.txt"])
    assert "secret.txt" not in f"{maya.sees()} {joko.sees()}"


@pytest.mark.long
def test_an_answer_that_is_older_than_a_mark_takes_no_mark_back(two, shop):
    made, maya, joko = two
    made.open(maya)
    made.write("An answer to Maya")
    expect(made.page.locator("#log .mark-box[data-mark=sent]")).to_have_count(1)
    heard: list[str] = []
    made.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    made.page.reload()
    made.expect_live()
    held = Held(made.page, re.compile(f"/sessions/{maya.id}$"))
    made.open(maya)
    held.until_asked()
    shop.post(f"public/sessions/{maya.key}/read", up_to_seq=maya.sees()["last_seq"])
    while not any("chat.message.read" in frame and maya.id in frame for frame in heard):
        made.page.wait_for_timeout(10)
    held.let_go()
    expect(made.page.locator("#log .mark-box").last).to_have_attribute("data-mark", "read")


def test_what_was_read_on_another_page_is_not_unread_because_a_file_of_ones_own_came_after_it(opened):
    """Of a conversation whose rows are not here."""
    unread = opened("/agent").evaluate(
        """async () => { const { Desk } = await import('/static/js/agent/desk.js'), found = [];
          for (const sender of ['customer', 'agent']) {
            const desk = new Desk(), id = 's', row = { session_id: id, sender_id: 'a', body: 'x', attachments: [] };
            const last_message = { seq: 4, sender_type: sender, body: 'x' };
            desk.me = { agent_id: 'a' };
            desk.put({ session_id: id, status: 'active', agent: desk.me, customer: {}, last_seq: 4, unread: 2,
              agent_read: 1, last_message });
            if (sender === 'customer') {
              desk.hear('chat.message.new', { ...row, seq: 5, sender_type: 'customer' });
              desk.acknowledged({ ...row, seq: 6, sender_type: 'agent' });
            }
            for (const upTo of [3, 5]) {
              desk.hear('chat.message.read', { session_id: id, up_to_seq: upTo, by: 'agent' });
              found.push(desk.sessions.get(id).unread); } }
          return found; }"""
    )
    assert unread == [2, 0, 0, 0]
