"""The simulator's page in a real Chromium, with a simulator and a small receiver of webhooks, nothing else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from testbed.chromium import VIOLATIONS
from testbed.simulated import Sim, simulator

ASSIGN = "/api/v1/admin/service/assign_agent"


class _Accept(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"status": "queued", "position": 4}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Accept)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def running(receiver: str) -> Iterator[Sim]:
    with simulator(webhooks=receiver) as sim:
        yield sim


@pytest.fixture
def sim(running: Sim) -> Sim:
    running.reset()
    return running


@pytest.fixture
def page(browser: Browser, sim: Sim) -> Iterator[Page]:
    """An open page with the live stream. A console error, an exception or a broken policy fails the test."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    context.add_init_script(VIOLATIONS)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(sim.url)
    expect(opened.locator("#live")).to_have_attribute("data-state", "live")
    expect(opened.locator("#agents .card")).to_have_count(6)
    yield opened
    violations = opened.evaluate("violations")
    context.close()
    assert (wrong, violations) == ([], [])


def give(sim: Sim, room: str) -> int:
    agent = sim.agents()[0]["id"]
    assert sim.qiscus("POST", ASSIGN, data={"room_id": room, "agent_id": agent, "max_agent": 1}).status_code == 200
    return agent


def test_divisions_customers_and_what_the_bot_said_are_shown_and_an_agent_moves_by_a_button(page, sim):
    (room,) = sim.add_customers(1, name="Ani", email="ani@x.id", properties={"city": "Ubud", "vip": True})
    said = {"sender_email": "demo-qiscus_admin@qismo.com", "message": "Anda nomor 1 <b>", "type": "text"}
    assert sim.qiscus("POST", "/demo-qiscus/bot", json={**said, "room_id": room}).status_code == 200
    row = page.locator("#line li")
    expect(row.locator("[data-part=known]")).to_have_text("Ubud · true")
    expect(row.locator("[data-part=said]")).to_have_text("Bot: Anda nomor 1 <b>")
    expect(page.locator("#activity")).to_contain_text("The bot to Ani")
    row.locator("[data-more]").click()
    expect(page.locator("#room-known")).to_contain_text("ani@x.id")
    expect(page.locator("#room-said-texts li")).to_have_text(["Anda nomor 1 <b>"])
    page.keyboard.press("Escape")
    give(sim, room)
    expect(page.locator("#agents .chat")).to_contain_text("Ubud")
    agent, bali = sim.agents()[0], sim.divisions()["Bali"]["id"]
    chips = page.get_by_role("group", name=f"Divisions of {agent['name']}")
    chips.get_by_role("button", name="Bali").click()
    expect(chips.get_by_role("button", name="Bali", pressed=True)).to_be_visible()
    assert sim.agents()[0]["divisions"] == [*agent["divisions"], bali]
    for name in ("Bali", "Jakarta"):
        chips.get_by_role("button", name=name).click()
        expect(chips.get_by_role("button", name=name, pressed=False)).to_be_visible()
    assert sim.agents()[0]["divisions"] == [sim.divisions()["Default"]["id"]]


def test_added_customers_stand_in_line_in_their_order(page, sim):
    page.get_by_role("button", name="Add a customer").click()
    page.get_by_role("button", name="Add 10 customers").click()
    expect(page.locator("#line .waiting")).to_have_count(11)
    expect(page.locator("#n-waiting")).to_have_text("11")
    shown = page.locator("#line .waiting").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert shown == sim.waiting()


@pytest.mark.long
def test_a_long_line_is_cut_and_says_so(page):
    page.get_by_role("button", name="Add 100 customers").click()
    page.get_by_role("button", name="Add 100 customers").click()
    expect(page.locator("#n-waiting")).to_have_text("200")
    expect(page.locator("#line-more")).to_have_text("and 100 more")


def test_a_chat_moves_to_its_agent_and_is_resolved_there(page, sim):
    room = sim.add_customers(1, name="Maya Putri")[0]
    agent = give(sim, room)
    card = page.locator(f"#agents .card[data-key='{agent}']")
    expect(card.locator("[data-part=load]")).to_have_text("1 chat")
    card.get_by_role("button", name="Resolve the chat with Maya Putri").click()
    expect(card.locator("[data-part=load]")).to_have_text("No chat")
    expect(page.locator("#n-resolved")).to_have_text("1")
    assert sim.state()["resolved_total"] == 1


@pytest.mark.long
def test_an_agent_is_taken_offline_and_back(page, sim):
    agent = sim.agents()[0]
    switch = page.get_by_role("switch", name=f"{agent['name']} is online")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    assert sim.agents()[0]["online"] is False
    switch.press("Space")
    expect(switch).to_have_attribute("aria-checked", "true")


@pytest.mark.long
def test_a_supervisor_assigns_by_hand_from_the_line(page, sim):
    room = sim.add_customers(1, name="Maya Putri")[0]
    page.get_by_role("button", name="More for Maya Putri").click()
    agent = sim.agents()[2]["id"]
    page.locator("#room-agent").select_option(str(agent))
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(page.locator("#line .waiting")).to_have_count(0)
    assert sim.holders() == {room: [agent]}


def test_webhooks_are_shown_with_what_the_receiver_said(page, sim):
    sim.add_customers(1, name="Maya Putri")
    event = page.locator("#activity .event[data-kind=webhook]")
    expect(event).to_contain_text("Allocation webhook: Maya Putri")
    expect(event).to_contain_text("200 · queued · place 4")


def test_a_refused_assign_is_told_as_trouble_with_its_reason(page, sim):
    room = sim.add_customers(1)[0]
    sim.faults(fail_rooms=[room])
    sim.qiscus("POST", ASSIGN, data={"room_id": room, "agent_id": sim.agents()[0]["id"]})
    page.get_by_role("button", name="Trouble").click()
    expect(page.locator("#activity .event")).to_have_count(1)
    expect(page.locator("#activity .event")).to_contain_text("400 Room can't be assigned")


def test_an_agent_is_refused_deleted_and_hired_again(page, sim):
    agent = sim.agents()[0]
    select = page.get_by_label(f"When {agent['name']} is assigned")
    select.select_option("422")
    expect(page.locator("#fault-count")).to_have_text("1")
    assert sim.state()["faults"]["fail_agents"] == {str(agent["id"]): 422}
    select.select_option("deleted")
    expect(page.locator(f"#agents .card[data-key='{agent['id']}'] [data-part=facts]")).to_have_text("Deleted")
    assert (sim.agents()[0]["deleted"], sim.state()["faults"]["fail_agents"]) == (True, {})
    select.select_option("takes")
    expect(page.locator("#n-online")).to_have_text("5/6")
    assert sim.agents()[0]["deleted"] is False


def test_faults_are_switched_by_keyboard_and_counted(page, sim):
    page.locator("#tab-activity").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#faults-view")).to_be_visible()
    page.get_by_label("Deliver each twice").press("Space")
    expect(page.locator("#fault-count")).to_have_text("1")
    page.get_by_label("Calls that fail").press("End")
    expect(page.locator("#fault-count")).to_have_text("2")
    faults = sim.state()["faults"]
    assert (faults["webhook_copies"], faults["fail_p"]) == (2, 1)
    page.get_by_role("button", name="All well").click()
    expect(page.locator("#fault-count")).to_be_hidden()


@pytest.mark.long
def test_the_page_speaks_indonesian(page):
    page.get_by_role("button", name="Bahasa Indonesia").click()
    expect(page.locator("#line-title")).to_have_text("Antrean")
    expect(page.locator("html")).to_have_attribute("lang", "id")
    page.reload()
    expect(page.locator("#line-title")).to_have_text("Antrean")


def test_both_languages_have_the_same_words(page):
    script = """async () => { const text = await (await fetch('/words.js')).text();
      const keys = part => [...part.matchAll(/(\\w+): "/g)].map(found => found[1]).sort();
      const [english, indonesian] = text.split('const INDONESIAN');
      return [keys(english), keys(indonesian.split('const WORDS')[0])]; }"""
    english, indonesian = page.evaluate(script)
    assert english == indonesian and len(english) > 100


@pytest.mark.long
def test_the_focus_stays_in_the_list_when_its_row_goes(page, sim):
    agent = sim.agents()[0]["id"]
    for room in sim.add_customers(2):
        sim.assign(room, agent)
    buttons = page.locator("[data-resolve]")
    expect(buttons).to_have_count(2)
    buttons.first.press("Enter")
    expect(buttons).to_have_count(1)
    expect(buttons.first).to_be_focused()


@pytest.mark.long
def test_a_phone_sees_everything_without_scrolling_sideways(page, sim):
    sim.add_customers(3)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#line .waiting")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.long
def test_the_stream_comes_back_after_a_restart_of_the_server(browser):
    with simulator() as first:
        port = urlsplit(first.url).port
        page = browser.new_page(locale="en-GB")
        page.goto(first.url)
        first.add_customers(2)
        expect(page.locator("#line .waiting")).to_have_count(2)
    expect(page.locator("#live")).to_have_text("Reconnecting…")
    with simulator(port=port) as second:
        expect(page.locator("#live")).to_have_text("Live")
        expect(page.locator("#line .waiting")).to_have_count(0)
        second.add_customers(1)
        expect(page.locator("#line .waiting")).to_have_count(1)
        page.close()
