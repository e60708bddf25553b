"""The page of a report in a browser: on a desk, on a phone, on paper, in both languages and themes."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from db.report import Visit
from testbed import week
from testbed.axe import grave_faults
from views.reports import period as periods
from views.reports import report
from views.reports.figures import STARS, Report, Span, Tally
from views.reports.page import LANGUAGES, as_html

LONG = "Bartholomew Montgomery-Featherstonehaugh <b>of the northern regional office</b>"
WIDE = "document.documentElement.scrollWidth - innerWidth"
SEEN = """[...document.querySelectorAll('figure.chart')].map(
  figure => [...figure.querySelectorAll('svg')].filter(svg => svg.getClientRects().length).length)"""
OVERLAPS = """() => {
  const drawn = [...document.querySelectorAll('figure.chart svg')].filter(svg => svg.getClientRects().length);
  return drawn.flatMap(svg => {
    const boxes = [...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect());
    boxes.sort((a, b) => a.top - b.top || a.left - b.left);
    const isOver = (box, n) => Math.abs(box.top - boxes[n].top) < 2 && box.left < boxes[n].right - 1;
    return boxes.slice(1).filter(isOver).map(() => svg.ariaLabel);
  });
}"""


def visit(stay: week.Stay) -> Visit:
    came, over = stay.arrived.timestamp(), stay.closed.timestamp()
    had = stay.assigned.timestamp() if stay.assigned else None
    waited, took = (had - came, over - had) if had else (None, None)
    return Visit(stay.queue, stay.agent or "", came, had, over, waited, took, had is None)


def reported(text: str) -> Report:
    """A week that is made up, or a month of which only that week is known."""
    period = periods.of_week(text) if "W" in text else periods.of_month(text)
    monday = datetime(2026, 11, 23, tzinfo=week.ZONE)
    since, until = period.bounds(week.ZONE)
    now = until.replace(hour=23)
    span = Span(period, week.ZONE, since, until, max(since, monday), now, now, report.OF_HOURS)
    tally = Tally(span, 60.0).add(map(visit, week.happened(monday)))
    names = {**week.AGENTS, "ani": LONG}
    stars = {agent: dict.fromkeys(STARS, 9) for agent in week.AGENTS}
    counted = (tally.total(), tally.days(), tally.hours(), tally.queues(), tally.agents(names, stars))
    return Report("senja", "Toko Senja", span, 60.0, *counted, dict.fromkeys(STARS, 36), None, [], [])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    made = {
        f"{text}-{language}": folder / f"{text}-{language}.html"
        for text in ("2026-W48", "2026-11")
        for language in LANGUAGES
    }
    for key, path in made.items():
        text, _, language = key.rpartition("-")
        path.write_text(as_html([reported(text)], language), encoding="utf-8")
    return made


def opened(browser: Browser, path: Path, asked: list[str], **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("wide", [320, 360, 820, 1280])
def test_a_report_fits_every_screen_and_asks_for_nothing(browser: Browser, pages: dict[str, Path], wide: int) -> None:
    for path in pages.values():
        asked: list[str] = []
        page = opened(browser, path, asked, viewport={"width": wide, "height": 740})
        assert page.evaluate(WIDE) <= 0
        assert set(page.evaluate(SEEN)) == {1}, "each chart is drawn once"
        assert page.evaluate(OVERLAPS) == []
        assert page.locator("tbody b").count() == 0, "names are text"
        assert asked == [path.as_uri()]
        page.context.close()


@pytest.mark.parametrize("wide", [360, 1280])
def test_a_report_can_be_read_by_everybody_in_both_themes(browser: Browser, pages: dict[str, Path], wide: int) -> None:
    page = opened(browser, pages["2026-11-en"], [], viewport={"width": wide, "height": 740}, bypass_csp=True)
    assert grave_faults(page) == []
    page.context.close()


def test_a_report_is_printed_on_a4_in_black_on_white_also_from_a_dark_screen(
    browser: Browser, pages: dict[str, Path]
) -> None:
    page = opened(browser, pages["2026-W48-id"], [], viewport={"width": 1280, "height": 900}, color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark
    sheets = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed)
    assert {(round(float(wide)), round(float(high))) for wide, high in sheets} == {(595, 842)} and len(sheets) <= 4
    assert len(printed) < 1_000_000
    page.context.close()
