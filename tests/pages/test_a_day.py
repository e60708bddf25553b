"""A day in browsers alone: three customers, two agents, the worker between them, from the first word to the search."""

import os
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from db.inbox import limit_key
from testbed.agentpages import Desk
from testbed.chathouse import STAFF
from testbed.chatpages import PHONE, PIXEL, Customer, sends_files

ANI, BUDI = "agent@demo.com", "agent2@demo.com"


def test_three_customers_are_served_by_two_agents_from_the_first_word_to_the_search(
    desk, opened, served_shop, tmp_path
):
    """Leaves pictures to look at, in GILIRAN_PICTURES or pytest's temporary folder."""
    shop, folder = served_shop, Path(os.environ.get("GILIRAN_PICTURES", tmp_path))

    def picture(page: Page, name: str) -> None:
        path = folder / f"day-{name}.png"
        page.screenshot(path=path, animations="disabled")
        assert path.stat().st_size > 10_000

    def comes(name: str, question: str, **look: object) -> Customer:
        return Customer(shop, opened(f"/chat?tenant={shop.id}", **look)).starts(name, question)

    crew = {}
    for email, look in ((ANI, {}), (BUDI, {"color_scheme": "dark"})):
        crew[STAFF[email][0]] = signed_in = desk(None, **look)
        signed_in.sign_in(email).expect_live()

    # Two get their turn from the worker, the third stands in line until the limit is raised.
    maya = comes("Maya Putri", "My vase came broken")
    first = expects_one_of(maya, crew)
    joko = comes("Joko Widodo", "Apakah toko buka hari Minggu?", viewport=PHONE, locale="id-ID", color_scheme="dark")
    second = expects_one_of(joko, crew)
    assert {first, second} == set(crew), "one each"
    dewi = comes("Dewi Anggraini", "I was charged twice", viewport=PHONE)
    expect(dewi.page.locator("#place-title")).to_have_text("You're next")
    picture(dewi.page, "waiting-phone")
    shop.home.house.redis.set(limit_key(shop.id), 2)
    third = expects_one_of(dewi, crew)

    # Both write, a picture goes over, what was read is marked.
    giver, taker = crew[third], crew[next(name for name in crew if name != third)]
    served = {first: maya, second: joko}[third]  # `third` has two now, so it can give one away
    name, question = ("Maya Putri", "My vase came broken") if served is maya else ("Joko Widodo", "Minggu?")
    opens(giver, served)
    giver.write("Good morning, may I see it?")
    expect(served.bubbles().last).to_have_text("Good morning, may I see it?")
    sends_files(served.page, {"name": "vase.png", "mimeType": "image/png", "buffer": PIXEL})
    expect(giver.page.locator("#log .picture img")).to_be_visible()
    expect(served.page.locator("#log .mark").last).to_have_attribute("data-mark", "read")
    picture(giver.page, "desk")

    # It goes to the colleague, who finds all that was said.
    giver.page.get_by_role("button", name="Transfer").click()
    to = STAFF[BUDI if giver is crew[STAFF[ANI][0]] else ANI][0]
    giver.page.locator("#give-people").get_by_role("button", name=re.compile(to)).click()
    expect(giver.page.locator("#room-state")).to_have_text(f"With {to}")
    expect(served.page.locator("#who")).to_have_text(to)
    opens(taker, served)
    expect(taker.page.locator("#room-name")).to_have_text(name)
    expect(taker.bubbles().first).to_contain_text(question)
    taker.write("A new one is on its way")
    expect(served.bubbles().last).to_have_text("A new one is on its way")
    picture(served.page, "chat")
    picture(taker.page, "desk-dark")

    # It ends, is rated, and is found by its words.
    taker.page.get_by_role("button", name="End", exact=True).click()
    taker.page.get_by_role("button", name="End conversation").click()
    rates(served, 4)
    expect(taker.page.locator("[data-fact=f_rating]")).to_have_text("★★★★☆")
    picture(served.page, "rated")
    giver.page.keyboard.press("Escape")
    giver.page.locator("#search").fill("new one is on its")
    hit = giver.page.locator("#found-rows button")
    expect(hit).to_have_count(1)
    hit.click()
    expect(giver.page.locator("#log .msg.flash")).to_contain_text("A new one is on its way")
    picture(giver.page, "found")
    assert max(shop.most_at_once().values()) <= 2


def expects_one_of(customer: Customer, crew: dict[str, Desk]) -> str:
    """The name of the agent whom the worker gave them."""
    expect(customer.page.locator("#who")).to_have_text(re.compile("|".join(crew)))
    return customer.page.locator("#who").inner_text()


def opens(made: Desk, customer: Customer) -> None:
    made.tab("mine")
    made.page.locator(f"#row-{customer.id}").click()


def rates(customer: Customer, stars: int) -> None:
    expect(customer.page.locator("#rating")).to_be_visible()
    customer.page.locator("#rating input[type=radio]").nth(stars - 1).check(force=True)
    customer.page.locator("#rating button[type=submit]").click()
    expect(customer.page.locator("#rated")).to_be_visible()
