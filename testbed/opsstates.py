"""The supervisors' page in every state that people see, as `states` has those of the others."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from testbed.opspages import BOSS, Ops
from testbed.states import Stage

PAST = """INSERT INTO minutes
    (tenant, at, queue, waiting, arrived, assigned, resolved, abandoned, waits, seats_taken, seats_free)
SELECT %s, date_trunc('minute', clock_timestamp()) - n * interval '1 minute', '',
       greatest(0, round(3 + 3 * sin(n / 40.0) + 2 * sin(n / 7.0)))::int, (n * 7 %% 3)::int, (n * 5 %% 3)::int, 1,
       (n %% 97 = 0)::int, ARRAY[20 + 15 * sin(n / 60.0), 60 + 45 * sin(n / 50.0)]::real[],
       4 + round(2 * sin(n / 90.0))::int, 2
  FROM generate_series(2, 1400) n"""
MARKS = """INSERT INTO audit (tenant, who, what, subject, before, after, at)
VALUES (%s, 'sri@example.com', 'limit', '', '2', '3', clock_timestamp() - interval '5 hours')"""


def _shown(made: Stage, view: str) -> Page:
    """Three wait, one of them for long; Ani has two chats, Budi none."""
    made.shop.home.run("DELETE FROM audit")
    made.shop.home.run("DELETE FROM minutes")
    made.shop.home.run(PAST, made.shop.id)
    made.shop.home.run(MARKS, made.shop.id)
    made.staffed()
    first, second, _ = made.askers()
    made.shop.home.run("UPDATE visits SET arrived_us = arrived_us - 900 * 1000000 WHERE room = %s", second.id)
    first.is_given_to("Ani Lestari")
    page = made.open("/ops")
    page.evaluate("token => sessionStorage.setItem('giliran-agent', token)", made.shop.staff_token(BOSS))
    page.reload()
    Ops(page).live().view(view.format(room=first.id))
    return page


def _view(view: str, seen: str) -> Callable[[Stage], Page]:
    def reach(made: Stage) -> Page:
        page = _shown(made, view)
        expect(page.locator(seen).first).to_be_visible()
        return page

    return reach


def _asks(made: Stage) -> Page:
    page = _shown(made, "agents")
    page.locator(".agent-row", has_text="Ani Lestari").locator("[data-act=limit]").click()
    expect(page.locator("#act-effects li").first).to_be_visible()
    return page


def _signs_in(made: Stage) -> Page:
    page = made.open("/ops")
    expect(page.locator("#login")).to_be_visible()
    return page


OPS: dict[str, Callable[[Stage], Page]] = {
    "ops sign in": _signs_in,
    "ops now": _view("now", ".card.tenant"),
    "ops queue": _view("queue", "#queue-rows tr"),
    "ops agents": _view("agents", ".agent-row"),
    "ops asks about an act": _asks,
    "ops room": _view("queue?room={room}", ".timeline"),
    "ops decisions": _view("decisions", ".decision"),
    "ops charts": _view("charts?range=24h", "#charts svg"),
    "ops charts as a table": _view("charts?range=24h&as=table", "#charts-table tr"),
    "ops settings": _view("settings", "#limit-now"),
}
