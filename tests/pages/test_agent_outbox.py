"""What an agent writes: shown once, never lost with its tab, never sent twice, and gone with a sign-out."""

import json
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from testbed.agentpages import SIGNED_IN, Customer, Desk, Line, on_a_line
from testbed.chathouse import Shop
from testbed.chatpages import sends_files
from testbed.deadlines import eventually

KEPT = "Object.keys(localStorage).filter(name => /outbox|drafts/.test(name))"


@pytest.fixture
def maya(shop: Shop) -> Customer:
    customer = Customer(shop, "Maya Putri", "Hi")
    shop.pick("agent@demo.com", customer.id)
    return customer


def tab_beside(made: Desk, shop: Shop) -> Desk:
    """Another tab of the same browser; its errors count as the first one's."""
    page = made.page.context.new_page()
    page.on("pageerror", lambda error: made.wrong.append(str(error)))
    page.add_init_script(SIGNED_IN % json.dumps(shop.staff_token("agent@demo.com")))
    page.goto(f"{shop.url}/agent")
    other = Desk(page, made.wrong)
    other.expect_live()
    return other


def takes_nothing(page: Page) -> None:
    """What is written does not come through by HTTP."""
    page.route("**/messages", lambda route: route.abort() if route.request.method == "POST" else route.fallback())


def no_way_out(page: Page) -> None:
    """Nothing that is written comes through; all else does."""
    line = Line(page, None)
    line.shut()
    takes_nothing(page)
    page.reload()
    expect(page.locator("#live")).to_have_attribute("data-state", "polling")


def writes(made: Desk, customer: Customer, *texts: str) -> None:
    made.open(customer)
    for text in texts:
        made.write(text)
        expect(made.page.locator("#log .pending").last).to_contain_text(text)


@pytest.mark.long
def test_a_message_whose_acknowledgement_got_lost_is_shown_once(desk, shop, maya):
    made = desk("agent@demo.com")
    line = on_a_line(made, lambda frame: "chat.message.ack" in frame)
    takes_nothing(made.page)
    made.open(maya)
    made.write("My answer")
    eventually(lambda: maya.bodies() == ["Hi", "My answer"], 5, "the stored message")
    line.shut()
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    line.free()
    made.expect_live()
    expect(made.page.locator("#log .pending")).to_have_count(0)
    expect(made.bubbles()).to_have_text(["Hi", "My answer"])
    assert maya.bodies() == ["Hi", "My answer"]


@pytest.mark.long
def test_a_file_whose_answer_got_lost_is_shown_once(desk, shop, maya):
    made = desk("agent@demo.com")
    held: list[Any] = []

    def lose(route: Route) -> None:
        held.append(route.fetch())
        route.abort()

    made.page.route("**/attachments", lose)
    made.open(maya)
    sends_files(made.page, FilePayload(name="terms.txt", mimeType="text/plain", buffer=b"text"))
    expect(made.page.locator("#log .file-name")).to_have_text("terms.txt")
    expect(made.page.locator("#uploads li")).to_have_count(0)


def test_what_could_not_be_sent_outlives_its_tab_and_is_sent_once_in_its_order(desk, shop, maya):
    made = desk("agent@demo.com")
    no_way_out(made.page)
    writes(made, maya, "one", "two", "three")
    beside = made.page.context.new_page()
    made.page.close()
    beside.close()
    later = tab_beside(made, shop)
    eventually(lambda: maya.bodies() == ["Hi", "one", "two", "three"], 10, "the replies of the tab before")
    later.open(maya)
    expect(later.bubbles()).to_have_text(["Hi", "one", "two", "three"])
    expect(later.page.locator("#log .pending")).to_have_count(0)
    eventually(lambda: later.page.evaluate(KEPT) == [], 5, "nothing kept any more")


@pytest.mark.long
def test_what_two_tabs_could_not_send_survives_both(desk, shop, maya):
    made = desk("agent@demo.com")
    other = tab_beside(made, shop)
    for each, text in ((made, "from the first"), (other, "from the second")):
        no_way_out(each.page)
        writes(each, maya, text)
    for each in (made, other):
        each.page.close()
    later = tab_beside(made, shop)
    eventually(lambda: len(maya.bodies()) == 3, 10, "the replies of both tabs")
    assert maya.bodies() == ["Hi", "from the first", "from the second"]
    later.open(maya)
    expect(later.bubbles()).to_have_text(["Hi", "from the first", "from the second"])


@pytest.mark.long
def test_a_reply_that_another_tab_has_sent_or_dropped_is_no_longer_on_its_way_here(desk, shop, maya):
    made = desk("agent@demo.com")
    no_way_out(made.page)
    writes(made, maya, "one")
    other = tab_beside(made, shop)
    eventually(lambda: maya.bodies() == ["Hi", "one"], 10, "the reply, sent by the other tab")
    expect(made.page.locator("#log .pending")).to_have_count(0)
    expect(made.bubbles()).to_have_text(["Hi", "one"])
    other.open(maya)
    expect(other.bubbles()).to_have_text(["Hi", "one"])
    made.page.unroute("**/messages")
    made.write("two")
    expect(made.bubbles()).to_have_text(["Hi", "one", "two"])
    eventually(lambda: maya.bodies() == ["Hi", "one", "two"], 10, "both replies, once each")


@pytest.mark.long
def test_a_sign_out_leaves_nothing_that_was_written(desk, shop, maya):
    made = desk("agent@demo.com")
    no_way_out(made.page)
    writes(made, maya, "a reply that is not sent")
    made.page.locator("#text").fill("half a reply")
    eventually(lambda: len(made.page.evaluate(KEPT)) == 2, 5, "both kept")
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitem", name="Sign out").click()
    expect(made.page.get_by_role("button", name="Sign in")).to_be_visible()
    eventually(lambda: made.page.evaluate(KEPT) == [], 5, "nothing kept any more")
    made.sign_in("agent2@demo.com")
    expect(made.page.locator("#live")).to_have_attribute("data-state", "polling")
    assert maya.bodies() == ["Hi"]


@pytest.mark.long
def test_a_draft_outlives_its_tab_and_two_tabs_do_not_overwrite_each_other(desk, shop, maya):
    made = desk("agent@demo.com")
    other = tab_beside(made, shop)
    for each, text in ((made, "half of the first"), (other, "half of the second")):
        each.open(maya)
        each.page.locator("#text").fill(text)
    made.page.reload()
    made.expect_live()
    made.open(maya)
    expect(made.page.locator("#text")).to_have_value("half of the first")
    other.page.locator("#text").press("Enter")
    expect(other.bubbles()).to_have_text(["Hi", "half of the second"])
    beside = made.page.context.new_page()
    made.page.close()
    beside.close()
    later = tab_beside(made, shop)
    later.open(maya)
    expect(later.page.locator("#text")).to_have_value("half of the first")
    later.page.locator("#text").press("Enter")
    eventually(lambda: maya.bodies() == ["Hi", "half of the second", "half of the first"], 5, "the reply")
    eventually(lambda: later.page.evaluate(KEPT) == [], 5, "nothing kept any more")
