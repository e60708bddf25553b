"""The customer's page and the small pages in a real Chromium, with a real sidecar; the agent comes by REST.

Screenshots go to the test's own folder (`pytest --basetemp=…` keeps them where you want).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from testbed.chathouse import Shop
from testbed.chatpages import (
    DESK,
    HOURS,
    KIOSK,
    LISTEN,
    NARROW,
    PDF,
    PHONE,
    PIXEL,
    TONES,
    Customer,
    Gate,
    faint_texts,
    heard,
    sends_files,
)
from testbed.deadlines import eventually
from testbed.states import make_kiosk


@pytest.fixture
def customer(opened: Callable[..., Page], shop: Shop) -> Callable[..., Customer]:
    def made(**options: Any) -> Customer:
        page = opened("/chat?tenant=shop", **options)
        expect(page.locator("#start-view")).to_be_visible()
        return Customer(shop, page)

    return made


# --- a chat from its start to its rating


@pytest.mark.long
def test_a_customer_starts_is_answered_ends_and_rates(customer, agent, shop):
    maya = customer().starts("Maya Putri", "Where is my order?")
    expect(maya.bubbles()).to_have_text(["Where is my order?"])
    agent.picks(maya.id)
    expect(maya.page.locator("#who")).to_have_text("Ani Lestari")
    expect(maya.page.locator("#log .happening").last).to_contain_text("Ani Lestari joined the chat")
    agent.says(maya.id, "On its way")
    maya.writes("Thank you")
    expect(maya.bubbles()).to_have_text(["Where is my order?", "On its way", "Thank you"])
    maya.page.locator("#menu-button").click()
    maya.page.get_by_role("menuitem", name="End the chat").click()
    maya.page.get_by_role("dialog").get_by_role("button", name="End the chat").click()
    expect(maya.page.locator("#log .happening").last).to_contain_text("You ended the chat")
    maya.page.get_by_role("radio", name="4 stars").check(force=True)
    maya.page.locator("#comment").fill("Quick")
    maya.page.get_by_role("button", name="Send the rating").click()
    expect(maya.page.locator("#rated")).to_be_visible()
    told = agent.does("GET", f"sessions/{maya.id}")
    told = told.get("session", told)
    assert (told["status"], told["rating"], told["rating_comment"]) == ("ended", 4, "Quick")
    maya.page.reload()
    expect(maya.page.locator("#rated")).to_be_visible()


@pytest.mark.long
def test_the_place_in_line_counts_down_live(customer, agent, browser):
    waiting = [customer().starts(f"Customer {n}") for n in range(1, 4)]
    socket = agent.online(browser)
    for page in [one.page for one in waiting]:
        page.reload()  # somebody is online now: the line is shown, not the away form
    expect(waiting[2].page.locator("#place-number")).to_have_text("3")
    agent.picks(waiting[0].id)
    expect(waiting[2].page.locator("#place-number")).to_have_text("2")
    expect(waiting[1].page.locator("#place-title")).to_have_text("You're next")
    agent.picks(waiting[1].id)
    expect(waiting[2].page.locator("#place-title")).to_have_text("You're next")
    socket.context.close()


@pytest.mark.long
def test_marks_say_sent_delivered_and_read(customer, agent, browser):
    maya = customer().starts(message="Hello")
    mark = maya.page.locator("#log .mark").last
    expect(mark).to_have_attribute("data-mark", "sent")
    agent.picks(maya.id)
    socket = agent.online(browser)
    socket.evaluate("id => tell('chat.message.delivered', { session_id: id, up_to_seq: 2 })", maya.id)
    expect(mark).to_have_attribute("data-mark", "delivered")
    socket.evaluate("id => tell('chat.message.read', { session_id: id, up_to_seq: 2 })", maya.id)
    expect(mark).to_have_attribute("data-mark", "read")
    maya.page.reload()
    expect(mark).to_have_attribute("data-mark", "read")
    socket.context.close()


@pytest.mark.long
def test_both_sides_see_that_the_other_writes(customer, agent, browser):
    maya = customer().starts(message="Hello")
    agent.picks(maya.id)
    socket = agent.online(browser)
    socket.evaluate("id => tell('chat.typing', { session_id: id, is_typing: true })", maya.id)
    expect(maya.page.locator("#typing")).to_contain_text("Ani Lestari is writing")
    socket.evaluate("id => tell('chat.typing', { session_id: id, is_typing: false })", maya.id)
    expect(maya.page.locator("#typing")).to_have_text("")
    maya.page.locator("#text").press_sequentially("Hm")
    socket.wait_for_function("heard.some(({ type, payload }) => type === 'chat.typing' && payload.is_typing)")
    agent.says(maya.id, "Yes?")
    expect(maya.bubbles().last).to_have_text("Yes?")
    socket.wait_for_function(
        "heard.some(({ type, payload }) => type === 'chat.message.read' && payload.by === 'customer')"
    )
    socket.context.close()


def test_the_start_page_says_who_is_there_now_and_which_field_is_wrong(customer, agent, browser):
    maya = customer()
    chip = maya.page.locator("#online-chip")
    expect(chip).to_contain_text("We're away")
    socket = agent.online(browser)
    expect(chip).to_contain_text("online")
    maya.page.locator("#name").fill("Maya\u202eexe")
    maya.page.locator("#email").fill("maya@example.com")
    maya.page.locator("#start").click()
    expect(maya.page.locator("#name-wrong")).to_have_text(
        "This name has characters that can't be shown. Please write it anew."
    )
    expect(maya.page.locator("#name")).to_be_focused()
    socket.context.close()


def test_where_nobody_is_online_the_question_is_asked_for_and_kept(customer):
    maya = customer()
    expect(maya.page.locator("#online-chip")).to_contain_text("We're away")
    maya.page.locator("#name").fill("Maya")
    maya.page.locator("#email").fill("maya@example.com")
    maya.page.locator("#start").click()
    expect(maya.page.locator("#question-wrong")).to_have_text("Please write what it is about.")
    expect(maya.page.locator("#question")).to_be_focused()
    maya.starts(message="Please call me about order 10234")
    expect(maya.page.locator("#away-card")).to_contain_text("You're number 1 in line")
    expect(maya.bubbles()).to_have_text(["Please call me about order 10234"])


@pytest.mark.long
def test_who_is_there_is_never_said_of_a_connection_and_nothing_stays_that_is_true_no_more(customer, desk, shop):
    maya = customer().starts()
    hidden = maya.page.locator("#spoken")
    expect(maya.page.locator("#who-line")).to_have_text("We're away")
    expect(maya.page.locator("#live")).to_have_text("Connected")
    dot = "document.querySelector('#live i')"
    grey = maya.page.evaluate(
        f"[...getComputedStyle({dot}).backgroundColor.matchAll(/[0-9.]+/g)].slice(0, 3).map(Number)"
    )
    assert max(grey) - min(grey) < 20, "green is for people"
    ani = desk("agent@demo.com")
    ani.page.locator("#me-button").click()
    ani.page.locator("[data-wish=online]").click()
    expect(maya.page.locator("#who-line")).to_have_text("Waiting for an agent")
    expect(hidden).to_contain_text("You're next")
    shop.post(f"public/sessions/{maya.kept['session_key']}/messages", body="/person", client_id="p1")
    ani.tab("queue")
    row = ani.page.locator(f"#row-{maya.id}")
    expect(row.locator(".said")).to_have_text("The customer asks for a person")
    row.click()
    ani.page.locator("#pick").click()
    expect(maya.page.locator("#who-line")).to_have_text("Shop")
    expect(hidden).to_be_empty()
    expect(ani.page.locator("#log .happening", has_text="The customer asks for a person")).to_have_count(1)
    expect(ani.bubbles()).to_have_text(["Hello"])


@pytest.mark.long
def test_the_away_form_comes_when_the_last_agent_leaves_and_never_takes_what_was_typed(customer, agent, browser):
    socket = agent.online(browser)
    maya, form = customer().starts(message=""), "#away-form"
    expect(maya.page.locator("#line-card")).to_be_visible()
    agent.wishes("away")
    expect(maya.page.get_by_role("heading", name="Nobody is online right now")).to_be_visible()
    expect(maya.page.locator("#composer")).to_be_hidden()
    expect(maya.page.locator("#away-text")).to_be_focused()
    agent.wishes("online")
    expect(maya.page.locator(form)).to_be_hidden()
    expect(maya.page.locator("#text")).to_be_focused()
    maya.page.locator("#text").fill("Half a")
    agent.wishes("away")
    expect(maya.page.locator("#away-card")).to_be_visible()
    expect(maya.page.locator("#text")).to_be_visible()
    maya.page.locator("#text").fill("")
    agent.wishes("online")
    expect(maya.page.locator("#away-card")).to_be_hidden()
    agent.wishes("away")
    maya.page.locator("#away-text").fill("Please call me")
    agent.wishes("online")
    expect(maya.page.get_by_role("heading", name="Somebody is here now")).to_be_visible()
    expect(maya.page.locator("#away-text")).to_have_value("Please call me")
    maya.page.reload()
    expect(maya.page.locator("#away-text")).to_have_value("Please call me")
    maya.page.get_by_role("button", name="Leave the message").click()
    expect(maya.page.locator("#text")).to_be_focused()
    expect(maya.bubbles()).to_have_text(["Please call me"])
    socket.context.close()


def test_a_form_that_is_not_filled_in_says_what_is_missing(customer):
    page = customer().page
    page.locator("#start").click()
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#name-wrong")).to_have_text("Please tell us your name.")
    expect(page.locator("#email")).to_have_attribute("aria-invalid", "true")
    page.locator("#name").fill("Maya")
    expect(page.locator("#name-wrong")).to_have_text("")


def test_a_wrong_address_says_so(opened):
    page = opened("/chat?tenant=nobody")
    expect(page.get_by_role("alert")).to_have_text("There is no chat at this address. Please check the link.")
    expect(page.locator("#name")).to_be_hidden()


@pytest.mark.long
def test_a_chat_that_can_not_be_reached_says_so_and_comes_by_itself_or_by_the_button(customer):
    maya = customer().starts()
    fetches = "**/public/sessions/*?after=*"
    for comes_by_button in (True, False):
        maya.page.route(fetches, lambda route: route.abort())
        maya.page.reload()
        expect(maya.page.get_by_text("The chat can't be reached at the moment.")).to_be_visible()
        if comes_by_button:
            maya.page.get_by_role("button", name="Try now").focus()
        maya.page.unroute(fetches)
        if comes_by_button:
            maya.page.keyboard.press("Enter")
        expect(maya.bubbles()).to_have_text(["Hello"])


@pytest.mark.long
def test_the_bot_looks_different_and_a_person_can_be_asked_for(opened, shop):
    make_kiosk(shop)
    maya = Customer(shop, opened(f"/chat?tenant={KIOSK}")).starts(message=HOURS[0])
    bot = maya.page.locator("#log .message.bot")
    expect(bot).to_contain_text("automatic answer")
    expect(bot).to_contain_text(HOURS[1])
    maya.page.get_by_role("button", name="Talk to a person").click()
    expect(maya.page.get_by_text("You asked for a person")).to_be_visible()
    expect(bot.last).to_contain_text("I'll leave you to our team")
    expect(maya.page.get_by_role("button", name="Talk to a person")).to_be_hidden()


@pytest.mark.long
def test_a_transcript_can_be_taken_along(customer, agent):
    maya = customer().starts(message="Hello")
    maya.page.locator("#menu-button").click()
    with maya.page.expect_download() as coming:
        maya.page.get_by_role("menuitem", name="Transcript as text").click()
    assert "Hello" in coming.value.path().read_text()


# --- what is written is text, what is attached is a file


def test_markup_is_text_and_only_web_addresses_are_links(customer, agent):
    maya = customer().starts(message="<img src=x onerror=alert(1)> <b>bold</b>")
    agent.picks(maya.id)
    agent.says(maya.id, "See https://example.com/a?b=1&c=2. Not javascript:alert(1) (https://example.com/x).")
    expect(maya.bubbles().first).to_have_text("<img src=x onerror=alert(1)> <b>bold</b>")
    links = maya.page.locator("#log .bubble a")
    expect(links).to_have_count(2)
    assert links.evaluate_all(
        "all => all.map(a => [a.getAttribute('href'), a.target, a.rel.includes('noopener')])"
    ) == [
        ["https://example.com/a?b=1&c=2", "_blank", True],
        ["https://example.com/x", "_blank", True],
    ]


@pytest.mark.long
def test_files_go_by_button_paste_and_drop_with_a_preview_and_a_download(customer, agent):
    maya = customer().starts(message="Files")
    agent.picks(maya.id)
    sends_files(maya.page, {"name": "receipt.pdf", "mimeType": "application/pdf", "buffer": PDF})
    card = maya.page.locator("#log .message:not(.waiting) .file")
    expect(card).to_contain_text("receipt.pdf")
    with maya.page.expect_download() as coming:
        card.click()
    assert coming.value.path().read_bytes() == PDF
    give = """([kind, bytes]) => { const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, { type: 'image/png' }));
      const how = { bubbles: true, cancelable: true };
      const made = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, ...how })
        : new DragEvent('drop', { dataTransfer: data, ...how });
      document.querySelector('#text').dispatchEvent(made); }"""
    for kind in ("paste", "drop"):
        maya.page.evaluate(give, [kind, list(PIXEL)])
        maya.page.locator("#text").press("Enter")
        picture = maya.page.get_by_role("link", name=f"Open the picture {kind}.png").locator("img")
        expect(picture).to_be_visible()
        eventually(lambda shown=picture: shown.evaluate("img => img.naturalWidth") == 1, 5, "the preview")
    assert [row["attachments"][0]["name"] for row in maya.stored()[1:]] == ["receipt.pdf", "paste.png", "drop.png"]


@pytest.mark.long
def test_a_file_that_is_refused_says_why_and_can_be_removed(customer):
    maya = customer().starts(message="Files")
    script = {"name": "page.html", "mimeType": "text/html", "buffer": b"<!doctype html><script>alert(1)</script>"}
    sends_files(maya.page, script)
    failed = maya.page.locator("#log .message.failed")
    again = failed.get_by_role("button", name="Try again")
    expect(failed).to_contain_text("This kind of file is not allowed.")
    expect(again).to_have_count(0)
    failed.get_by_role("button", name="Remove").click()
    expect(failed).to_have_count(0)
    expect(maya.page.locator("#text")).to_be_focused()
    maya.page.route("**/attachments", lambda route: route.fulfill(status=413, body="<h1>413</h1>"))
    sends_files(maya.page, {"name": "some.pdf", "mimeType": "application/pdf", "buffer": PDF})
    expect(failed).to_contain_text("Not sent: too large.")  # the word of a proxy
    expect(again).to_have_count(0)
    failed.get_by_role("button", name="Remove").click()
    maya.page.unroute("**/attachments")
    large = {"name": "large.pdf", "mimeType": "application/pdf", "buffer": PDF + b" " * (1024 * 1024)}
    maya.page.set_input_files("#files", [large])
    expect(maya.page.locator("#chosen .wrong")).to_contain_text("Larger than 1 MB.")
    maya.page.locator("#text").press("Enter")
    expect(maya.page.locator("#log .message.waiting, #log .message.failed")).to_have_count(0)
    assert len(maya.stored()) == 1


@pytest.mark.long
def test_a_file_that_found_no_way_can_be_tried_again(customer):
    maya = customer().starts(message="Files")
    maya.page.route("**/attachments", lambda route: route.abort())
    sends_files(maya.page, {"name": "some.pdf", "mimeType": "application/pdf", "buffer": PDF})
    failed = maya.page.locator("#log .message.failed")
    expect(failed).to_contain_text("Not sent: no connection.")
    maya.page.unroute("**/attachments")
    failed.get_by_role("button", name="Try again").click()
    expect(maya.page.locator("#log .message:not(.waiting) a.file")).to_contain_text("some.pdf")


@pytest.mark.long
def test_emojis_are_picked_by_keyboard(customer):
    maya = customer().starts(message="Hi")
    maya.page.locator("#emoji-button").click()
    maya.page.keyboard.press("ArrowRight")
    maya.page.keyboard.press("ArrowDown")
    chosen = maya.page.evaluate("document.activeElement.textContent")
    maya.page.keyboard.press("Enter")
    expect(maya.page.locator("#text")).to_have_value(chosen)
    maya.page.keyboard.press("Enter")
    expect(maya.page.locator("#log .message.emoji")).to_have_count(1)


# --- nothing is lost, doubled or out of order


@pytest.mark.long
def test_thirty_messages_while_the_socket_is_away_appear_once_and_in_order(customer, agent):
    maya = customer()
    gate = Gate(maya.page)
    maya.page.route("**/public/sessions/*?after=*", lambda route: route.abort() if gate.is_shut else route.continue_())
    maya.starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    gate.shut()
    maya.expect_state("reconnecting")
    expect(maya.page.locator("#banner")).to_contain_text("Connection lost")
    said = [f"message {n}" for n in range(30)]
    for text in said:
        agent.says(maya.id, text)
    gate.open()
    maya.expect_state("live", 40)
    expect(maya.bubbles()).to_have_text(["Hello", *said])
    expect(maya.page.locator("#banner")).to_be_hidden()


def test_where_sockets_are_blocked_the_chat_goes_on_by_polling(customer, agent):
    maya = customer()
    Gate(maya.page).shut()
    maya.starts(message="Hello")
    maya.expect_state("polling")
    agent.picks(maya.id)
    agent.says(maya.id, "I can hear you")
    expect(maya.bubbles()).to_have_text(["Hello", "I can hear you"])
    maya.writes("So can I")
    maya.writes("And again")
    said = ["Hello", "I can hear you", "So can I", "And again"]
    expect(maya.bubbles()).to_have_text(said)
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    assert [row["body"] for row in maya.stored()] == said
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(maya.page.locator("#ending")).to_be_visible(timeout=10_000)


@pytest.mark.long
def test_unsent_messages_survive_a_reload_and_are_stored_once_in_their_order(customer, agent):
    maya = customer()
    gate = Gate(maya.page)
    away = lambda route: route.abort() if gate.is_shut and route.request.method == "POST" else route.continue_()  # noqa: E731
    maya.page.route("**/public/sessions/*/messages", away)
    maya.starts(message="Hello")
    gate.shut()
    said = [f"line {n}" for n in range(4)]
    for text in said:
        maya.writes(text)
    expect(maya.page.locator("#log .message.waiting")).to_have_count(4)
    maya.page.reload()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(4)
    gate.open()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0, timeout=40_000)
    expect(maya.bubbles()).to_have_text(["Hello", *said])
    assert [row["body"] for row in maya.stored()] == ["Hello", *said]


@pytest.mark.long
def test_what_two_tabs_could_not_send_survives_both(customer, opened):
    maya = customer().starts(message="Hello")
    context = maya.page.context
    context.route("**/public/sessions/*/messages", lambda route: route.abort())
    tabs = [maya.page, opened("/chat?tenant=shop", context)]
    gates = [Gate(page) for page in tabs]
    for page, gate in zip(tabs, gates, strict=True):
        gate.shut()
        page.reload()
    for n, page in enumerate((*tabs, tabs[0])):
        page.locator("#text").fill(f"line {n}")
        page.locator("#text").press("Enter")
        expect(page.locator("#log .message.waiting").last).to_contain_text(f"line {n}")
    for page in tabs:
        page.close()
    context.unroute("**/public/sessions/*/messages")
    page = opened("/chat?tenant=shop", context)
    expect(page.locator("#log .bubble")).to_have_count(4)
    expect(page.locator("#log .message.waiting")).to_have_count(0)
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "line 0", "line 1", "line 2"])


@pytest.mark.long
def test_a_rating_is_on_every_page_of_its_customer_even_where_the_socket_was_away(customer, agent, opened):
    maya = customer().starts()
    tab, away = (opened("/healthz", maya.page.context) for _ in range(2))
    gate = Gate(away)
    for page in (tab, away):
        page.goto(maya.page.url)
        expect(page.locator("#live")).to_have_attribute("data-state", "live")
    agent.picks(maya.id)
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(away.locator("#rating")).to_be_visible()
    gate.shut()
    maya.page.locator("#stars input[value='4']").check(force=True)
    maya.page.locator("#rating button[type=submit]").click()
    expect(tab.locator("#stars-given .lit")).to_have_count(4)
    gate.open()
    expect(away.locator("#stars-given .lit")).to_have_count(4)


def test_a_message_whose_ack_got_lost_is_not_doubled(customer):
    maya = customer()
    gate = Gate(maya.page)
    maya.starts(message="Hello")
    maya.expect_state("live")
    gate.swallow = lambda text: '"chat.message.ack"' in text
    maya.writes("Only once")
    eventually(lambda: len(maya.stored()) == 2, 5, "the row")
    gate.swallow = lambda text: False
    gate.drop()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    expect(maya.bubbles()).to_have_text(["Hello", "Only once"])
    assert [row["body"] for row in maya.stored()] == ["Hello", "Only once"]


@pytest.mark.long
def test_a_page_that_lost_an_event_starts_over_and_shows_what_a_fresh_one_shows(customer, agent, opened):
    maya = customer()
    gate = Gate(maya.page)
    maya.starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    gate.swallow = lambda text: '"body":"lost"' in text
    for text in ("one", "lost", "two"):
        agent.says(maya.id, text)
    expect(maya.bubbles()).to_have_text(["Hello", "one", "lost", "two"])
    fresh = opened("/chat?tenant=shop", context=maya.page.context)
    expect(fresh.locator("#log .bubble")).to_have_count(4)
    look = "[...document.querySelectorAll('#log > *')].map(node => [node.className, node.innerText])"
    eventually(lambda: fresh.evaluate(look) == maya.page.evaluate(look), 5, "two equal pages")


@pytest.mark.long
def test_a_killed_sidecar_comes_back_and_nothing_is_missing(customer, agent, shop):
    maya = customer().starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    shop.home.sidecar.kill()
    maya.expect_state("reconnecting")
    for n in range(3):
        maya.writes(f"meanwhile {n}")
    shop.home.sidecar.start()
    maya.expect_state("live", 40)
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    agent.says(maya.id, "Back again")
    expect(maya.bubbles()).to_have_text(["Hello", "meanwhile 0", "meanwhile 1", "meanwhile 2", "Back again"])


@pytest.mark.long
def test_a_network_that_went_without_a_word_is_noticed_and_nothing_is_missing(customer, agent):
    maya = customer()
    gate = Gate(maya.page)
    maya.page.clock.install()
    maya.page.reload()
    maya.starts(message="Hello")
    agent.picks(maya.id)
    maya.expect_state("live")
    gate.swallow = lambda text: True  # the socket stays open, and nothing comes through
    agent.says(maya.id, "Are you there?")
    for _ in range(4):
        maya.page.clock.run_for(15_000)
    gate.swallow = lambda text: False
    maya.page.clock.run_for(15_000)
    maya.expect_state("live")
    expect(maya.bubbles()).to_have_text(["Hello", "Are you there?"])


@pytest.mark.long
def test_two_tabs_show_the_same_chat(customer, opened):
    maya = customer().starts(message="Hello")
    other = opened("/chat?tenant=shop", context=maya.page.context)
    expect(other.locator("#log .bubble")).to_have_text(["Hello"])
    maya.writes("From the first")
    expect(other.locator("#log .bubble").last).to_have_text("From the first")
    other.locator("#text").fill("From the second")
    other.locator("#text").press("Enter")
    expect(maya.bubbles()).to_have_text(["Hello", "From the first", "From the second"])
    expect(maya.page.locator("#log .message.mine")).to_have_count(3)


@pytest.mark.long
def test_the_question_whether_to_end_is_of_the_chat_that_it_was_asked_in(customer, opened, agent):
    maya = customer().starts(message="The first")
    other = Customer(maya.shop, opened("/chat?tenant=shop", context=maya.page.context))
    expect(other.bubbles()).to_have_text(["The first"])
    maya.asks_for("End the chat")
    agent.picks(maya.id)
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(other.page.locator("#ending")).to_be_visible()
    other.page.locator("#new-chat").click()
    other.starts(message="The second")
    expect(maya.bubbles()).to_have_text(["The second"])
    expect(maya.page.locator("#end-dialog")).to_be_hidden()
    maya.writes("From the other tab")
    expect(other.bubbles()).to_have_text(["The second", "From the other tab"])


@pytest.mark.long
def test_a_draft_survives_a_reload_and_is_not_sent(customer):
    maya = customer().starts(message="Hello")
    maya.page.locator("#text").fill("Half a sen")
    maya.page.reload()
    expect(maya.page.locator("#text")).to_have_value("Half a sen")
    assert len(maya.stored()) == 1


@pytest.mark.long
def test_a_session_that_is_gone_leads_back_to_the_start(customer, shop):
    maya = customer().starts(message="Hello")
    maya.page.goto("about:blank")
    shop.empty()
    maya.page.goto(f"{shop.url}/chat?tenant=shop")
    expect(maya.page.locator("#start-trouble")).to_have_text("This chat no longer exists.")
    expect(maya.page.locator("#name")).to_have_value("Maya Putri")


def test_rows_in_any_order_and_twice_are_shown_once_in_theirs(opened):
    script = """async () => { const { Thread, situation } = await import('/static/js/core/thread.js');
      const { wait, pause } = await import('/static/js/core/link.js');
      const rows = [...Array(60).keys()].map(n => ({ seq: n + 1 })), wrong = [];
      for (let round = 0; round < 300; round++) {
        const dice = [...rows, ...rows].map(row => [Math.random(), row]);
        const mixed = dice.sort(([a], [b]) => a - b).map(([, row]) => row);
        const thread = new Thread(), shown = mixed.flatMap(row => thread.add(row));
        if (JSON.stringify(shown) !== JSON.stringify(rows) || thread.hasHole || thread.last !== 60) wrong.push(round); }
      const gone = Thread.of([rows[0], rows[2]]);
      const types = ['started', 'assigned', 'released', 'transferred', 'ended'];
      const happened = types.map(type => ({ event: { type, name: type } }));
      const waits = [1, 2, 3, 9].map(tries => [wait(tries, 0), wait(tries, 1)]);
      const pauses = [1001, 1013, 1006, 1008].map(code => [1, 3].map(failures => pause(code, failures, 1)));
      return { wrong, hole: [gone.last, gone.hasHole], waits, pauses, first: pause(1001, 1, 0),
        states: happened.map((_, n) => situation(happened.slice(0, n + 1)).status) }; }"""
    told = opened("/").evaluate(script)
    assert told["wrong"] == []
    assert told["hole"] == [1, True]
    assert told["waits"] == [[250, 500], [500, 1000], [1000, 2000], [7500, 15000]]
    assert told["pauses"] == [[2500, 2000], [500, 500], [500, 2000], [4000, 15000]], "by how a socket ended"
    assert told["first"] == 0, "pages that a server told to go come back at any moment, not all at one"
    assert told["states"] == ["waiting", "active", "waiting", "active", "ended"]


# --- for everybody


def test_the_page_speaks_indonesian_by_the_browser_and_by_the_switch(customer, agent):
    page = customer(locale="id-ID").page
    expect(page.get_by_role("heading", name="Ada yang bisa kami bantu?")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="How can we help?")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="How can we help?")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_both_languages_have_the_same_words(opened):
    page = opened("/chat?tenant=shop")
    script = """async () => { const words = await import('/static/js/words/words.js');
      const files = ['js/words/chat.js', 'js/words/site.js', 'js/words/agent.js', 'widget/words.js'];
      for (const file of files) await import(`/static/${file}`);
      const { en, id } = words.vocabulary(); return [Object.keys(en).sort(), Object.keys(id).sort()]; }"""
    english, indonesian = page.evaluate(script)
    assert english == indonesian and len(english) > 150


@pytest.mark.long
def test_a_marked_text_has_a_word(opened):
    for path in ("/", "/chat?tenant=shop", "/widget-demo.html", "/websocket-test.html"):
        page = opened(path)
        missing = """async () => { const { known } = await import('/static/js/words/words.js');
          const marks = ['t', 't-label', 't-title', 't-placeholder'];
          return marks.flatMap(mark => [...document.querySelectorAll(`[data-${mark}]`)]
            .map(node => node.getAttribute(`data-${mark}`)).filter(key => !known(key))); }"""
        assert page.evaluate(missing) == [], path


@pytest.mark.long
def test_the_theme_follows_the_system_and_the_switch(opened):
    page = opened("/", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    page.wait_for_function(f"dark => {ground} !== dark", arg=dark)
    page.reload()
    page.wait_for_function(f"dark => {ground} !== dark", arg=dark)


@pytest.mark.long
def test_where_motion_is_unwanted_a_new_theme_is_there_at_once(opened):
    for path in ("/", "/chat?tenant=shop"):
        page = opened(path, color_scheme="light")
        page.wait_for_load_state("networkidle")
        page.emulate_media(color_scheme="dark")
        frames = """async () => { const frames = [];
          while (frames.push(document.getAnimations().length) < 6) await new Promise(requestAnimationFrame);
          return frames; }"""
        assert page.evaluate(frames) == [0] * 6, path


def test_text_has_enough_contrast_and_a_narrow_phone_needs_no_sideways_scrolling(customer, agent, opened):
    look = {"viewport": NARROW}

    def is_well(page: Page) -> bool:
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert (faint_texts(page), wide) == ([], 360), page.url
        return True

    maya = customer(**look)
    assert is_well(maya.page)
    gate = Gate(maya.page)
    maya.starts(message="Where is it? https://example.com/" + "long" * 30)
    expect(maya.bubbles()).to_have_count(1)
    gate.shut()
    maya.page.route("**/messages", lambda route: route.abort())
    maya.writes("On its way")
    expect(maya.page.locator("#log .message.waiting")).to_be_visible()
    assert is_well(maya.page)
    maya.page.unroute("**/messages")
    gate.open()
    expect(maya.page.locator("#log .message.waiting")).to_have_count(0)
    agent.picks(maya.id)
    agent.says(maya.id, "Hello " + "w" * 200)
    expect(maya.bubbles()).to_have_count(3)
    assert is_well(maya.page)
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(maya.page.locator("#ending")).to_be_visible()
    assert is_well(maya.page)
    make_kiosk(maya.shop)
    kiosk = Customer(maya.shop, opened(f"/chat?tenant={KIOSK}", **look)).starts(message=HOURS[0])
    expect(kiosk.page.locator("#log .message.bot")).to_be_visible()
    assert is_well(kiosk.page)
    for path in ("/", "/widget-demo.html", "/websocket-test.html"):
        page = opened(path, **look)
        page.wait_for_load_state("networkidle")
        assert is_well(page)


def test_a_reader_hears_the_chat_and_keys_reach_everything(customer, agent):
    maya = customer().starts(message="Hello")
    expect(maya.page.get_by_role("log", name="Conversation")).to_contain_text("Hello")
    expect(maya.page.get_by_role("textbox", name="Message", exact=True)).to_be_focused()
    maya.page.locator("#menu-button").focus()
    maya.page.keyboard.press("Enter")
    expect(maya.page.get_by_role("menuitem", name="Transcript as text")).to_be_focused()
    maya.page.keyboard.press("End")
    expect(maya.page.get_by_role("menuitem", name="End the chat")).to_be_focused()
    maya.page.keyboard.press("Escape")
    expect(maya.page.locator("#menu-button")).to_be_focused()
    nameless = """[...document.querySelectorAll('button, input, textarea, a[href], select')]
      .filter(node => node.checkVisibility())
      .filter(node => !(node.innerText || node.getAttribute('aria-label') || node.labels?.length))
      .map(node => node.outerHTML)"""
    assert maya.page.evaluate(nameless) == []


@pytest.mark.long
def test_each_message_is_said_once_and_history_not_at_all(customer, agent, browser):
    maya = customer()
    maya.page.context.add_init_script(LISTEN)
    gate = Gate(maya.page)
    maya.page.reload()
    maya.starts(message="Question")
    agent.picks(maya.id)
    socket = agent.online(browser)
    maya.expect_state("live")
    for text in ("Alpha", "Beta"):
        agent.says(maya.id, text)
        maya.writes(f"My {text}")
        expect(maya.bubbles().last).to_have_text(f"My {text}")
    mark = maya.page.locator("#log .mark").last
    for event in ("delivered", "read"):
        socket.evaluate(f"id => tell('chat.message.{event}', {{ session_id: id, up_to_seq: 99 }})", maya.id)
        expect(mark).to_have_attribute("data-mark", event)
    for text in ("joined the chat", "Alpha", "Beta"):
        assert len(heard(maya.page, text)) == 1, maya.page.evaluate("heard")
    assert heard(maya.page, "Alpha") == ["Ani Lestari: Alpha"], "in one piece, with nothing that delays it"
    assert heard(maya.page, "My ") == heard(maya.page, "Delivered") == heard(maya.page, "Read") == []
    maya.page.reload()
    expect(maya.bubbles()).to_have_count(5)
    maya.expect_state("live")
    assert [heard(maya.page, text) for text in ("Question", "Alpha", "Beta", "joined")] == [[], [], [], []]
    gate.shut()
    missed = [f"Gamma {n}" for n in range(9)]
    for text in missed:
        agent.says(maya.id, text)
    gate.open()
    expect(maya.bubbles()).to_have_count(14)
    assert [len(heard(maya.page, text)) for text in ("Alpha", "Beta", *missed)] == [0, 0, *[1] * 9]
    expect(maya.page.locator("#told p")).to_have_text(
        [f"Ani Lestari: {text}" for text in missed]
    )  # none is gone unread
    socket.context.close()


@pytest.mark.long
def test_what_changes_is_said_once_and_a_moving_line_only_now_and_then(customer, agent, browser):
    socket = agent.online(browser)
    others = [customer().starts(f"Customer {n}") for n in (1, 2)]
    maya = customer()
    maya.page.context.add_init_script(LISTEN)
    gate = Gate(maya.page)
    maya.page.route("**/public/sessions/*?after=*", lambda route: route.abort() if gate.is_shut else route.continue_())
    maya.page.clock.install()
    maya.page.reload()
    maya.starts()
    maya.expect_state("live")
    eventually(lambda: len(heard(maya.page, "Place 3 in line")) == 1, 5, "the place")
    for other in others:
        agent.picks(other.id)
    expect(maya.page.locator("#place-title")).to_have_text("You're next")
    maya.page.clock.run_for(10_000)
    maya.page.clock.resume()
    eventually(lambda: len(heard(maya.page, "You're next")) == 1, 5, "the place")
    assert heard(maya.page, "Place 2") == []
    gate.shut()
    eventually(lambda: len(heard(maya.page, "Connection lost")) == 1, 10, "the loss")
    banner = maya.page.locator("#banner-text")
    seen: set[str] = set()
    eventually(lambda: seen.add(banner.inner_text()) or len(seen) > 3, 20, "seconds that are counted")
    maya.page.get_by_role("button", name="Try now").focus()
    gate.open()
    maya.page.keyboard.press("Enter")  # unless it has come back by itself in this moment
    eventually(lambda: len(heard(maya.page, "Connected again.")) == 1, 10, "the return")
    assert len(heard(maya.page, "Connection lost")) == 1
    expect(maya.page.locator("#text")).to_be_focused()  # the button is gone
    socket.context.close()


@pytest.mark.long
def test_the_focus_stays_in_the_chat_and_what_was_not_sent_goes_into_the_next(customer, agent):
    maya = customer().starts()
    page, active = maya.page, maya.page.locator(":focus")
    maya.asks_for("End the chat")
    page.get_by_role("button", name="Keep chatting").click()
    expect(page.locator("#menu-button")).to_be_focused()
    agent.picks(maya.id)
    page.locator("#text").fill("Half a sen")
    agent.does("POST", f"sessions/{maya.id}/end")
    expect(page.get_by_role("heading", name="This chat has ended")).to_be_focused()
    expect(page.get_by_label("You had not sent this yet")).to_have_value("Half a sen")
    page.get_by_role("radio", name="4 stars").check(force=True)
    page.get_by_role("button", name="Send the rating").click()
    expect(page.locator("#rated")).to_be_focused()
    page.get_by_role("button", name="Start a new chat").click()
    expect(page.locator("#question")).to_have_value("Half a sen")
    expect(page.locator("#question")).to_be_focused()
    page.locator("#start").click()
    expect(maya.bubbles()).to_have_text(["Half a sen"])
    expect(page.locator("#text")).to_have_value("")
    maya.asks_for("End the chat")
    page.get_by_role("dialog").get_by_role("button", name="End the chat").click()
    expect(active).to_have_text("This chat has ended")


@pytest.mark.long
def test_words_from_right_to_left_are_set_so_whoever_writes_them(customer, agent):
    maya = customer().starts("مايا", "مرحبا!")
    agent.picks(maya.id)
    agent.says(maya.id, "שלום?")
    expect(maya.bubbles()).to_have_text(["مرحبا!", "שלום?"])
    of = "all => all.map(node => getComputedStyle(node).direction)"
    assert maya.bubbles().evaluate_all(of) == ["rtl", "rtl"]
    maya.page.locator("#text").fill("مرحبا")
    fields = "all => all.filter(node => node.type !== 'file' && node.type !== 'radio' && node.type !== 'email')"
    assert (
        maya.page.locator("input, textarea").evaluate_all(f"all => ({fields})(all).map(node => node.dir)")
        == ["auto"] * 6
    )
    assert maya.page.locator("#text").evaluate("node => getComputedStyle(node).direction") == "rtl"
    agent.says(maya.id, "And from the left")
    expect(maya.bubbles().last).to_have_css("direction", "ltr")


@pytest.mark.long
def test_nothing_lies_on_the_messages_and_keys_scroll_them(customer, agent, browser):
    socket = agent.online(browser)
    maya = customer(viewport={"width": 640, "height": 400}).starts("Maya", "First")  # 200 %
    for n in range(12):
        maya.writes(f"Line {n}")
    expect(maya.bubbles()).to_have_count(13)
    bottom = "node => node.getBoundingClientRect().bottom"
    card, top = maya.page.locator("#line-card"), lambda: maya.page.locator("#scroll").bounding_box()["y"]
    eventually(lambda: card.evaluate(bottom) <= top() + 1, 5, "the card above the messages")
    maya.page.get_by_role("region", name="All messages").focus()
    maya.page.keyboard.press("Home")
    eventually(lambda: maya.page.evaluate("document.querySelector('#scroll').scrollTop") == 0, 5, "the first message")
    maya.page.locator("#text").fill("tall\n" * 9)
    newest = maya.page.get_by_role("button", name="To the newest message")
    expect(newest).to_be_visible()
    edge = lambda: maya.page.locator("#composer").bounding_box()["y"]  # noqa: E731
    eventually(lambda: newest.evaluate(bottom) <= edge(), 5, "the button above the composer")
    socket.context.close()


@pytest.mark.long
@pytest.mark.parametrize("locale", ["en-GB", "id-ID"])
def test_the_header_of_a_small_phone_is_one_line_and_its_menu_has_the_rest(customer, locale):
    maya = customer(viewport={"width": 320, "height": 568}, locale=locale, color_scheme="light")
    maya.starts()
    line = maya.page.locator("#who-line")
    fits = "node => node.scrollWidth <= node.clientWidth && node.clientHeight < 24"
    eventually(lambda: line.evaluate(fits), 5, "one line")
    menu = maya.page.locator("#menu-button")
    menu.click()
    maya.page.get_by_role("menuitemradio", name="English").click()
    expect(line).to_have_text("Waiting for an agent")
    expect(menu).to_be_focused()
    menu.click()
    expect(maya.page.get_by_role("menuitemradio", name="English")).to_have_attribute("aria-checked", "true")
    maya.page.get_by_role("menuitem", name="Light or dark").click()
    expect(maya.page.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.long
def test_with_forced_colours_everything_keeps_its_shape_and_its_focus(customer, agent):
    maya = customer(forced_colors="active").starts()
    agent.picks(maya.id)
    agent.says(maya.id, "Hi")
    expect(maya.bubbles()).to_have_count(2)
    for node in (*maya.bubbles().all(), maya.page.locator("#send"), maya.page.locator("#menu-button")):
        assert node.evaluate("node => getComputedStyle(node).borderTopStyle") == "solid"
    maya.page.locator("#text").focus()
    ring = maya.page.locator(".writing").evaluate("node => getComputedStyle(node).outlineStyle")
    maya.page.locator("#text").evaluate("node => node.blur()")
    assert (ring, maya.page.locator(".writing").evaluate("node => getComputedStyle(node).outlineStyle")) == (
        "solid",
        "none",
    )


@pytest.mark.long
def test_who_looks_elsewhere_is_told_by_the_title_and_if_they_wish_by_a_tone(customer, agent):
    maya = customer()
    maya.page.context.add_init_script(TONES)
    maya.page.reload()
    maya.starts()
    agent.picks(maya.id)
    expect(maya.page).to_have_title("Ani Lestari")
    maya.page.evaluate("leaves(true)")
    agent.says(maya.id, "One")
    expect(maya.page).to_have_title("(1) Ani Lestari")
    assert maya.page.evaluate("tones") == 0
    maya.page.evaluate("leaves(false)")
    expect(maya.page).to_have_title("Ani Lestari")
    maya.page.locator("#menu-button").click()
    maya.page.get_by_role("menuitemcheckbox", name="Sound for new messages").click()
    eventually(lambda: maya.page.evaluate("tones") > 0, 5, "a sample")
    maya.page.reload()
    expect(maya.bubbles()).to_have_count(2)
    maya.page.locator("#menu-button").click()
    expect(maya.page.get_by_role("menuitemcheckbox")).to_have_attribute("aria-checked", "true")
    maya.page.keyboard.press("Escape")
    agent.says(maya.id, "Seen")
    expect(maya.bubbles()).to_have_count(3)
    assert maya.page.evaluate("tones") == 0  # who looks needs no tone
    maya.page.evaluate("leaves(true)")
    agent.says(maya.id, "Two")
    eventually(lambda: maya.page.evaluate("tones") > 0, 5, "a tone")


@pytest.mark.long
def test_pictures_of_the_pages_are_kept(customer, agent, opened, tmp_path: Path):
    for size, viewport in (("desk", DESK), ("phone", PHONE)):
        for scheme, locale in (("light", "en-GB"), ("dark", "id-ID")):
            maya = customer(viewport=viewport, color_scheme=scheme, locale=locale)
            shot = lambda name, at=maya.page, of=f"{size}-{scheme}-{locale[:2]}": at.screenshot(  # noqa: E731
                path=tmp_path / f"{name}-{of}.png", animations="disabled"
            )
            shot("1-start")
            maya.starts(message="Hi, where is my order?")
            shot("2-waiting")
            agent.picks(maya.id)
            agent.says(maya.id, "Let me look: https://example.com/10234")
            expect(maya.bubbles()).to_have_count(2)
            shot("3-chat")
            agent.does("POST", f"sessions/{maya.id}/end")
            expect(maya.page.locator("#ending")).to_be_visible()
            shot("4-ended")
    assert len(list(tmp_path.glob("*.png"))) == 16


# --- the small pages


def test_the_first_page_leads_to_all_others_and_names_the_demo(opened, shop):
    page = opened("/")
    for name, path in (
        ("Chat as a customer", "/chat"),
        ("Work as an agent", "/agent"),
        ("The widget", "/widget-demo.html"),
    ):
        expect(page.get_by_role("link", name=name)).to_have_js_property("href", f"{shop.url}{path}")
    expect(page.locator("#demo")).to_be_hidden()
    accounts = [{"email": "agent@demo.com", "password": "Test@1234", "role": "agent"}]
    about = {"demo": {"accounts": accounts, "simulator_url": "http://127.0.0.1:8002/"}, "tenants": []}
    page.route("**/api/v1/about", lambda route: route.fulfill(json=about))
    page.reload()
    expect(page.locator("#accounts")).to_contain_text("agent@demo.com")
    expect(page.get_by_role("link", name="Desk simulator")).to_have_attribute("href", "http://127.0.0.1:8002/")


def test_the_widget_demo_shows_the_snippet_of_the_options_chosen(opened):
    page = opened("/widget-demo.html")
    expect(page.locator(".launcher")).to_be_visible()
    page.locator("input#title").fill('Toko "Maju"')
    page.locator("#position").select_option("left")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#snippet")).to_contain_text('title: "Toko \\"Maju\\"",')
    expect(page.get_by_role("heading", name='Toko "Maju"')).to_be_visible()
    eventually(lambda: page.locator(".launcher").bounding_box()["x"] < 100, 5, "the launcher at the left")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator(".launcher")).to_have_count(0)


@pytest.mark.long
def test_the_socket_page_shows_raw_frames(opened):
    page = opened("/websocket-test.html?tenant=shop")
    expect(page.locator("#tenant")).to_have_value("shop")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#key")).not_to_have_value("")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator("#frames .in").first).to_contain_text("chat.queue.position")
    page.locator("#send-button").click()
    expect(page.locator("#frames")).to_contain_text("chat.message.ack")
    page.locator("#frame").fill("{")
    page.locator("#send-button").click()
    expect(page.locator(".toast")).to_contain_text("Not valid JSON")
    page.get_by_role("button", name="Disconnect").click()
    expect(page.locator("#live")).to_have_text("Not connected")
