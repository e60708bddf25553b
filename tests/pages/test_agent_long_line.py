"""The agent's page and a line of thousands: its head is on every page, however long it is and however it moves."""

import pytest
from playwright.sync_api import expect

from testbed.agentpages import Customer, Desk
from testbed.chathouse import Shop
from testbed.deadlines import eventually

LONG = 3000
FILL = """WITH people AS (
    INSERT INTO customers (tenant, email, name)
    SELECT %(tenant)s, 'guest' || n || '@example.com', 'Guest ' || n FROM generate_series(1, %(most)s) n
    RETURNING id, name
), numbered AS (SELECT id, name, substr(name, 7)::int AS n FROM people), placed AS (
    INSERT INTO visits (tenant, room, class, source, arrived_us, state)
    SELECT %(tenant)s, 'guest' || n, 'native', 'native', n, 'waiting' FROM numbered RETURNING room
)
INSERT INTO sessions (tenant, room, key_digest, customer, customer_name, last_seq, created_at)
SELECT %(tenant)s, 'guest' || n, sha256(('key' || n)::bytea), id, name, 1,
       clock_timestamp() - (%(most)s + 1 - n) * interval '1 second' FROM numbered ORDER BY n"""
HELLO = """INSERT INTO messages (session, seq, id, tenant, sender_type, sender_name, body)
SELECT id, 1, 'm' || id, tenant, 'customer', customer_name, 'Hello' FROM sessions
 WHERE tenant = %s AND room LIKE 'guest%%'"""
LEAVE = """WITH over AS (
    UPDATE visits SET state = 'closed', closed_at = clock_timestamp(), reason = 'ended by the customer'
     WHERE tenant = %s AND room LIKE 'guest%%' AND arrived_us BETWEEN %s AND %s RETURNING room
)
UPDATE sessions s SET status = 'ended', ended_at = clock_timestamp(), ended_by = 'customer' FROM over
 WHERE s.tenant = %s AND s.room = over.room"""


def fill(shop: Shop, most: int = LONG) -> None:
    with shop.home.ledger.transaction() as cur:
        cur.execute(FILL, {"tenant": shop.id, "most": most})
        cur.execute(HELLO, (shop.id,))


def serve(shop: Shop, first: int, last: int) -> None:
    """They are over, one after the other, and every page hears of each."""
    boss = shop.staff_token("supervisor@demo.com")
    for number in range(first, last + 1):
        shop.post(f"sessions/guest{number}/end", boss)


def leave(shop: Shop, first: int, last: int) -> None:
    """The same of those whom no page knows; nobody is told."""
    shop.home.run(LEAVE, shop.id, first, last, shop.id)


def names(made: Desk) -> list[str]:
    return made.page.locator("#rows .name").all_inner_texts()


@pytest.fixture
def full(shop: Shop) -> Shop:
    fill(shop)
    return shop


def test_the_queue_is_its_head_by_place_and_the_key_picks_whoever_is_first(desk, full):
    made = desk("agent@demo.com")
    made.tab("queue")
    expect(made.page.locator("#tab-queue .count")).to_have_text(str(LONG))
    assert names(made)[:3] == ["Guest 1", "Guest 2", "Guest 3"]
    leave(full, 201, 1400)
    serve(full, 1, 199)
    expect(made.page.locator("#rows .name").first).to_have_text("Guest 200")
    eventually(lambda: len(names(made)) >= 100, 10, "the rows behind the first")
    shown = [int(name.split()[1]) for name in names(made)]
    assert shown == [200, *range(1401, 1400 + len(shown))], "the queue has a hole"
    serve(full, 200, 200)
    expect(made.page.locator("#rows .chip").first).to_have_text("#1")
    made.page.locator("#rows").focus()
    expect(made.page.locator("#rows .name").first).to_have_text("Guest 1401")
    made.page.keyboard.press("p")
    expect(made.page.locator("#room-name")).to_have_text("Guest 1401")
    expect(made.page.locator("#room-state")).to_have_text("With you")


@pytest.mark.long
def test_the_end_of_a_long_line_is_whole_again(desk, full):
    made = desk("agent@demo.com")
    made.tab("queue")
    expect(made.page.locator("#behind")).to_have_text(f"{LONG - 200} more are waiting behind them")
    Customer(full, "Newest Guest", "Hi")
    expect(made.page.locator("#tab-queue .count")).to_have_text(str(LONG + 1))
    assert "Newest Guest" not in names(made)
    leave(full, 201, LONG - 10)
    serve(full, 1, 20)
    made.page.locator("#more").click()
    eventually(lambda: names(made)[-1:] == ["Newest Guest"], 10, "the newest at the end")
    assert names(made) == [f"Guest {n}" for n in (*range(21, 201), *range(LONG - 9, LONG + 1))] + ["Newest Guest"]
    expect(made.page.locator("#behind")).to_be_hidden()


@pytest.mark.long
def test_a_page_loads_a_long_line_with_few_requests_and_asks_for_nobody_far_behind(desk, full):
    made = desk("agent@demo.com")
    asked: list[str] = []
    made.page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    made.page.reload()
    made.expect_live()
    expect(made.page.locator("#tab-queue .count")).to_have_text(str(LONG))
    assert len(asked) <= 10, asked
    full.home.run(
        "UPDATE sessions SET key_digest = sha256('far'::bytea) WHERE tenant = %s AND room = 'guest2500'", full.id
    )
    full.post("public/sessions/far/messages", body="Is anybody there?", client_id="far-1")
    Customer(full, "Late Guest", "Hi")  # an event behind it
    made.tab("queue")
    expect(made.page.locator("#tab-queue .count")).to_have_text(str(LONG + 1))
    made.page.evaluate("() => new Promise(done => setTimeout(done, 2500))")  # longer than a page waits before it asks
    assert not [url for url in asked if "guest2500" in url]


@pytest.mark.long
def test_one_s_own_chats_are_there_however_many_colleagues_have(desk, shop):
    """The list of chats that agents have is cut at 2,000, newest first; the agent's own are the oldest here."""
    mine = Customer(shop, "Maya Putri", "Hi")
    shop.pick("agent@demo.com", mine.id)
    fill(shop, 2100)
    shop.home.run("DELETE FROM visits WHERE tenant = %s AND room LIKE 'guest%%'", shop.id)
    shop.home.run(
        "UPDATE sessions SET status = 'active', agent = %s, started_at = clock_timestamp()"
        " WHERE tenant = %s AND status = 'waiting'",
        shop.ids["Budi Santoso"],
        shop.id,
    )
    made = desk("agent@demo.com")
    expect(made.row(mine)).to_be_visible()
