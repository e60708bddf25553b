"""The pictures in README and docs/: what each shows, and how it becomes a small file. `./scripts/pictures --docs`."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from testbed import week
from testbed.agentpages import Customer
from testbed.chatpages import Customer as CustomerPage
from testbed.states import Stage
from views.reports import period
from views.reports import report as reports
from views.reports.page import as_html
from views.reports.report import Asked

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
COLOURS = 256  # a page has few, and a picture of it stays below 100 KB
QUEUE = {
    "Rizky Pratama": "Can I change the address of my order?",
    "Dewi Anggraini": "Do you ship to Makassar?",
    "Oliver Brandt": "The discount code does not work.",
}


def _talk(made: Stage) -> CustomerPage:
    """Ani talks with Maya, and three others wait."""
    made.staffed()
    before = Customer(made.shop, "Maya Putri", "Do you have lamps?", "maya@example.com")
    before.is_given_to("Ani Lestari")
    before.ends()
    maya = made.customer("My order 57491250 came yesterday, but one of the three lamps is broken.")
    made.ani.picks(maya.id)
    made.ani.says(maya.id, "Good morning Maya, I am sorry to hear that. Shall we send a new one?")
    made.ani.does("POST", f"sessions/{maya.id}/notes", body="The second broken lamp this month.")
    expect(maya.bubbles()).to_have_count(2)
    maya.writes("Yes, please! The same colour.")
    for name, text in QUEUE.items():
        Customer(made.shop, name, text)
    return maya


def agent(made: Stage) -> Page:
    """An agent's page: the queue, an open chat, and the customer's details."""
    maya = _talk(made)
    ani = made.desk()
    page = ani.page
    ani.tab("mine")
    page.locator(f"#row-{maya.id}").click()
    expect(page.locator("#log .msg .body")).to_have_count(3)
    ani.tab("queue")
    expect(page.locator("#rows .row")).to_have_count(len(QUEUE))
    page.mouse.move(640, 640)
    return page


def customer(made: Stage) -> Page:
    """The customer's side of the same chat."""
    return _talk(made).page


def report(made: Stage) -> Page:
    """The page of `giliran report`, of a week that is made up."""
    monday = week.last_monday(datetime.now(UTC))
    asked = Asked(period.of_week(f"{monday:%G-W%V}"), None, 60, 90, 0)
    with made.shop.home.ledger.transaction() as cur:
        week.fill(cur, "senja", week.happened(monday))
        found = reports.read(cur, "senja", asked)
        cur.execute("DELETE FROM tenants WHERE id = 'senja'")
    page = made.open("/").context.new_page()  # of a document without a server
    page.set_content(as_html([found.report()], "en"))
    return page


PICTURES: dict[str, Callable[[Stage], Page]] = {
    "agent": agent,
    "customer": customer,
    "report": report,
}


def shrink(path: Path) -> None:
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
