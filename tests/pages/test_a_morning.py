"""A supervisor's morning: the queue grows, they learn why, raise a limit, see it shrink, open a room's life, export."""

import csv
import io
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from testbed.agentpages import Customer
from testbed.chatpages import PHONE, Agent
from testbed.opspages import Ops

NAMES = ["Maya Putri", "Joko Widodo", "Dewi Anggraini", "Bayu Saputra", "Intan Permata", "Rizky Ramadhan"]
THIS_HOUR = """INSERT INTO minutes
    (tenant, at, queue, waiting, arrived, assigned, resolved, abandoned, waits, seats_taken, seats_free)
SELECT %s, date_trunc('minute', clock_timestamp()) - n * interval '1 minute', '', n %% 5, n %% 3, 1, 1, 0, '{9}', 2, 0
  FROM generate_series(2, 50) n"""


@pytest.mark.parametrize("look", [{}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desk", "phone"])
def test_a_supervisor_sees_a_queue_grow_learns_why_raises_a_limit_and_exports_the_day(
    ops, served_shop, browser, tmp_path, look
):
    """Leaves pictures to look at, in GILIRAN_PICTURES or pytest's temporary folder."""
    shop, folder = served_shop, Path(os.environ.get("GILIRAN_PICTURES", tmp_path))

    def picture(name: str) -> None:
        path = folder / f"morning-{'phone' if look else 'desk'}-{name}.png"
        page.screenshot(path=path, animations="disabled")
        assert path.stat().st_size > 10_000

    sockets = [Agent(shop, email).online(browser) for email in ("agent@demo.com", "agent2@demo.com")]
    made = ops(**look)
    page = made.page
    customers = [Customer(shop, name, "Good morning") for name in NAMES]

    # Two have an agent, four wait, and the page says why.
    expect(page.locator(".waiting b")).to_have_text("4")
    picture("now")
    by_bar(made, "queue")
    expect(page.locator("#queue-rows tr")).to_have_count(4)
    expect(made.row(customers[2].id)).to_contain_text("All 2 agents online for it are at the limit.")
    picture("queue")

    # One agent may have more: the effect is said before, and the queue shrinks by itself.
    by_bar(made, "agents")
    ani = page.locator(".agent-row", has_text="Ani Lestari")
    ani.get_by_role("button", name="Set the limit").click()
    page.locator("#act-number").fill("4")
    expect(page.locator("#act-effects")).to_contain_text("nobody loses a chat")
    picture("limit")
    page.locator("#act-yes").click()
    expect(ani.locator("[data-part=seats-text]")).to_have_text("4 of 4")
    picture("agents")
    by_bar(made, "queue")
    expect(page.locator("#queue-rows tr")).to_have_count(1)

    # A room's life, from its arrival to its agent.
    page.evaluate("room => { location.hash = `queue?room=${room}` }", customers[2].id)
    expect(page.locator("#room-name")).to_have_text("Dewi Anggraini")
    life = page.locator(".timeline")
    expect(life).to_contain_text("Arrived in the queue")
    expect(life).to_contain_text(re.compile("Ani Lestari"))
    life.get_by_text("candidates").first.click()
    expect(life).to_contain_text("Budi Santoso")
    picture("room")
    page.locator("#room-close").click()

    # The day as a file.
    shop.home.run("DELETE FROM minutes")
    shop.home.run(THIS_HOUR, shop.id)
    made.view("charts?range=24h")
    expect(page.locator("#charts svg").first).to_be_visible()
    picture("charts")
    with page.expect_download() as saved:
        page.locator("#charts-csv").click()
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text())))
    assert sum(int(row["arrived"] or 0) for row in rows) == sum(n % 3 for n in range(2, 51))
    for socket in sockets:
        socket.context.close()


def by_bar(made: Ops, view: str) -> Page:
    """As a person goes there: by the bar of the page."""
    made.page.locator(f"[data-view={view}]:visible").click()
    expect(made.page.locator(f"#p-{view}")).to_be_visible()
    return made.page
