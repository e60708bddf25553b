"""The agent's page for everybody: languages, phones, keyboards, screen readers, the look; in a real Chromium, with a
real sidecar."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import (
    Locator,
    expect,
)

from db import chat
from testbed import chatpages
from testbed.agentpages import PHONE, PIXEL, TABLET, Customer, on_a_line, picture
from testbed.axe import grave_faults
from testbed.deadlines import eventually
from testbed.states import STATES, stage

# --- people and devices


@pytest.mark.long
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
    ani.page.screenshot(path=folder / "agent.png", animations="disabled")
    ani.page.emulate_media(color_scheme="dark")
    ani.page.screenshot(path=folder / "agent-dark.png", animations="disabled")
    budi.page.locator("#tab-queue").tap()
    expect(budi.page.locator("#rows .name")).to_have_text(["Joko Widodo", "Dewi Anggraini"])
    budi.page.screenshot(path=folder / "agent-phone-queue-dark-id.png", animations="disabled")
    budi.row(joko).tap()
    budi.page.locator("#pick").tap()
    expect(budi.page.locator("#room-state")).to_have_text("Dengan Anda")
    budi.page.locator("#text").fill("Buka, pukul 10 sampai 16.")
    budi.page.locator("#send").tap()
    eventually(lambda: "Buka, pukul 10 sampai 16." in joko.bodies(), 5, "the answer")
    budi.page.screenshot(path=folder / "agent-phone-dark-id.png", animations="disabled")
    ani.open(dewi, "queue")
    ani.page.screenshot(path=folder / "agent-queue-dark.png", animations="disabled")
    maya.ends()
    ani.tab("mine")
    expect(ani.page.locator("#rows .row")).to_have_count(0)
    assert all(path.stat().st_size > 10_000 for path in folder.glob("agent*.png"))


@pytest.mark.long
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


@pytest.mark.long
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
    keys = made.page.evaluate("""async () => { const { vocabulary } = await import('/static/js/words/words.js');
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


@pytest.mark.long
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
    expect(boss.page.locator("#more-button")).to_be_focused()  # there still, and where the menu was opened


@pytest.mark.long
def test_nothing_empty_holds_up_a_reader_who_hears_the_page_to_its_end(desk):
    """A status without words at the end of a page is read again and again: Orca 43 said "statusbar" for ever."""
    made = desk("agent@demo.com")
    empty = "() => [...document.querySelectorAll('[role=status]:empty')].filter(one => one.checkVisibility()).length"
    for path in ("/agent", "/chat?tenant=shop", "/websocket-test.html"):
        made.page.goto(made.page.url.rsplit("/", 1)[0] + path)
        made.page.wait_for_load_state("networkidle")
        made.page.evaluate("async () => (await import('/static/js/core/dom.js')).toast('In passing')")
        made.page.locator(".toasts").evaluate("node => node.replaceChildren()")
        assert made.page.evaluate(empty) == 0, path
    assert made.wrong == []


@pytest.mark.long
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


@pytest.mark.long
def test_whoever_has_picked_writes_at_once_whether_the_answer_or_the_event_comes_first(desk, shop):
    made, held = desk("agent@demo.com"), []
    line = on_a_line(made, lambda frame: "assigned" in frame)
    maya, joko = Customer(shop, "Maya Putri", "Hi"), Customer(shop, "Joko W", "Hi")
    made.pick(maya)
    expect(made.page.locator("#text")).to_be_focused()
    line.loses = None
    made.page.route("**/queue/*/pick", lambda route: held.append((route, route.fetch())))
    made.pick(joko)
    while not held:  # the event may be here before the answer is
        made.page.wait_for_timeout(10)
    expect(made.page.locator("#text")).not_to_be_focused()
    ((route, answer),) = held
    route.fulfill(response=answer)
    expect(made.page.locator("#text")).to_be_focused()


@pytest.mark.long
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
    expect(page.locator("#login-why")).to_contain_text("drafts are kept")
    made.sign_in("agent@demo.com")
    made.expect_live()
    expect(page.locator("#rows")).to_be_focused()


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_faint_words_are_still_readable_and_the_canned_replies_are_a_combobox(desk, shop):
    shop.canned({"hello": "Hello {name}", "help": "How can I help?"})
    made = desk("agent@demo.com")
    line = on_a_line(made)
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


@pytest.mark.long
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


TONE = """async name => { const { tone } = await import('/static/js/core/dom.js'); return `tone-${tone(name)}`; }"""


def test_axe_finds_nothing_grave_in_a_conversation_and_at_its_end(browser, shop):
    """All states, in all sizes: `./scripts/pictures --axe`."""
    for name in ("agent room", "widget ended"):
        with stage(browser, shop, locale="en-GB", viewport=PHONE) as made:
            assert grave_faults(STATES[name](made)) == [], name


@pytest.mark.long
def test_a_row_says_that_its_customer_writes_only_while_they_do(desk, opened, shop):
    made, page = desk("agent@demo.com"), opened("/chat?tenant=shop")
    made.page.clock.install()
    made.page.reload()
    made.expect_live()
    maya = chatpages.Customer(shop, page).starts("Maya Putri", "Where is my parcel?")
    made.tab("queue")
    said = made.page.locator(f"#row-{maya.id} .said")
    page.locator("#text").press_sequentially("It")  # and then nothing, so nobody says that it is over
    expect(said).to_have_text("Maya is typing")
    made.page.clock.run_for(1000)
    made.page.clock.run_for(8000)
    expect(said).to_have_text("Where is my parcel?")


@pytest.mark.long
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


@pytest.mark.long
def test_a_picture_fills_its_bubble_and_can_be_saved(desk, shop):
    made = desk("agent@demo.com")
    page, maya = made.page, Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    maya.sends_file("wide.png", picture(900, 300), "image/png")
    maya.sends_file("tall.png", picture(300, 700), "image/png")
    bubbles = page.locator("#log .bubble").filter(has=page.locator("img"))
    for bubble, height in ((bubbles.nth(0), 93), (bubbles.nth(1), 259)):
        expect(bubble.locator("img")).to_have_js_property("offsetHeight", height)
        assert _box(bubble)["width"] - _box(bubble.locator("img"))["width"] < 20
    bubbles.nth(1).locator("button").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == "tall.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
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
    expect(page.get_by_text("Nothing matches the filter")).to_be_visible()
