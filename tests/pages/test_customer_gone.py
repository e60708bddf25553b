"""A customer who closes the page and comes back, as both pages show it."""

import os

from playwright.sync_api import expect

from testbed import agentpages, chatpages


def test_agents_see_who_has_closed_the_page_and_who_comes_back_has_the_old_place(desk, opened, shop):
    made = desk("agent2@demo.com")  # no other test has them without a socket, which the sidecar believes for a while
    made.expect_live()  # else customers would leave a message, and keep their places
    first, second = (chatpages.Customer(shop, opened("/chat?tenant=shop")) for _ in range(2))
    first.starts("Maya Putri", "Where is my parcel?")
    second.starts("Budi Santoso", "Hello")
    made.tab("queue")
    maya = made.page.locator(f"#row-{first.id}")
    maya.click()
    expect(made.page.locator("#room-state")).to_contain_text("Number 1 in line")
    url = first.page.url
    room = first.id
    kept = first.page.evaluate("JSON.stringify(localStorage)")
    first.page.close()
    expect(made.page.locator("#room-away")).to_contain_text("away for")
    expect(maya).to_have_attribute("aria-description", "No page of the customer is open")
    _picture(made, "away")

    shop.home.run("UPDATE sessions SET seen_at = seen_at - interval '601 s' WHERE room = %s", room)
    shop.home.run("UPDATE sidecars SET started_at = started_at - interval '601 s'")
    expect(made.page.locator("#room-state")).to_contain_text("Left the queue")
    expect(maya).to_have_count(0)
    expect(made.page.get_by_role("button", name="Pick", exact=True)).to_be_hidden()
    expect(second.page.locator("#place-number")).to_have_text("1")
    made.tab("all")
    expect(maya).to_have_count(0)
    _picture(made, "gone")

    back = opened("/chat?tenant=shop")
    back.evaluate("kept => Object.assign(localStorage, JSON.parse(kept))", kept)
    back.goto(url)
    expect(back.locator("#log")).to_contain_text("Welcome back: you have your old place again")
    expect(back.locator("#place-number")).to_have_text("1")
    expect(second.page.locator("#place-number")).to_have_text("2")
    expect(second.page.locator("#place-line")).to_contain_text("Your place has changed: somebody goes before you.")
    if folder := os.environ.get("PICTURES"):
        back.screenshot(path=f"{folder}/back.png")
    made.tab("queue")
    expect(maya).to_contain_text("#1")
    made.page.get_by_role("button", name="Pick", exact=True).click()
    expect(made.page.locator("#room-state")).to_have_text("With you")
    expect(back.locator("#log")).to_contain_text("Budi Santoso joined")
    expect(second.page.locator("#place-number")).to_have_text("1")
    expect(second.page.locator("#place-line")).not_to_contain_text("has changed")


def _picture(made: agentpages.Desk, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        made.page.screenshot(path=f"{folder}/{name}.png")
