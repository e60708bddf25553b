"""The agent's page and its address, Back, a reload; what a supervisor sees first; a network that is gone."""

import pytest
from playwright.sync_api import expect

from testbed.agentpages import PHONE, Customer


def test_a_reload_shows_the_open_conversation_again_and_back_closes_it(desk, shop):
    made = desk("agent@demo.com", viewport=PHONE)
    maya, budi = Customer(shop, "Maya Putri", "Hello"), Customer(shop, "Budi Santoso", "Hi")
    made.tab("queue")
    made.row(maya).click()
    expect(made.page.locator("#room-name")).to_have_text("Maya Putri")
    made.page.reload()
    made.expect_live()
    expect(made.page.locator("#room-name")).to_have_text("Maya Putri")
    expect(made.bubbles()).to_have_text(["Hello"])
    made.page.go_back()
    expect(made.page.locator("#room")).to_be_hidden()
    expect(made.page.locator("#tabs")).to_be_visible()
    made.page.go_forward()
    expect(made.page.locator("#room-name")).to_have_text("Maya Putri")
    made.page.locator("#details-button").click()
    expect(made.page.locator("#details")).to_be_visible()
    made.page.go_back()
    expect(made.page.locator("#details")).to_be_hidden()
    expect(made.page.locator("#room-name")).to_be_visible()
    made.page.locator("#back").click()
    made.tab("queue")
    made.row(budi).click()
    expect(made.page.locator("#room-name")).to_have_text("Budi Santoso")
    made.page.go_back()
    expect(made.page.locator("#room")).to_be_hidden()
    expect(made.page, "one entry more than before, however many were opened").to_have_url(f"{shop.url}/agent")


def test_an_address_of_a_conversation_that_is_not_there_shows_the_list(desk, shop):
    made = desk("agent@demo.com")
    made.page.goto(f"{shop.url}/agent#snotthere")
    made.page.reload()
    made.expect_live()
    expect(made.page.locator("#room")).to_be_hidden()
    expect(made.page).to_have_url(f"{shop.url}/agent")


def test_a_supervisor_begins_with_what_there_is(desk, shop):
    maya = Customer(shop, "Maya Putri", "Hello")
    boss = desk("supervisor@demo.com")
    expect(boss.row(maya)).to_be_visible()
    boss.tab("mine")
    expect(boss.page.locator("#no-rows-hint")).to_contain_text("Supervisors are given none by themselves")


@pytest.mark.long
def test_a_page_without_a_network_says_so_at_once_and_what_it_means(desk, shop):
    made = desk("agent@demo.com")
    made.pick(Customer(shop, "Maya Putri", "Hello"))
    made.page.context.set_offline(True)
    expect(made.page.locator("#live")).to_have_attribute("data-state", "reconnecting", timeout=3000)
    expect(made.page.locator("#me-button")).to_have_attribute("data-presence", "offline")
    expect(made.page.get_by_text("After 30 seconds the chats that you have not answered")).to_be_visible(timeout=15_000)
    made.page.context.set_offline(False)
    made.expect_live()
    expect(made.page.locator("#me-button")).to_have_attribute("data-presence", "online")
