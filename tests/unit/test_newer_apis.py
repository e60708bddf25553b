"""What the pages and the widget may use of browsers: what Safari 16 and all browsers of two years ago have.

docs/chat.md names these browsers.
What is newer stands here with its first Safari. A file may use one where it does without it as well.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.variants import each

PAGES = Path(__file__).resolve().parents[2] / "sidecar" / "pages"
GUARDED = {  # what is used, and left out where it is missing
    ("host.js", "popover"),
    ("host.js", "CSSStyleSheet"),
    ("tones.js", "userActivation"),
}
NEWER = {
    "JS": {
        "URL.canParse": r"URL\.(?:canParse|parse)\b",  # 17
        "OffscreenCanvas": r"OffscreenCanvas",  # 16.4
        "checkVisibility": r"\.checkVisibility\(",  # 17.4
        "lookbehind": r"\(\?<[=!]",  # 16.4: a file that has one is not even read
        "class static block": r"^\s*static \{",  # 16.4
        "flag v": r"/[dgimsuy]*v[dgimsuy]*[;,.)]",  # 17
        "popover": r"[sS]howPopover|hidePopover|togglePopover|\.popover\b|:popover-open",  # 17
        "CSSStyleSheet": r"CSSStyleSheet|adoptedStyleSheets",  # 16.4
        "userActivation": r"userActivation",  # 16.4
        "AbortSignal.any": r"AbortSignal\.any",  # 17.4
        "groupBy": r"(?:Object|Map)\.groupBy",  # 17.4
        "withResolvers": r"Promise\.(?:withResolvers|try)",  # 17.4
        "fromAsync": r"Array\.fromAsync",  # 16.4
        "sets": r"\.(?:union|intersection|difference|symmetricDifference|isSubsetOf|isSupersetOf)\(",  # 17
        "iterator helpers": r"\.(?:values|keys|entries)\(\)\s*\.(?:map|filter|take|drop|some|every|find)\(",  # 18.4
        "RegExp.escape": r"RegExp\.escape",  # 18.2
        "view transitions": r"startViewTransition",  # 18
        "idle": r"requestIdleCallback|\bscheduler\.|\bnavigation\.",  # none
        "scrollend": r"scrollend",  # 26.2
        "DurationFormat": r"DurationFormat",  # 16.4
        "import attributes": r'\bwith \{ type: "(?!text")',  # 17.2; "text" is joined (sidecar/web/widget.py)
        "set HTML": r"setHTML|parseHTMLUnsafe",
    },
    "CSS": {
        "light-dark": r"light-dark\(",  # 17.5: see tokens.css
        "nesting": r"^\s*&|\{[^{}]*&[.:\s]",  # 16.5
        "@property": r"@property|@scope|@starting-style|@view-transition|@position-try",
        "popover": r":popover-open|\[popover",
        "selectors": r":dir\(|:user-(?:in)?valid|:open\b|:state\(",  # 16.4 and later
        "ranges": r"@media[^{]*[<>]",  # 16.4
        "relative colours": r"(?:rgb|hsl|oklch|color)\(from ",  # 16.4
        "lines": r"\d(?:lh|rlh)\b",  # 16.4
        "anchors": r"anchor\(|position-area|interpolate-size|calc-size\(",
    },
}


def found() -> Iterator[tuple[str, str]]:
    for path in sorted(PAGES.rglob("*")):
        for name, pattern in NEWER.get(path.suffix[1:].upper(), {}).items():
            if re.search(pattern, _code(path), re.M):
                yield path.name, name


def _code(path: Path) -> str:
    """Without comments, which may name what they do without."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    return re.sub(r"(?:^|\s)//.*", "", text)


def test_nothing_is_used_that_a_supported_browser_lacks():
    assert set(found()) - GUARDED == set()


def test_what_is_guarded_is_still_there():
    assert GUARDED - set(found()) == set()


@each("page", sorted(PAGES.glob("*.html")), ids=lambda path: path.name)
def test_no_page_needs_a_popover_or_an_address_from_the_root(page):
    text = page.read_text()
    if page.name == "index.html":  # its script takes its links below the path: see tests/pages/test_behind_a_path.py
        text = re.sub(r'<a [^>]*href="/', "<a ", text)
    assert re.findall(r"\spopover\b|popovertarget", text) == []
    assert re.findall(r'(?:href|src|action)="/', text) == [], "the chat may stand behind a path"
