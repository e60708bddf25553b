"""Canned replies, edited on the agent's page in a real Chromium, with a real sidecar."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import (
    Dialog,
    Locator,
    expect,
)

from testbed.agentpages import PHONE, Customer, Desk
from testbed.deadlines import eventually


def _editor(made: Desk) -> Locator:
    """Opened from the menu."""
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitem", name="Edit canned replies").click()
    editor = made.page.get_by_role("dialog", name="Canned replies")
    expect(editor).to_be_visible()
    return editor


def _reply(editor: Locator, shortcut: str) -> Locator:
    return editor.get_by_role("group", name=f"Reply /{shortcut}", exact=True)


def _add(editor: Locator, shortcut: str, text: str) -> None:
    editor.get_by_role("button", name="Add a reply").click()
    made = editor.locator(".reply").last
    expect(made.get_by_label("Shortcut", exact=True)).to_be_focused()
    made.get_by_label("Shortcut", exact=True).fill(shortcut)
    made.get_by_label("Text", exact=True).fill(text)


def _save(editor: Locator) -> None:
    editor.get_by_role("button", name="Save", exact=True).click()


@pytest.mark.long
def test_a_supervisor_edits_the_canned_replies_and_an_agent_has_them_at_once(desk, shop):
    shop.canned({"hello": "Hello {name}", "bye": "Good bye", "hours": "Open from 9 to 5"})
    ani, sri = desk("agent@demo.com"), desk("supervisor@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    sri.open(maya, "all")
    sri.page.locator("#canned-button").click()
    sri.page.get_by_role("button", name="Edit replies").click()
    editor = sri.page.get_by_role("dialog", name="Canned replies")
    expect(_reply(editor, "bye").get_by_label("Shortcut", exact=True)).to_be_focused()
    _reply(editor, "hello").get_by_label("Text", exact=True).fill("Good morning {name}, I am {agent}")
    editor.get_by_role("button", name="Remove /hours").click()
    expect(editor.get_by_text("/hours will be removed")).to_be_visible()
    editor.get_by_role("button", name="Remove /bye").click()
    editor.get_by_role("button", name="Undo: keep /bye").click()
    _add(editor, "refund", "The money is back in three days.")
    _save(editor)
    expect(editor).to_be_hidden()
    expect(sri.page.locator("#canned-button")).to_be_focused()
    expect(sri.page.get_by_text("Canned replies saved")).to_be_visible()
    sri.page.locator("#canned-button").click()
    expect(sri.page.locator("#canned").get_by_role("option")).to_have_text(
        [re.compile("^/bye"), re.compile("^/hello"), re.compile("^/refund")]
    )
    ani.page.locator("#text").press_sequentially("/ref")
    expect(ani.page.get_by_role("option", name="refund")).to_be_visible()
    ani.page.keyboard.press("Enter")
    expect(ani.page.locator("#text")).to_have_value("The money is back in three days.")
    ani.page.reload()
    ani.expect_live()
    ani.open(maya)
    ani.page.locator("#text").fill("/hel")
    ani.page.keyboard.press("Enter")
    expect(ani.page.locator("#text")).to_have_value("Good morning Maya Putri, I am Ani Lestari")


@pytest.mark.long
def test_agents_are_not_offered_to_edit_canned_replies(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("agent@demo.com")
    made.pick(Customer(shop, "Maya Putri", "Hi"))
    made.page.locator("#canned-button").click()
    expect(made.page.get_by_role("option", name="hello")).to_be_visible()
    expect(made.page.get_by_role("button", name="Edit replies")).to_be_hidden()
    made.page.locator("#me-button").click()
    expect(made.page.get_by_role("menuitem", name="Keyboard shortcuts")).to_be_visible()
    expect(made.page.get_by_role("menuitem", name="Edit canned replies")).to_be_hidden()


@pytest.mark.long
def test_what_is_wrong_with_a_canned_reply_is_said_at_its_field_and_nothing_is_sent(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("supervisor@demo.com")
    asked: list[str] = []
    editor = _editor(made)
    made.page.on("request", lambda request: asked.append(request.method))
    for shortcut, text in (("Hello", "Hi"), ("two words", ""), ("a" * 33, "x" * 4001)):
        _add(editor, shortcut, text)
    _save(editor)
    expect(editor.get_by_role("alert")).to_contain_text("Correct 5 fields first.")
    expect(editor.get_by_label("Shortcut", exact=True).nth(1)).to_be_focused()
    for number, said in ((1, "/Hello is there twice."), (2, "no spaces and no slash"), (3, "At most 32 characters")):
        field = editor.get_by_label("Shortcut", exact=True).nth(number)
        expect(field).to_have_accessible_description(re.compile(re.escape(said)))
    expect(editor.get_by_label("Text", exact=True).nth(2)).to_have_accessible_description("Write the text.")
    expect(editor.get_by_label("Text", exact=True).nth(3)).to_have_accessible_description(re.compile("4000.*4001"))
    assert asked == []
    for number in (3, 2):
        editor.locator(".reply").nth(number).get_by_role("button", name="Remove").click()
    editor.get_by_label("Shortcut", exact=True).nth(1).fill("hi")
    expect(editor.get_by_role("alert")).to_be_hidden()
    _save(editor)
    expect(editor).to_be_hidden()


@pytest.mark.long
def test_in_a_long_list_of_canned_replies_one_is_found(desk, shop):
    shop.canned({f"reply{number}": f"Answer {number}" for number in range(30)})
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    expect(editor.get_by_role("group")).to_have_count(30)
    editor.get_by_label("Find a reply").fill("answer 17")
    expect(editor.get_by_role("group")).to_have_count(1)
    made.page.keyboard.press("Enter")
    _reply(editor, "reply17").get_by_label("Text", exact=True).fill("Found")
    editor.get_by_label("Find a reply").fill("nowhere")
    expect(editor.get_by_text("No canned reply matches")).to_be_visible()
    made.page.keyboard.press("Escape")
    expect(editor.get_by_role("group")).to_have_count(30)
    _save(editor)
    expect(editor).to_be_hidden()
    editor = _editor(made)
    expect(editor.get_by_role("group")).to_have_count(30)
    expect(_reply(editor, "reply17").get_by_label("Text", exact=True)).to_have_value("Found")


@pytest.mark.long
def test_changed_canned_replies_are_not_dropped_without_asking(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    made.page.keyboard.press("Escape")
    expect(editor).to_be_hidden()
    expect(made.page.locator("#me-button")).to_be_focused()
    editor = _editor(made)
    text = _reply(editor, "hello").get_by_label("Text", exact=True)
    text.fill("Welcome back")
    made.page.keyboard.press("Escape")
    question = made.page.get_by_role("dialog", name="Discard your changes?")
    expect(question.get_by_role("button", name="Keep editing")).to_be_focused()
    made.page.keyboard.press("Enter")
    expect(question).to_be_hidden()
    expect(text).to_be_focused()
    expect(text).to_have_value("Welcome back")
    editor.get_by_role("button", name="Cancel").click()
    question.get_by_role("button", name="Discard changes").click()
    expect(editor).to_be_hidden()
    editor = _editor(made)
    expect(_reply(editor, "hello").get_by_label("Text", exact=True)).to_have_value("Hello {name}")


@pytest.mark.long
def test_a_page_with_changed_canned_replies_is_not_left_without_asking(desk, shop):
    made = desk("supervisor@demo.com")
    _add(_editor(made), "hello", "Hello {name}")
    asked: list[str] = []

    def stay(question: Dialog) -> None:
        asked.append(question.type)
        question.dismiss()

    made.page.on("dialog", stay)
    made.page.evaluate("setTimeout(() => location.reload())")
    eventually(lambda: made.page.title() and asked == ["beforeunload"], 5, "the question of the browser")
    expect(made.page.get_by_label("Text", exact=True)).to_have_value("Hello {name}")


@pytest.mark.long
def test_canned_replies_that_a_colleague_changed_meanwhile_are_not_overwritten_unseen(desk, shop):
    shop.canned({"hello": "Hello {name}"})
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    _reply(editor, "hello").get_by_label("Text", exact=True).fill("Mine")
    shop.canned({"hello": "Theirs"})
    _save(editor)
    expect(editor.get_by_role("alert")).to_contain_text("Somebody else has changed the replies")
    editor.get_by_role("button", name="Drop mine, show theirs").click()
    text = _reply(editor, "hello").get_by_label("Text", exact=True)
    expect(text).to_have_value("Theirs")
    text.fill("Mine again")
    shop.canned({"hello": "Theirs again"})
    _save(editor)
    editor.get_by_role("button", name="Save mine instead").click()
    expect(editor).to_be_hidden()
    editor = _editor(made)
    expect(_reply(editor, "hello").get_by_label("Text", exact=True)).to_have_value("Mine again")


@pytest.mark.long
def test_a_refusal_and_a_sign_in_that_ended_lose_no_changed_canned_reply(desk, shop):
    made = desk("supervisor@demo.com")
    editor = _editor(made)
    expect(editor.get_by_text("No canned replies yet")).to_be_visible()
    _add(editor, "hello", "Hello {name}")
    refused = {"error": {"code": "unavailable", "message": "away"}}
    made.page.route("**/api/v1/canned", lambda route: route.fulfill(status=503, json=refused))
    _save(editor)
    expect(editor.get_by_role("alert")).to_contain_text("The server cannot do this right now. Try again in a moment.")
    made.page.unroute("**/api/v1/canned")
    shop.revoke_all()
    _save(editor)
    made.sign_in("supervisor@demo.com")
    expect(editor.get_by_role("alert")).to_contain_text("Your changes are still here, they are not saved yet.")
    _save(editor)
    expect(editor).to_be_hidden()
    expect(made.page.get_by_text("Canned replies saved")).to_be_visible()


@pytest.mark.long
def test_canned_replies_are_edited_on_a_phone_in_indonesian(desk, shop, tmp_path):
    """Leaves pictures to look at, as the day at the desk does."""
    folder = Path(os.environ.get("GILIRAN_PICTURES", tmp_path))
    shop.canned({"halo": "Halo {name}, saya {agent}. Ada yang bisa saya bantu?", "kirim": "Paket tiba besok."})
    phone = {"viewport": PHONE, "locale": "id-ID", "is_mobile": True, "has_touch": True}
    made = desk("supervisor@demo.com", **phone)
    made.page.locator("#me-button").tap()
    made.page.get_by_role("menuitem", name="Ubah balasan siap pakai").tap()
    editor = made.page.get_by_role("dialog", name="Balasan siap pakai")
    expect(editor.get_by_role("group", name="Balasan /halo")).to_be_visible()
    made.page.screenshot(path=folder / "canned-phone-id.png", animations="disabled")
    editor.get_by_role("button", name="Hapus /kirim").tap()
    editor.get_by_role("button", name="Tambah balasan").tap()
    editor.get_by_label("Pintasan", exact=True).last.fill("dua kata")
    editor.get_by_role("button", name="Simpan").tap()
    expect(editor.get_by_text("Pintasan tidak memuat spasi")).to_be_visible()
    made.page.screenshot(path=folder / "canned-phone-id-wrong.png", animations="disabled")
    assert made.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    editor.get_by_label("Pintasan", exact=True).last.fill("dua")
    editor.get_by_label("Teks", exact=True).last.fill("Dua kata")
    editor.get_by_role("button", name="Simpan").tap()
    expect(editor).to_be_hidden()
