"""One look for all pages: scales of space, text and corners, one set of icons."""

import re
from pathlib import Path

from tests.variants import each

PAGES = Path(__file__).resolve().parents[2] / "sidecar" / "pages"
SHEETS = [*sorted((PAGES / "css").glob("*.css")), PAGES / "widget" / "look.css"]
DECLARED = re.compile(r"(?<![\w-])((?:padding|margin|gap|row-gap|column-gap|font|border)[a-z-]*): ([^;{}]+)")
SCALED = re.compile(r"(?:padding|margin|gap|row-gap|column-gap)[a-z-]*|font|font-size|font-weight|border-.*radius")
MEASURE = re.compile(r"(?<![\w.-])(?!1px)[\d.]+(?:px|rem)|(?<![\w.-])[1-9]00\b(?!%)")
SYMBOL = re.compile(r'<symbol id="(?:i-)?(\w+)" viewBox="0 0 24 24">(.*?)</symbol>')
ICONS = dict(SYMBOL.findall((PAGES / "icons.svg").read_text()))


@each("sheet", [sheet for sheet in SHEETS if sheet.name != "tokens.css"], ids=lambda path: path.name)
def test_spaces_texts_and_corners_are_of_the_scales(sheet):
    own = [
        f"{name}: {value}"
        for name, value in DECLARED.findall(sheet.read_text())
        if SCALED.fullmatch(name) and MEASURE.search(value)
    ]
    assert own == []


@each("page", ["agent.html", "chat.html", "ops.html"])
def test_a_page_brings_icons_of_the_one_set(page):
    """Its own: also without a connection they are there."""
    own = dict(SYMBOL.findall((PAGES / page).read_text()))
    assert own and own.items() <= ICONS.items()


def test_the_widget_draws_icons_of_the_one_set():
    """As one path each, since it can't use a sprite on somebody else's page."""
    own = re.findall(r'^  (\w+): "(.*)",$', (PAGES / "widget" / "icons.js").read_text(), re.M)
    assert own and {name for name, _ in own} <= ICONS.keys()
    for name, path in own:
        if drawn := re.fullmatch(r'<path d="([^"]*)"/>', ICONS[name]):
            assert _numbers(path) == _numbers(drawn[1]), name


def _numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", path)]


def test_every_icon_that_a_page_names_is_there():
    names = [
        name
        for page in PAGES.glob("*.html")
        for name in re.findall(r'<use[^>]* href="[^"]*#(?:i-)?(\w+)"', page.read_text())
    ]
    names += [name for file in PAGES.rglob("*.js") for name in re.findall(r'icon\("(\w+)"', file.read_text())]
    assert set(names) - {"text"} <= ICONS.keys()
