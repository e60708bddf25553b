"""Pictures on the pages: previews alone are loaded, their room is kept before they come, what has none can be saved."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from testbed.agentpages import Customer, picture
from testbed.chatpages import PDF
from testbed.chatpages import Customer as CustomersPage
from testbed.deadlines import eventually
from tests.services.test_previews import bomb
from tests.variants import first_of

FILES = re.compile(r"/api/v1/files/[0-9a-f]{32}")
ORIGINAL = re.compile(r"/api/v1/files/[0-9a-f]{32}(\?|$)")
PREVIEW = re.compile(r"/api/v1/files/[0-9a-f]{32}/preview")
BROKEN = "() => [...document.images].filter((each) => each.src && each.complete && !each.naturalWidth).length"
END = "(box) => Math.round(box.scrollHeight - box.scrollTop - box.clientHeight)"
# Object URLs that somebody made and has not given back.
ADDRESSES = """window.kept = new Set();
const make = URL.createObjectURL, revoke = URL.revokeObjectURL;
URL.createObjectURL = (what) => { const url = make(what); kept.add(url); return url; };
URL.revokeObjectURL = (url) => { kept.delete(url); revoke(url); };"""
HALF = picture(300, 200)[:200]


def asked_for(page: Page, what: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if what.search(request.url) else None)
    return found


def album(shop: Any, name: str = "Maya Putri") -> Customer:
    """A chat with more pictures than a screen holds, two of them broken in their own way."""
    maya = Customer(shop, name, "Look at these")
    for n in range(6):
        maya.sends_file(f"{n}.png", picture(900, 400 + 150 * n), "image/png")
    maya.sends_file("bomb.png", bomb(10_000, 9_990), "image/png")
    maya.sends_file("half.png", HALF, "image/png")
    maya.says("That was all")
    return maya


def test_an_agent_s_page_loads_previews_and_the_picture_for_whoever_opens_it(desk, shop):
    maya = album(shop)
    made = desk("agent@demo.com")
    page = made.page
    page.evaluate(ADDRESSES)
    originals = asked_for(page, ORIGINAL)
    made.pick(maya)
    pictures = page.locator("#log .picture img")
    expect(pictures).to_have_count(6)
    assert pictures.first.get_attribute("src") is None, "nobody has looked at it yet"
    for each in pictures.all():
        each.scroll_into_view_if_needed()
    loaded = "() => [...document.querySelectorAll('#log .picture img')].every((each) => each.naturalWidth)"
    eventually(lambda: page.evaluate(loaded), 20, "the previews")
    expect(page.locator("#log .file .file-name")).to_have_text(["bomb.png", "half.png"])
    eventually(lambda: page.evaluate("kept.size") == 0, 5, "no address of a picture kept")
    assert (originals, page.evaluate(BROKEN)) == ([], 0)
    page.locator("#log .picture").last.click()
    expect(page.locator("#photo")).to_have_js_property("naturalWidth", 900)
    expect(page.locator("#photo-none")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#photo-save").click()
    assert Path(download.value.path()).read_bytes() == picture(900, 1150)
    page.keyboard.press("Escape")
    expect(page.locator("#photo-dialog")).to_be_hidden()
    eventually(lambda: page.locator("#photo").get_attribute("src") is None, 5, "the picture put away")
    with page.expect_download() as download:
        page.locator("#log .file").first.click()
    assert download.value.suggested_filename == "bomb.png"


class Held:
    """Previews that a page has asked for, until they may come."""

    def __init__(self, page: Page) -> None:
        self.routes: list[Route] = []
        self.is_free = False
        page.route(PREVIEW, lambda route: route.continue_() if self.is_free else self.routes.append(route))

    def free(self) -> None:
        self.is_free = True
        for route in self.routes:
            route.continue_()


@pytest.mark.parametrize("who", first_of(["customer", "agent"]))
def test_a_room_with_pictures_opens_at_its_end_and_stays_there_while_they_come(desk, opened, shop, who):
    maya = album(shop)
    if who == "agent":
        made = desk("agent@demo.com")
        page, box, log = made.page, made.page.locator("#log-box"), made.page.locator("#log")
        held = Held(page)
        made.pick(maya)
    else:
        page = opened(f"/chat?tenant={shop.id}", reduced_motion="reduce")
        kept = {"session_key": maya.key, "session_id": maya.id}
        page.evaluate(
            "([key, kept]) => localStorage.setItem(key, JSON.stringify(kept))", [f"giliran-chat-{shop.id}", kept]
        )
        held = Held(page)
        page.reload()
        box, log = page.locator("#scroll"), page.locator("#log")
    expect(log.locator(".picture img")).to_have_count(6)
    expect(log).to_contain_text("That was all")
    eventually(lambda: page.title() and held.routes, 10, "a preview that is asked for")  # the page has to be asked, too
    eventually(lambda: box.evaluate(END) <= 1, 5, "the end of the messages")
    high = box.evaluate("(box) => box.scrollHeight")
    held.free()
    last = log.locator(".picture img").last
    eventually(lambda: last.evaluate("(img) => img.naturalWidth"), 20, "the preview")
    grown = box.evaluate("(box) => box.scrollHeight") - high
    assert abs(grown) <= 6, f"a pixel for each picture, not {grown}"
    eventually(lambda: box.evaluate(END) <= 1, 5, "still the end of the messages")
    assert page.evaluate(BROKEN) == 0


SHOWN = "[...document.querySelectorAll('[href], [src]')].map((one) => one.href?.baseVal ?? one.href ?? one.src)"

SOON = "const set = setTimeout; window.setTimeout = (then, ms, ...more) => set(then, ms === 864e5 ? 300 : ms, ...more);"
WIDE = "document.images[0]?.naturalWidth"
LATER = "() => { const now = Date.now; Date.now = () => now() + 2 * 60 * 60_000; }"


def test_what_stands_in_addresses_opens_one_file_for_a_while_and_never_the_chat(opened, shop):
    maya = Customer(shop, "Maya Putri", "Look at this")
    maya.sends_file("cat.png", picture(90, 60), "image/png")
    maya.sends_file("bill.pdf", PDF, "application/pdf")
    page = opened(f"/chat?tenant={shop.id}")
    kept = {"session_key": maya.key, "session_id": maya.id}
    page.evaluate("([key, kept]) => localStorage.setItem(key, JSON.stringify(kept))", [f"giliran-chat-{shop.id}", kept])
    files, asked = asked_for(page, FILES), asked_for(page, re.compile("/tickets$"))
    page.reload()
    image, card = page.locator("#log .picture img"), page.locator("#log a.file")
    eventually(lambda: image.evaluate("(img) => img.naturalWidth"), 20, "the preview")
    expect(card).to_have_attribute("href", re.compile("ticket="))
    assert len(asked) == 1, "all that are wanted at once"
    page.evaluate(LATER)  # the page stays open for hours
    for link, name in ((page.locator("#log .picture"), "cat.png"), (card, "bill.pdf")):
        link.evaluate("(link) => link.setAttribute('href', '#')")  # as if it were over at the server
        if name == "cat.png":
            with page.context.expect_page() as popup:
                link.click()
            eventually(lambda made=popup.value: made.evaluate(WIDE) == 90, 10, "the picture")
        else:
            with page.expect_download() as coming:
                link.click()
            assert Path(coming.value.path()).read_bytes() == PDF
    assert len(asked) >= 2, "asked anew"
    with page.expect_download() as coming:
        page.locator("#menu-button").click()
        page.locator("#transcript-txt").click()
    assert "Look at this" in Path(coming.value.path()).read_text()
    shown = page.evaluate(SHOWN)
    assert [one for one in [*shown, *files, coming.value.url] if maya.key in one] == []
    assert all("ticket=" in one for one in files)


def test_a_page_forgets_the_key_of_a_chat_that_is_over(opened, shop):
    """Once it has lapsed: a page that is open by itself, one that is opened then because the server says so."""
    page = opened(f"/chat?tenant={shop.id}")
    page.add_init_script(SOON)
    page.reload()
    CustomersPage(shop, page).starts()
    page.locator("#menu-button").click()
    page.locator("#end").click()
    page.locator("#end-dialog").get_by_role("button", name="End the chat").click()
    expect(page.locator("#start-view")).to_be_visible()
    kept = json.loads(page.evaluate(f"localStorage.getItem('giliran-chat-{shop.id}')"))
    assert kept == {"name": "Maya Putri", "email": kept["email"]}


WRONG = {
    "fake.png": (b"\xff\xd8\xff no picture", "This file is broken, or not what its name says."),
    "empty.txt": (b"", "This file is empty."),
    "big.png": (b"\x89PNG" + bytes(2 << 20), "Larger than 1 MB."),
    "setup.exe": (b"MZ\x90\0\3\0\0\0", "This kind of file is not allowed."),
}


@pytest.mark.long
def test_a_file_that_is_not_taken_says_what_is_wrong_and_is_no_broken_picture(opened, desk, shop):
    page = opened(f"/chat?tenant={shop.id}")
    made = desk("agent@demo.com")
    made.pick(Customer(shop, "Joko Widodo", "Hi"))
    CustomersPage(shop, page).starts()
    files = [{"name": name, "mimeType": "image/png", "buffer": content} for name, (content, _) in WRONG.items()]
    page.set_input_files("#files", files)
    made.page.set_input_files("#file", files)
    for one in (page, made.page):
        one.locator("#text").press("Enter")
    for name, (_, why) in WRONG.items():
        expect(page.locator("#log .message.failed, #chosen .wrong").filter(has_text=name)).to_contain_text(why)
    expect(page.locator("#log .file img")).to_have_count(0)
    whys = ["fake.png is broken, or not what its name says.", "empty.txt is empty."]
    said = made.page.locator("#uploads small, #chosen small").filter(has_text=re.compile("broken|empty"))
    expect(said).to_have_text(whys)
    for button in made.page.locator("#uploads [data-part=again]").all():
        expect(button).to_be_hidden()
