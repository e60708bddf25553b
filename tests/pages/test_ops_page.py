"""The supervisors' page in a browser, over a real sidecar: what they see, live, and what they do."""

import re

from playwright.sync_api import WebSocketRoute, expect

from db import operators
from testbed.agentpages import Customer
from testbed.axe import grave_faults
from testbed.deadlines import eventually
from testbed.opspages import BOSS
from testbed.passwords import PASSWORD, hash_of

AGENT = "agent@demo.com"
VIEWS = ("now", "queue", "agents", "decisions", "charts", "settings")
LONG = 2000
FILL = """INSERT INTO visits (tenant, room, class, source, arrived_us, state)
SELECT %s, 'guest' || n, 'native', 'native', n + 1700000000000000, 'waiting' FROM generate_series(1, %s) n"""
STATES = """async () => {
  const { stateOf, changed, rowsOf, Missed } = await import('/static/js/ops/live.js');
  const from = { seq: 1, head: { n: 2, gone: 1 }, order: ['__proto__', 'b'], rows: { b: { v: 1, w: 5 } } };
  Object.defineProperty(from.rows, '__proto__', { value: { v: 0 }, enumerable: true });
  const first = stateOf(from);
  const second = changed(first, { seq: 2, head: { gone: null }, rows: { b: { v: 2 } } });
  const third = changed(second, { seq: 3, order: ['c', 'b'], rows: { ['__proto__']: null, c: { v: 3 } } });
  let missed = false;
  try { changed(second, { seq: 4 }) } catch (error) { missed = error instanceof Missed }
  const kept = second.rows.get('b') === third.rows.get('b');
  return { first: rowsOf(first), third: rowsOf(third), head: third.head, kept, missed };
}"""
LACKING = """async () => {
  const { vocabulary } = await import('/static/js/words/words.js');
  await import('/static/js/words/ops.js');
  const { en, id } = vocabulary();
  const holes = (text) => [...new Set(JSON.stringify(text).match(/\\{\\w+\\}/g) ?? [])].sort().join();
  const places = ['t', 'tLabel', 'tPlaceholder', 'tTitle'];
  const marks = [...document.querySelectorAll('*')].flatMap(({ dataset }) => places.map((name) => dataset[name]));
  const files = performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => /js.ops./.test(name));
  const code = (await Promise.all(files.map(async (file) => (await fetch(file)).text()))).join();
  const named = [...code.matchAll(/\\bt\\("(\\w+)"/g)].map(([, key]) => key);
  return {
    keys: [Object.keys(en).filter((key) => !(key in id)), Object.keys(id).filter((key) => !(key in en))],
    holes: Object.keys(en).filter((key) => holes(en[key]) !== holes(id[key])),
    unknown: [...marks, ...named].filter((key) => key && !(key in en)),
    read: files.length > 12 && named.length > 50,
  };
}"""


WIDE = """[...document.querySelectorAll('body, .view, .page, .drawer')]
  .filter((node) => node.scrollWidth > node.clientWidth + 1).map(({ id }) => id)"""


def test_one_sign_in_serves_both_pages_and_an_agent_is_sent_to_the_other(ops, shop):
    made = ops(None).sign_in().live()
    expect(made.page.locator("#verdict")).to_have_text("1 workspace needs a look")
    made.page.goto(f"{shop.url}/agent")
    expect(made.page.locator("#desk")).to_be_visible()
    agent = ops(None).sign_in(AGENT)
    expect(agent.page.locator("#not-yours-title")).to_have_text("This page is for supervisors")
    expect(agent.page.get_by_role("link", name="To the agent page")).to_be_visible()
    agent.page.get_by_role("button", name="Sign in with another account").click()
    agent.sign_in().live()
    shop.revoke_all()
    expect(agent.page.locator("#login-why")).to_contain_text("Sign in again")


def test_what_changes_is_shown_live_and_the_focus_stays_where_it_was(ops, shop):
    made = ops()
    maya = Customer(shop, "Maya Sari", "Good day")
    made.view("now")
    expect(made.page.locator(".waiting b")).to_have_text("1")
    expect(made.page.locator(".problems")).to_contain_text("Nobody is online, and customers wait.")
    expect(made.page.locator(".problems")).to_contain_text("No worker is running: nothing moves.")
    made.page.locator(".problems a:visible").click()
    expect(made.page.locator("#h-agents")).to_be_focused()
    made.view("queue")
    expect(made.row(maya.id)).to_contain_text("No worker is running.")
    made.row(maya.id).locator("button").focus()
    budi = Customer(shop, "Budi Hartono", "Hello")
    expect(made.row(budi.id)).to_be_visible(timeout=10_000)
    expect(made.row(maya.id).locator("button")).to_be_focused()
    made.page.keyboard.press("ArrowDown")
    expect(made.row(budi.id).locator("button")).to_be_focused()
    maya.ends()
    expect(made.row(maya.id)).to_have_count(0)
    expect(made.row(budi.id).locator(".c-place")).to_have_text("1")
    expect(made.row(budi.id).locator("button")).to_be_focused()


def test_rooms_are_chosen_and_acted_on_with_the_keyboard_and_the_effect_is_said_before(ops, shop):
    first, second = Customer(shop, "Maya Sari", "Good day"), Customer(shop, "Budi Hartono", "Hello")
    made = ops()
    made.view("queue")
    keys = made.page.keyboard
    made.row(second.id).locator("input").focus()
    keys.press("Space")
    expect(made.page.locator("#queue-chosen")).to_have_text("1 chosen")
    made.page.locator("#queue-bar [data-act=priority]").focus()
    keys.press("Enter")
    expect(made.page.locator("#act-number")).to_be_focused()
    expect(made.page.locator("#act-about")).to_have_text(f"Budi Hartono · {second.id}")
    keys.press("Control+a")
    keys.type("7")
    expect(made.page.locator("#act-effects")).to_have_text("Its priority is 7, it was 0.")
    expect(made.row(first.id).locator(".c-place")).to_have_text("1")
    keys.press("Enter")
    expect(made.page.locator(".toast")).to_have_text("Its priority is 7, it was 0.")
    expect(made.row(second.id).locator(".c-place")).to_have_text("1")
    made.row(second.id).locator("button").focus()
    keys.press("Enter")
    expect(made.page.locator("#room-name")).to_have_text("Budi Hartono")
    expect(made.page.locator(".timeline")).to_contain_text("Arrived in the queue")
    assert f"room={second.id}" in made.page.url
    made.page.reload()
    expect(made.page.locator("#room-name")).to_have_text("Budi Hartono")
    made.page.get_by_role("button", name="Close as not needed").last.click()
    expect(made.page.locator("#act-effects")).to_contain_text("The chat is ended")
    made.page.locator("#act-yes").click()
    eventually(lambda: second.sees()["status"] == "ended", 10, "the chat is ended")
    expect(made.page.locator("#room-says")).to_contain_text("Closed")
    made.page.locator("#room-box").focus()
    keys.press("Escape")
    expect(made.page.locator("#drawer")).to_be_hidden()
    made.view("settings")
    expect(made.page.locator("#audit-rows tr")).to_have_count(2)
    expect(made.page.locator("#audit-rows")).to_contain_text(BOSS)


def test_a_page_that_was_away_or_missed_a_change_shows_what_is_true(ops, shop):
    made = ops()
    sockets: list[WebSocketRoute] = []
    lost: list[str] = []

    def way(socket: WebSocketRoute) -> None:
        sockets.append(socket)

        def heard(frame: str | bytes) -> None:
            if "ops.change" in str(frame) and '"watch":"queue' in str(frame) and not lost:
                lost.append(str(frame))
            else:
                socket.send(frame)

        socket.connect_to_server().on_message(heard)

    made.page.route_web_socket(re.compile("/ws/ops$"), way)
    made.page.reload()
    made.live().view("queue")
    expect(made.page.locator("#queue-none")).to_be_visible()
    maya = Customer(shop, "Maya Sari", "Good day")
    eventually(lambda: (made.page.title(), lost)[1], 15, "a change gets lost")
    budi = Customer(shop, "Budi Hartono", "Hello")
    expect(made.row(budi.id).locator(".c-place")).to_have_text("2")
    expect(made.row(maya.id)).to_be_visible()
    sockets[-1].close(code=1011)
    expect(made.page.locator("#away")).to_contain_text("No connection")
    expect(made.row(maya.id)).to_be_visible()
    maya.ends()
    expect(made.row(maya.id)).to_have_count(0)
    expect(made.page.locator("#away")).to_be_hidden()


def test_thousands_of_rooms_are_a_window_that_follows_the_reader(ops, shop):
    shop.home.run(FILL, shop.id, LONG)
    made = ops()
    made.view("queue")
    expect(made.page.locator("#queue-sum")).to_have_text("2,000 rooms wait")
    expect(made.row("guest1")).to_be_visible()
    made.page.locator("#queue-sheet").evaluate("sheet => sheet.scrollTo(0, sheet.scrollHeight)")
    expect(made.row(f"guest{LONG}").locator(".c-place")).to_have_text("2,000")
    assert made.page.locator("#queue-rows tr").count() < 60
    assert made.page.locator("#queue-table").get_attribute("aria-rowcount") == str(LONG + 1)
    made.page.locator("#queue-q").fill("guest1234")
    expect(made.page.locator("#queue-rows tr")).to_have_count(1)
    assert "q=guest1234" in made.page.url
    made.page.reload()
    expect(made.row("guest1234").locator(".c-place")).to_have_text("1,234")


def test_an_agent_is_paused_also_after_a_limit_that_may_not_be(ops, shop):
    made = ops()
    made.view("agents")
    row = made.page.locator(".agent-row", has_text="Ani Lestari")
    row.get_by_role("button", name="Set the limit").click()
    made.page.locator("#act-number").fill("1500")
    expect(made.page.locator("#act-effects")).to_have_text("A whole number from 0 to 1000.")
    expect(made.page.locator("#act-yes")).to_be_disabled()
    made.page.locator("#act-no").click()
    row.get_by_role("button", name="Pause").click()
    expect(made.page.locator("#act-effects")).to_have_text("No new chats; those that they have go on.")
    made.page.locator("#act-yes").click()
    expect(row).to_contain_text("Paused")
    row.get_by_role("button", name="Resume").click()
    made.page.locator("#act-yes").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()


def test_an_operator_serves_out_sends_chats_back_logs_an_agent_out_and_changes_the_rules(ops, shop):
    maya = Customer(shop, "Maya Sari", "Good day")
    maya.is_given_to("Ani Lestari")
    with shop.home.ledger.transaction() as cur:
        operators.add(cur, "rini@example.com", "Rini", hash_of(PASSWORD))
    try:
        made = ops(None).sign_in("rini@example.com").live()
        page = made.page

        def does(name: str, effect: str) -> None:
            page.get_by_role("button", name=name).first.click()
            expect(page.locator("#act-effects")).to_contain_text(effect)
            page.locator("#act-yes").click()
            expect(page.locator("#act-dialog")).to_be_hidden()

        made.view("agents")
        does("Chats back to the queue: Ani Lestari", "1 chat returns to the queue")
        eventually(lambda: maya.sees()["status"] == "waiting", 10, "the chat is back in the queue")
        made.view("settings")
        page.locator("#drain").click()
        expect(page.locator("#act-effects")).to_contain_text("Rooms wait from now on")
        page.locator("#act-yes").click()
        expect(page.locator("#drain")).to_have_attribute("aria-checked", "true")
        assert shop.home.house.rows("SELECT draining FROM tenants WHERE id = %s", shop.id)[0].draining
        page.locator("#drain").click()
        page.locator("#act-yes").click()
        expect(page.locator("#drain")).to_have_attribute("aria-checked", "false")
        page.locator("#routing-file").fill('[default]\nqueue = "sale"\n[queues.sales]\nagents = { channel = true }')
        page.locator("#routing-check").click()
        expect(page.locator("#routing-found")).to_contain_text("sales")
        page.locator("#routing-file").fill('[default]\nqueue = "sales"\n[queues.sales]\nagents = { channel = true }')
        page.locator("#routing-apply").click()
        page.locator("#act-yes").click()
        expect(page.locator("#routing-history li")).to_have_count(1)
        made.view("queue")
        expect(made.row(maya.id)).to_be_visible()
        made.view("settings")
        for act in ("rules applied", "serve out", "chats back"):
            expect(page.locator("#audit-rows")).to_contain_text(act)
    finally:
        shop.home.run("DELETE FROM operators")
        shop.home.run(
            "UPDATE tenants SET rules_version = 0, rules_digest = '', draining = false WHERE id = %s", shop.id
        )
        shop.home.run("DELETE FROM rule_files WHERE tenant = %s", shop.id)


def test_every_view_can_be_read_by_everybody_in_both_themes_and_fits_a_small_phone(ops, shop):
    maya = Customer(shop, "Maya Sari", "Good day")
    for name in ("Budi Hartono", "Dewi Anggraini"):
        Customer(shop, name, "Hello").is_given_to("Ani Lestari")
    shop.home.run("DELETE FROM visits WHERE id = (SELECT max(visit) FROM decisions)")  # as an erased customer leaves it
    made = ops()
    views = [*VIEWS, f"queue?room={maya.id}", "charts?as=table"]
    faults = {view: grave_faults(made.page) for view in views if made.view(view)}
    assert not any(faults.values()), faults
    made.page.set_viewport_size({"width": 320, "height": 640})
    assert {view: made.page.evaluate(WIDE) for view in views if made.view(view)} == {view: [] for view in views}


def test_an_operator_sees_the_installation(ops, shop):
    with shop.home.ledger.transaction() as cur:
        operators.add(cur, "ops@example.com", "Ratna", hash_of(PASSWORD))
    try:
        made = ops(None).sign_in("ops@example.com").live()
        expect(made.page.locator("#me-role")).to_have_text("Operator")
        expect(made.page.locator("#cards .tenant")).to_have_count(1)
        made.view("queue")
        expect(made.page.locator("#queue-none")).to_be_visible()
        made.view("settings")
        made.page.locator("#limit-value").fill("3")
        made.page.locator("#limit-form [type=submit]").click()
        expect(made.page.locator("#act-effects")).to_contain_text("nobody loses a chat")
        made.page.locator("#act-yes").click()
        expect(made.page.locator("#limit-now")).to_have_text("3")
        made.page.locator("#limit-none").click()
        made.page.locator("#act-yes").click()
        expect(made.page.locator("#limit-none")).to_be_hidden()
        made.view("health")
        expect(made.page.locator("#health-processes tr")).not_to_have_count(0)
        assert grave_faults(made.page) == []
    finally:
        shop.home.run("DELETE FROM operators")


def test_both_languages_say_everything(ops):
    made = ops(locale="id-ID")
    expect(made.page.locator("#verdict")).to_have_text("1 ruang kerja perlu dilihat")
    assert made.page.evaluate(LACKING) == {
        "keys": [[], []],
        "holes": [],
        "unknown": [],
        "read": True,
    }
    made.page.locator("#me-button").click()
    made.page.locator("#me-menu [data-language=en]").click()
    expect(made.page.locator("#verdict")).to_have_text("1 workspace needs a look")


def test_a_state_and_its_changes_are_what_a_fresh_load_shows(ops):
    assert ops(None).page.evaluate(STATES) == {
        "first": [{"v": 0}, {"v": 1, "w": 5}],
        "third": [{"v": 3}, {"v": 2, "w": 5}],
        "head": {"n": 2, "gone": None},
        "kept": True,
        "missed": True,
    }
