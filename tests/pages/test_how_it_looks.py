"""How pages look: a tenant's colour, forms that stay where they are, tickets, waits by their colour."""

import pytest
from playwright.sync_api import Page, expect

from testbed.agentpages import Customer as Asker
from testbed.chatpages import PHONE, Agent, Customer, faint_texts

NARROW = {"viewport": {"width": 320, "height": 640}, "locale": "id-ID"}
TOPS = "ids => ids.map(id => document.getElementById(id).getBoundingClientRect().top)"
FILLS = {"#facc15": "rgb(250, 204, 21)", "#4c1d95": "rgb(76, 29, 149)"}


def _tops(page: Page) -> list[float]:
    return page.evaluate(TOPS, ["name", "email", "question", "start"])


def test_a_tenants_colour_and_letters_are_its_customers_page_and_stay_readable(opened, shop):
    made = shop.home.new_shop("Kopi Senja", tenant="kopi-senja")
    for colour, fill in FILLS.items():
        shop.home.run("UPDATE tenants SET color = %s WHERE id = %s", colour, made.id)
        made.until_told(color=colour)
        page = opened(f"/chat?tenant={made.id}")
        button = page.locator("#start")
        expect(button).to_have_css("background-color", fill)
        expect(page.locator("#face")).to_have_text("KS")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            expect(button).to_have_css("background-color", fill)
            assert faint_texts(page) == []
        maya = Customer(made, page).starts()
        expect(maya.bubbles().first).to_have_css("background-color", fill)
        assert faint_texts(page) == []
    plain = opened(f"/chat?tenant={shop.id}")
    expect(plain.locator("#start")).to_have_css("background-color", "rgb(15, 118, 110)")


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE}], ids=["desk", "phone"])
def test_a_form_that_says_what_is_wrong_moves_nothing(opened, shop, options):
    page = opened(f"/chat?tenant={shop.id}", **options)
    expect(page.locator("#online-chip")).to_be_visible()
    before = _tops(page)
    page.locator("#start").click()
    expect(page.locator("#question-wrong")).not_to_be_empty()
    assert _tops(page) == before
    assert page.locator("#email-hint").is_hidden()
    page.locator("#email").fill("maya@example.com")
    expect(page.locator("#email-hint")).to_be_visible()
    assert _tops(page) == before


def test_at_320_pixels_a_composer_is_one_line_high_and_grows_with_what_is_written(opened, desk, shop):
    page = opened(f"/chat?tenant={shop.id}", **NARROW)
    Customer(shop, page).starts()
    made = desk("agent@demo.com", viewport=NARROW["viewport"])
    made.pick(Asker(shop, "Bartholomew Montgomery", "Halo"))
    for one in (page, made.page):
        text = one.locator("#text")
        empty = text.bounding_box()["height"]
        assert empty <= 46, empty
        text.fill("satu\ndua\ntiga")
        assert text.bounding_box()["height"] > empty + 20
        text.fill("")
        assert text.bounding_box()["height"] == empty


def test_widget_and_page_show_ones_place_as_the_same_ticket(opened, desk, shop):
    made = desk("agent@demo.com")
    expect(made.page.locator("#live")).to_have_attribute("data-state", "live")
    first = Asker(shop, "Maya Putri", "Hello")
    page = opened(f"/chat?tenant={shop.id}")
    Customer(shop, page).starts()
    site = opened(f"/widget-demo.html?tenant={shop.id}")
    site.locator(".launcher").click()
    site.locator("#chat-view #name").fill("Joko")
    site.locator("#chat-view #email").fill("joko@example.com")
    site.locator("#chat-view #question").fill("Halo")
    site.locator("#chat-view #start").click()
    for one, place in ((page, "2"), (site, "3")):
        expect(one.locator("#line-card .place")).to_have_text(place)
        expect(one.locator("#line-card .place")).to_have_css("border-inline-end-style", "dashed")
    made.tab("queue")
    expect(made.page.locator("#rows .row")).to_have_count(3)
    expect(made.page.locator("#rows .row[data-wait]")).to_have_count(0)
    for room, minutes in ((first.id, 20), (_second(shop), 7)):
        shop.home.run(
            "UPDATE sessions SET created_at = now() - make_interval(mins => %s) WHERE room = %s", minutes, room
        )
    made.page.reload()
    made.tab("queue")
    expect(made.page.locator("#rows .row[data-wait]")).to_have_count(2)
    waits = [row.get_attribute("data-wait") for row in made.page.locator("#rows .row").all()]
    assert waits == ["late", "long", None]


def _second(shop) -> str:
    return str(Agent(shop).does("GET", "queue")["sessions"][1]["session_id"])


def test_the_small_pages_tell_what_can_be_called_and_what_is_not_there_yet(opened):
    demo = opened("/widget-demo.html")
    expect(demo.locator("#call-rows code")).to_have_text(
        [f"CallCenterChat.{call}" for call in ("init(options)", "open()", "close()", "destroy()")]
    )
    demo.locator("#open").click()
    expect(demo.locator("#chat-view")).to_be_visible()
    demo.locator("main #close").click()
    expect(demo.locator("#chat-view")).to_be_hidden()
    page = opened("/websocket-test.html")
    expect(page.locator("#no-frames")).to_be_visible()
    page.locator("#start button").click()
    expect(page.locator("#frames > div")).to_have_count(1)
    expect(page.locator("#no-frames")).to_be_hidden()
