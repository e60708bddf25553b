"""The agent's page in a real Chromium, with a real sidecar; customers come by REST, as their own pages would."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import (
    FilePayload,
    Route,
    WebSocket,
    expect,
)

from testbed.agentpages import DESK, PHONE, PIXEL, Customer, Desk, on_a_line
from testbed.chatpages import sends_files
from testbed.deadlines import eventually

# --- signing in


def test_a_wrong_password_is_told_and_the_right_one_opens_the_desk(desk):
    page = desk(None).page
    made = Desk(page, [])
    made.sign_in("agent@demo.com", "wrong")
    expect(page.locator("#login-error")).to_have_text("Wrong e-mail or password.")
    made.sign_in("agent@demo.com")
    made.expect_live()
    expect(page.get_by_role("heading", name="Giliran")).to_be_visible()
    assert page.evaluate("localStorage.getItem('giliran-agent')") is None
    page.reload()
    made.expect_live()


@pytest.mark.long
def test_signing_out_ends_the_token(desk, shop):
    made = desk("agent@demo.com")
    token = made.page.evaluate("sessionStorage.getItem('giliran-agent')")
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitem", name="Sign out").click()
    expect(made.page.get_by_role("button", name="Sign in")).to_be_visible()
    answer = requests.get(f"{shop.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.status_code == 401


@pytest.mark.long
def test_a_sign_in_that_ended_comes_back_without_losing_the_draft(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hello")
    made.pick(maya)
    made.page.locator("#text").fill("A long answer that nobody wants to type twice")
    shop.revoke_all()
    expect(made.page.locator("#login-why")).to_contain_text("drafts are kept")
    made.sign_in("agent@demo.com")
    made.expect_live()
    expect(made.page.locator("#text")).to_have_value("A long answer that nobody wants to type twice")
    made.page.locator("#text").press("Enter")
    eventually(lambda: "A long answer that nobody wants to type twice" in maya.bodies(), 5, "the answer")


# --- serving


def test_a_waiting_customer_is_picked_and_answered(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "My parcel is late")
    made.tab("queue")
    expect(made.row(maya)).to_contain_text("#1")
    made.pick(maya)
    made.write("I am looking")
    expect(made.bubbles()).to_have_text(["My parcel is late", "I am looking"])
    expect(made.page.locator("#log .mark-box[data-mark=sent]")).to_have_count(1)
    assert maya.sees()["agent"]["name"] == "Ani Lestari"
    maya.says("Thank you")
    expect(made.bubbles()).to_have_text(["My parcel is late", "I am looking", "Thank you"])
    eventually(lambda: maya.sees()["agent_read"] == maya.sees()["last_seq"], 5, "the mark that the agent has read")


@pytest.mark.long
def test_places_in_line_move_up_live(desk, shop):
    made = desk("agent@demo.com")
    people_ = [Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A")]
    made.tab("queue")
    expect(made.page.locator("#rows .chip")).to_have_text(["#1", "#2", "#3"])
    people_[0].ends()
    expect(made.page.locator("#rows .chip")).to_have_text(["#1", "#2"])
    expect(made.page.locator("#rows .name")).to_have_text(["Joko W", "Dewi A"])


@pytest.mark.long
def test_a_pick_whose_answer_is_late_takes_nobody_back(desk, shop):
    ani = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    held = []
    ani.page.route("**/queue/*/pick", lambda route: held.append((route, route.fetch())))
    ani.pick(maya)
    ani.tab("queue")
    ((route, answer),) = held
    with ani.page.expect_response("**/queue/*/pick"):
        route.fulfill(response=answer)
    ani.page.evaluate("() => new Promise(done => setTimeout(done, 200))")
    expect(ani.page.locator("#tab-queue")).to_have_attribute("aria-selected", "true")
    expect(ani.row(joko)).to_be_visible()


@pytest.mark.long
def test_of_two_who_pick_one_customer_the_slower_is_told_kindly(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    for each in (ani, budi):
        each.open(maya, "queue")
    shop.pick("agent2@demo.com", maya.id)
    expect(ani.page.locator("#room-state")).to_have_text("With Budi Santoso")
    expect(ani.page.locator("#pick")).to_be_hidden()
    press = "const pick = document.querySelector('#pick'); pick.hidden = false; pick.click()"
    ani.page.evaluate(f"() => {{ {press} }}")  # the press that was on its way
    expect(ani.page.locator(".toast")).to_contain_text("A colleague was faster")
    expect(budi.page.locator("#room-state")).to_have_text("With you")


@pytest.mark.long
def test_nobody_picks_over_their_limit(desk, shop):
    made = desk("agent@demo.com")
    for name in ("Maya Putri", "Joko W"):
        made.pick(Customer(shop, name, "Hi"))
    third = Customer(shop, "Dewi A", "Hi")
    made.open(third, "queue")
    made.page.locator("#pick").click()
    expect(made.page.locator(".toast")).to_contain_text("as many conversations as your limit allows")
    expect(made.page.locator("#room-state")).to_contain_text("Number 1 in line")


@pytest.mark.long
def test_a_colleague_without_room_can_not_be_chosen_and_the_list_says_who_is_away(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    for name in ("Joko W", "Dewi A"):
        budi.pick(Customer(shop, name, "Hi"))
    ani.pick(Customer(shop, "Maya Putri", "Hi"))
    ani.page.get_by_role("button", name="Transfer").click()
    people = ani.page.locator("#give-people").get_by_role("button")
    full = people.filter(has_text="Budi Santoso")
    expect(full).to_contain_text("Has no room for one more")
    expect(full).to_be_disabled()
    expect(people.filter(has_text="Offline: it comes back to the queue")).not_to_have_count(0)
    budi.page.locator("#end").click()
    budi.page.locator("#end-yes").click()
    expect(full).to_be_enabled()
    full.click()
    expect(ani.page.locator("#room-state")).to_have_text("With Budi Santoso")


@pytest.mark.long
def test_a_conversation_moves_to_a_colleague_and_both_pages_know(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    ani.page.get_by_role("button", name="Transfer").click()
    choice = ani.page.locator("#give-people").get_by_role("button", name=re.compile("Budi Santoso"))
    expect(choice).to_contain_text("0 of 2")
    choice.click()
    expect(ani.page.locator("#room-state")).to_have_text("With Budi Santoso")
    expect(ani.page.locator("#bar-text")).to_contain_text("reading along")
    expect(ani.page.locator("#kind-reply")).to_be_hidden()
    budi.open(maya)
    budi.write("Budi here")
    expect(ani.bubbles()).to_have_text(["Hi", "Budi here"])
    expect(ani.page.locator("#log .happening").last).to_contain_text("Transferred from Ani Lestari to Budi Santoso")


@pytest.mark.long
def test_a_supervisor_may_write_into_a_conversation_of_a_colleague(desk, shop):
    ani, boss = desk("agent@demo.com"), desk("supervisor@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    boss.open(maya, "all")
    expect(boss.page.locator("#bar-text")).to_contain_text("shown to the customer")
    boss.write("This is the supervisor")
    expect(ani.bubbles()).to_have_text(["Hi", "This is the supervisor"])


@pytest.mark.long
def test_the_end_asks_first_and_is_shown_with_the_rating(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.page.get_by_role("button", name="End", exact=True).click()
    made.page.get_by_role("button", name="Cancel").click()
    assert maya.sees()["status"] == "active"
    made.page.get_by_role("button", name="End", exact=True).click()
    made.page.get_by_role("button", name="End conversation").click()
    expect(made.page.locator("#bar-text")).to_contain_text("has ended")
    expect(made.page.locator("#rows .row")).to_have_count(0)
    shop.post(f"public/sessions/{maya.key}/rating", rating=5, comment="Quick")
    expect(made.page.locator("[data-fact=f_rating]")).to_have_text("★★★★★")


@pytest.mark.long
def test_the_worker_gives_conversations_to_whoever_is_online(desk, shop):
    made = desk("agent@demo.com")
    with shop.home.house.worker():
        customers = [Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A")]
        expect(made.page.locator("#rows .row")).to_have_count(2)
        made.tab("queue")
        expect(made.page.locator("#rows .name")).to_have_text(["Dewi A"])
        customers[0].ends()
        expect(made.page.locator("#rows .row")).to_have_count(0)
        made.tab("mine")
        expect(made.page.locator("#rows .row")).to_have_count(2)


# --- messages


def test_html_is_text_and_links_open_elsewhere(desk, shop):
    made = desk("agent@demo.com")
    body = "<script>alert(1)</script> https://example.com/a?b=1. And (https://example.com/Foo_(bar))"
    maya = Customer(shop, "<img src=x onerror=alert(1)>", body, "maya@example.com")
    made.pick(maya)
    expect(made.bubbles()).to_have_text([body])
    links = made.page.locator("#log a")
    expect(links).to_have_text(["https://example.com/a?b=1", "https://example.com/Foo_(bar)"])
    expect(links.first).to_have_attribute("href", "https://example.com/a?b=1")
    expect(links.first).to_have_attribute("rel", re.compile("noopener noreferrer"))
    assert made.page.locator("#log img, #log script, #rows img").count() == 0


@pytest.mark.long
def test_notes_are_shown_to_colleagues_and_never_reach_the_customer(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    ani.pick(maya)
    budi.open(maya, "all")
    ani.page.get_by_role("tab", name="Private note").click()
    ani.page.locator("#text").fill("Third complaint this month")
    ani.page.get_by_role("button", name="Save note").click()
    expect(ani.page.locator("#log .note")).to_contain_text("Third complaint this month")
    expect(budi.page.locator("#log .note")).to_contain_text("Third complaint this month")
    expect(budi.page.locator("#notes li")).to_contain_text("Third complaint this month")
    assert "Third complaint" not in str(maya.sees())


@pytest.mark.long
def test_what_somebody_writes_never_changes_its_kind_by_itself(desk, shop):
    """Half a note would go to the customer, half a reply to the colleagues."""
    made = desk("agent@demo.com")
    page = made.page
    maya = Customer(shop, "Maya Putri", "Hi")
    made.open(maya, "queue")
    page.locator("#text").press_sequentially("She is rude, give her")
    maya.is_given_to("Ani Lestari")
    expect(page.locator("#room-state")).to_have_text("With you")
    page.keyboard.type(" nothing")
    page.keyboard.press("Enter")
    expect(page.locator("#log .note")).to_contain_text("She is rude, give her nothing")
    expect(page.locator("#composer")).to_have_attribute("data-kind", "note")
    page.get_by_role("tab", name="Reply").click()
    page.keyboard.type("Dear Maya")
    maya.is_given_to("Budi Santoso")
    expect(page.locator("#bar-text")).to_contain_text("Budi Santoso has this conversation now")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value("Dear Maya")
    expect(page.locator("#composer")).to_have_attribute("data-kind", "reply")
    expect(page.locator("#send")).to_be_disabled()
    expect(page.locator("#said")).to_contain_text("your reply cannot be sent")
    page.get_by_role("button", name="Write a private note").click()
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#send")).to_be_enabled()
    page.locator("#log-box").click()
    maya.is_given_to("Ani Lestari")
    expect(page.locator("#room-state")).to_have_text("With you")
    page.get_by_role("tab", name="Reply").click()
    expect(page.locator("#text")).to_have_value("Dear Maya")
    assert maya.bodies() == ["Hi"]
    expect(page.locator("#log .note")).to_have_count(1)


@pytest.mark.long
def test_a_reply_that_came_too_late_says_why_it_is_not_sent(desk, shop):
    made = desk("agent@demo.com")
    line = on_a_line(made)
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    line.shut()
    made.page.route("**/messages", lambda route: route.abort())
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    made.write("Too late")
    maya.is_given_to("Budi Santoso")
    made.page.unroute("**/messages")
    line.free()
    expect(made.page.locator("#log .failed .meta")).to_contain_text(
        "Not sent: a colleague has this conversation now", timeout=20_000
    )
    assert maya.bodies() == ["Hi"]


@pytest.mark.long
def test_the_emoji_close_when_somebody_goes_on_elsewhere_and_keys_move_by_their_rows(desk, shop):
    made = desk("agent@demo.com")
    page = made.page
    made.pick(Customer(shop, "Maya Putri", "Hi"))
    for size, reached in ((DESK, 12), (PHONE, 12 + 8)):  # so many in a row
        page.set_viewport_size(size)
        page.locator("#emoji-button").click()
        page.keyboard.press("ArrowDown")
        expect(page.locator("#emoji button").nth(reached)).to_be_focused()
        page.locator("#log-box").click()
        expect(page.locator("#emoji")).to_be_hidden()


@pytest.mark.long
def test_canned_replies_come_by_their_shortcut(desk, shop):
    shop.canned({"hello": "Hello {name}, this is {agent}.", "bye": "Good bye"})
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.page.locator("#text").press_sequentially("/he")
    expect(made.page.get_by_role("option", name="hello")).to_be_visible()
    made.page.keyboard.press("Enter")
    expect(made.page.locator("#text")).to_have_value("Hello Maya Putri, this is Ani Lestari.")


# --- files and transcripts


def _file(name: str, kind: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


@pytest.mark.long
def test_files_go_both_ways(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    maya.sends_file("photo.png", PIXEL, "image/png")
    expect(made.page.locator("#log .picture img")).to_have_attribute("src", re.compile("^blob:"))
    sends_files(made.page, _file("terms.txt", "text/plain", b"All is well"))
    expect(made.page.locator("#log .file")).to_contain_text("terms.txt")
    assert maya.sees()["messages"][-1]["attachments"][0]["name"] == "terms.txt"
    with made.page.expect_download() as download:
        made.page.locator("#log .file").click()
    assert Path(download.value.path()).read_bytes() == b"All is well"


@pytest.mark.long
def test_an_upload_stays_with_its_conversation_and_says_what_is_wrong(desk, shop):
    made = desk("agent@demo.com")
    page = made.page
    held: list[Route] = []
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (joko, maya):
        made.pick(each)
    rows, files = page.locator("#uploads li"), page.locator("#file")

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/attachments", hold)
    sends_files(page, _file("terms.txt", "text/plain", b"All is well"))
    eventually(lambda: page.title() and held, 5, "the upload")
    made.open(joko)
    expect(rows).to_have_count(0)
    held[0].abort()
    made.open(maya)
    expect(rows).to_contain_text("No connection. Try again in a moment.")
    page.unroute("**/attachments")
    rows.get_by_role("button", name="Try again").click()
    expect(page.locator("#log .file")).to_contain_text("terms.txt")
    expect(rows).to_have_count(0)
    asked: list[str] = []
    sends_files(page, _file("x.html", "text/html", b"<html><script>alert(1)</script>"))
    expect(rows).to_contain_text("x.html is a kind of file that cannot be sent here")
    page.on("request", lambda request: asked.append(request.url))
    files.set_input_files(_file("big.bin", "application/octet-stream", bytes(1 + (1 << 20))))
    expect(page.locator("#chosen .wrong")).to_contain_text("big.bin is too large: at most 1 MB may be sent.")
    page.locator("#text").press("Enter")
    expect(rows.get_by_role("button", name="Try again")).to_have_count(0)
    assert asked == []
    page.get_by_role("button", name="Take out big.bin").click()
    page.get_by_role("button", name="Remove x.html").click()
    expect(page.locator("#chosen li, #uploads li")).to_have_count(0)


@pytest.mark.long
def test_a_transcript_is_saved_as_text_and_as_json(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "My parcel is late")
    made.pick(maya)
    for name in ("Transcript as text", "Transcript as JSON"):
        made.page.locator("#more-button").click()
        with made.page.expect_download() as download:
            made.page.get_by_role("menuitem", name=name).click()
        assert b"My parcel is late" in Path(download.value.path()).read_bytes()


@pytest.mark.long
def test_search_finds_messages_of_ended_conversations_and_shows_them(desk, shop):
    maya = Customer(shop, "Maya Putri", "The courier broke my vase")
    maya.ends()
    made = desk("agent@demo.com")
    made.page.keyboard.press("/")
    made.page.keyboard.type("vase")
    hit = made.page.locator("#found-rows button")
    expect(hit.locator("mark")).to_have_text("vase")
    hit.click()
    expect(made.page.locator("#log .msg.flash")).to_contain_text("The courier broke my vase")
    lit = made.page.locator("#log .msg.flash .bubble")
    assert lit.evaluate("node => getComputedStyle(node).boxShadow") != "none", "also where nothing may move"
    expect(lit).to_have_count(0)
    expect(made.page.locator("#bar-text")).to_contain_text("has ended")
    told = shop.post("public/sessions", tenant_id=shop.id, name="Silent Joko", email="joko@example.com")
    shop.post(f"public/sessions/{told['session_key']}/end")
    made.page.keyboard.press("/")
    made.page.keyboard.type("silent")
    expect(made.page.locator("#found-rows time")).to_have_text(re.compile(r"^\d\d:\d\d$"))


@pytest.mark.long
def test_earlier_visits_are_beside_the_conversation_with_their_messages(desk, shop):
    first = Customer(shop, "Maya Putri", "Where is my order")
    first.ends()
    second = Customer(shop, "Maya Putri", "It is me again")
    made = desk("agent@demo.com")
    made.pick(second)
    made.page.locator("#visits button").click()
    expect(made.page.locator("#visit-log .msg")).to_contain_text("Where is my order")
    made.page.keyboard.press("Escape")
    expect(made.page.locator("#visit-dialog")).to_be_hidden()


@pytest.mark.long
def test_drafts_are_kept_for_each_conversation_and_over_a_reload(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (maya, joko):
        made.pick(each)
    made.open(maya)
    made.page.locator("#text").fill("for Maya")
    made.open(joko)
    expect(made.page.locator("#text")).to_have_value("")
    made.page.reload()
    made.expect_live()
    made.open(maya)
    expect(made.page.locator("#text")).to_have_value("for Maya")


@pytest.mark.long
def test_the_title_and_the_row_count_what_is_unread(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (maya, joko):
        made.pick(each)
    for text in ("one", "two"):
        maya.says(text)
    expect(made.row(maya).locator(".badge")).to_have_text("2")
    expect(made.page).to_have_title("(2) Agent · Giliran")
    made.open(maya)
    expect(made.page).to_have_title("Agent · Giliran")
    expect(made.row(maya).locator(".badge")).to_have_count(0)


@pytest.mark.long
def test_a_customer_learns_that_their_message_has_arrived_before_it_is_read(desk, shop):
    made = desk("agent@demo.com")
    maya, joko = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W"))
    for each in (maya, joko):
        made.pick(each)
    maya.says("Are you there?")
    eventually(lambda: maya.sees()["agent_got"] == maya.sees()["last_seq"], 5, "the mark that it was delivered")
    assert maya.sees()["agent_read"] < maya.sees()["last_seq"]


TOLD = """() => { window.told = []; document.hasFocus = () => false;
    window.Notification = class { constructor(title, { body }) { told.push(title + ': ' + body); }
        static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } } }"""


@pytest.mark.long
def test_notifications_are_shown_to_whoever_asked_for_them_and_looks_elsewhere(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    made.page.evaluate(TOLD)
    maya.says("not yet")
    expect(made.bubbles()).to_have_count(2)
    assert made.page.evaluate("told") == []
    made.page.locator("#me-button").click()
    made.page.get_by_role("menuitemcheckbox", name="Desktop notifications").click()
    maya.says("now")
    expect(made.bubbles()).to_have_count(3)
    eventually(lambda: made.page.evaluate("told") == ["Maya Putri: now"], 5, "the notification")
    expect(made.page).to_have_title("(2) Agent · Giliran")


@pytest.mark.long
def test_a_new_customer_in_the_line_is_told_to_whoever_picks_by_hand(desk, shop):
    """Agents who are away; supervisors once they ask for it. Others are given chats and need not look."""
    away, online, boss = (desk(f"{name}@demo.com") for name in ("agent", "agent2", "supervisor"))
    away.page.locator("#me-button").click()
    away.page.get_by_role("menuitemradio", name="Away").click()
    for each in (away, online, boss):
        each.page.evaluate(TOLD)
        each.page.locator("#me-button").click()
        each.page.get_by_role("menuitemcheckbox", name="Desktop notifications").click()
        each.page.keyboard.press("Escape")
    maya = Customer(shop, "Maya Putri", "Hi")
    for each in (away, online, boss):
        expect(each.page.locator("[data-count=queue]")).to_have_text("1")
    expect(away.page).to_have_title("(1) Agent · Giliran")
    told = lambda: [each.page.evaluate("told") for each in (away, online, boss)]  # noqa: E731
    eventually(lambda: told() == [["New in the queue: Maya Putri: Hi"], [], []], 5, "a notification to who is away")
    boss.page.locator("#me-button").click()
    boss.page.get_by_role("menuitemcheckbox", name="New in the queue").click()
    Customer(shop, "Joko W", "Hello")
    expect(boss.page).to_have_title("(1) Agent · Giliran")
    eventually(lambda: boss.page.evaluate("told") == ["New in the queue: Joko W: Hello"], 5, "the notification")
    maya.ends()
    expect(away.page).to_have_title("(1) Agent · Giliran")
    away.page.evaluate("document.hasFocus = () => true")
    away.tab("queue")
    expect(away.page).to_have_title("Agent · Giliran")


# --- the connection


@pytest.mark.long
def test_no_request_is_made_while_messages_flow(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    expect(made.bubbles()).to_have_count(1)
    asked: list[str] = []
    made.page.on("request", lambda request: asked.append(request.url))
    others = [Customer(shop, f"Guest {n}", "Hello") for n in range(3)]
    for n in range(30):
        maya.says(f"message {n}")
    others[0].ends()
    made.write("I read all of it")
    expect(made.bubbles()).to_have_count(32)
    made.tab("queue")
    expect(made.page.locator("#rows .row")).to_have_count(2)
    assert asked == []


@pytest.mark.long
def test_a_quiet_page_makes_no_request_in_half_an_hour_and_is_live_after_it(desk, shop):
    made = desk("agent@demo.com")
    pings, pongs, asked = [], [], []

    def listen(socket: WebSocket) -> None:
        asked.append(socket.url)
        socket.on("framesent", lambda text: pings.append(text) if '"ping"' in text else None)
        socket.on("framereceived", lambda text: pongs.append(text) if '"pong"' in text else None)

    made.page.on("websocket", listen)
    made.page.on("request", lambda request: asked.append(request.url))
    made.page.clock.install()
    made.page.reload()
    made.expect_live()
    maya = Customer(shop, "Maya Putri", "Hi")
    made.open(maya, "queue")
    expect(made.bubbles()).to_have_text(["Hi"])
    asked.clear()
    for _ in range(30 * 60 // 9):
        made.page.clock.run_for(9000)
        while len(pongs) < len(pings):  # its half hour is over in seconds, the answer takes its time
            made.page.wait_for_timeout(5)
    assert len(pings) > 30
    maya.says("Still here?")
    expect(made.bubbles()).to_have_text(["Hi", "Still here?"])
    made.expect_live()
    assert asked == []


def fails_once(route: Route, asked: list[str], broken: str | None = None) -> None:
    """No answer, or one that broke off."""
    asked.append(route.request.url)
    if len(asked) == 1 and broken:
        route.fulfill(status=200, content_type="application/json", body=broken)
    elif len(asked) == 1:
        route.abort()
    else:
        route.continue_()


@pytest.mark.long
@pytest.mark.parametrize("broken", [None, '{"messages": ['])
def test_a_conversation_whose_messages_do_not_come_is_asked_for_until_it_is_whole(desk, shop, broken):
    made, asked = desk("agent@demo.com"), []
    maya = Customer(shop, "Maya Putri", "Hi")
    made.page.route("**/messages?after=*", lambda route: fails_once(route, asked, broken))
    made.open(maya, "queue")
    maya.says("Still here?")
    expect(made.bubbles()).to_have_text(["Hi", "Still here?"])
    expect(made.page.locator("#loading")).to_be_hidden()
    assert len(asked) == 2


@pytest.mark.long
def test_a_message_that_the_socket_has_lost_is_asked_for_until_it_is_there(desk, shop):
    made, asked = desk("agent@demo.com"), []
    on_a_line(made, lambda frame: "lost on its way" in frame)
    maya = Customer(shop, "Maya Putri", "Hi")
    made.open(maya, "queue")
    expect(made.bubbles()).to_have_text(["Hi"])
    made.page.route("**/messages?after=*", lambda route: fails_once(route, asked))
    maya.says("lost on its way")
    maya.says("Are you there?")
    expect(made.bubbles()).to_have_text(["Hi", "lost on its way", "Are you there?"])
    assert len(asked) == 2


@pytest.mark.long
def test_an_answer_that_is_older_than_a_loss_does_not_hide_it(desk, shop):
    made, held = desk("agent@demo.com"), []
    on_a_line(made, lambda frame: "lost on its way" in frame)
    maya = Customer(shop, "Maya Putri", "Hi")

    def late(route: Route) -> None:
        held.append(route.request.url)
        if len(held) == 1:
            held.append((route, route.fetch()))
        elif len(held) == 3:
            route.abort()
        else:
            route.continue_()

    made.page.route("**/messages?after=*", late)
    made.open(maya, "queue")
    while len(held) < 2:
        made.page.wait_for_timeout(10)
    maya.says("lost on its way")
    maya.says("Are you there?")
    while len(held) < 3:
        made.page.wait_for_timeout(10)
    route, answer = held[1]
    route.fulfill(response=answer)
    expect(made.bubbles()).to_have_text(["Hi", "lost on its way", "Are you there?"])
    expect(made.page.locator("#loading")).to_be_hidden()


@pytest.mark.long
def test_what_was_said_while_the_socket_was_away_is_there_once_and_in_order(desk, shop):
    made = desk("agent@demo.com")
    line = on_a_line(made)
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    line.shut()
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    said = [f"message {n}" for n in range(30)]
    for text in said:
        maya.says(text)
    line.free()
    made.expect_live()
    expect(made.bubbles()).to_have_text(["Hi", *said])


@pytest.mark.long
def test_the_list_of_the_ended_is_whole_again_after_the_socket_was_away(desk, shop):
    """Those that it had, of later pages too; those that ended meanwhile; each once."""
    early = [Customer(shop, f"Guest {number}", "Hi") for number in range(53)]
    for customer in early[1:]:
        customer.ends()
    made = desk("agent@demo.com")
    line = on_a_line(made)
    made.tab("all")
    made.page.locator("[data-show=ended]").click()
    expect(made.page.locator("#rows .row")).to_have_count(50)
    made.page.locator("#more").click()
    expect(made.page.locator("#rows .row")).to_have_count(52)
    late = [Customer(shop, name, "Hi") for name in ("Joko W", "Dewi A")]
    late[0].ends()
    expect(made.page.locator("#rows .name").first).to_have_text("Joko W")
    line.shut()
    expect(made.page.locator("#live")).not_to_have_attribute("data-state", "live")
    late[1].ends()
    early[0].ends()
    line.free()
    made.expect_live()
    expect(made.page.locator("#rows .row")).to_have_count(55)
    expect(made.page.locator("#rows .name").nth(0)).to_have_text("Guest 0")
    expect(made.page.locator("#rows .name").nth(1)).to_have_text("Dewi A")
    expect(made.page.locator("#rows .name").nth(2)).to_have_text("Joko W")


@pytest.mark.long
def test_where_sockets_are_blocked_it_goes_on_by_polling(desk, shop):
    made = desk(None)
    made.page.route_web_socket(re.compile("/ws$"), lambda socket: socket.close(code=1011))
    made.page.reload()
    maya = Customer(shop, "Maya Putri", "Hi")
    made.sign_in("agent@demo.com")
    expect(made.page.locator("#live")).to_have_text("Not live")
    eventually(
        lambda: shop.get(f"public/desk?tenant_id={shop.id}")["agents_online"] == 1,
        5,
        "the presence of a page that polls",
    )
    made.pick(maya)
    made.write("By another way")
    expect(made.bubbles()).to_have_text(["Hi", "By another way"])
    eventually(lambda: maya.bodies() == ["Hi", "By another way"], 5, "the message")
    maya.says("Got it")
    expect(made.bubbles()).to_have_text(["Hi", "By another way", "Got it"])


@pytest.mark.long
def test_what_was_written_while_the_server_was_away_is_sent_once_and_in_order(desk, shop):
    made = desk("agent@demo.com")
    maya = Customer(shop, "Maya Putri", "Hi")
    made.pick(maya)
    shop.home.sidecar.kill()
    expect(made.page.locator("#live")).to_have_text("Reconnecting…")
    said = [f"answer {n}" for n in range(5)]
    for text in said:
        made.write(text)
    expect(made.page.locator("#log .msg.pending")).to_have_count(5)
    shop.home.sidecar.start()
    made.expect_live(30)
    expect(made.page.locator("#log .msg.pending")).to_have_count(0)
    expect(made.bubbles()).to_have_text(["Hi", *said])
    assert maya.bodies() == ["Hi", *said]


SHOWN = """() => [...document.querySelectorAll('#rows .row, #log > li, #room-state')]
    .map(node => node.innerText.replace(/\\d+ (s|min)/, ''))"""


@pytest.mark.long
def test_events_lead_to_what_a_fresh_load_shows(desk, shop):
    ani, budi = desk("agent@demo.com"), desk("agent2@demo.com")
    maya, joko, dewi = (Customer(shop, name, "Hi") for name in ("Maya Putri", "Joko W", "Dewi A"))
    ani.pick(maya)
    budi.pick(joko)
    ani.write("Hello Maya")
    maya.says("one")
    budi.write("Hello Joko")
    budi.page.get_by_role("button", name="Transfer").click()
    budi.page.locator("#give-people").get_by_role("button", name=re.compile("Ani")).click()
    expect(budi.page.locator("#room-state")).to_have_text("With Ani Lestari")
    dewi.ends()
    joko.says("two")
    for each in (ani, budi):
        each.open(joko, "all")
        expect(each.bubbles()).to_have_text(["Hi", "Hello Joko", "two"])
        expect(each.page.locator("#rows .row")).to_have_count(2)
        expect(each.page.locator("#rows .badge")).to_have_count(0)
        before = each.page.evaluate(SHOWN)
        each.page.reload()
        each.expect_live()
        each.open(joko, "all")
        expect(each.bubbles()).to_have_count(3)
        assert each.page.evaluate(SHOWN) == before
