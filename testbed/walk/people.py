"""One person of the day and their page: what all of them have, and the book in which everything written is kept."""

import re
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, FilePayload, Page

from testbed.chatpages import PIXEL
from testbed.chromium import VIOLATIONS
from testbed.walk.shown import unequal
from testbed.walk.wire import Wire

LIVE_S = 45.0  # a page that tries again has waits of up to 15 s between its tries, and 6 s for each
SETTLED_S = 20.0
PASTE = """(node, name) => { const bytes = Uint8Array.from(atob('%s'), c => c.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: 'image/png' }));
  node.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })); }"""
Deed = Callable[[], None]


@dataclass
class Said:
    """One text that somebody sent. Each is there once, and names the conversation that it is meant for."""

    text: str
    room: str  # its customer's name
    by: str  # customer, agent, note
    person: str


@dataclass
class Book:
    random: Random
    tell: Callable[[str], None]
    said: list[Said] = field(default_factory=list)
    thrown_away: set[str] = field(default_factory=set)  # by their writers: they were told that these were not sent
    numbers: int = 0

    def number(self) -> int:
        self.numbers += 1
        return self.numbers


class Person:
    shown_js = ""

    def __init__(self, name: str, browser: Browser, wire: Wire, fresh_wire: Wire, book: Book, **options: Any) -> None:
        self.name, self.browser, self.wire, self.fresh_wire, self.book = name, browser, wire, fresh_wire, book
        self.random = book.random
        self.options = {"locale": "en-GB", "reduced_motion": "reduce", **options}
        self.wrong: list[str] = []
        self.context = self.new_context()
        self.page = self.new_page(self.context)
        self.tabs: list[Page] = []
        self.is_away = False  # no page of theirs is open
        self.is_cut = False
        self.due_at = 0.0  # when they, or their network, come back
        self.drafts: dict[tuple[str, str], str] = {}  # (room, kind) → what was typed there and neither sent nor saved
        self.has_scrolled = False

    # --- its pages

    def new_context(self) -> BrowserContext:
        context = self.browser.new_context(**self.options)
        context.add_init_script(VIOLATIONS)
        return context

    def new_page(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.wrong.append(error.stack or str(error)))
        page.on("dialog", self._leave)
        return page

    def _on_console(self, said: ConsoleMessage) -> None:
        if said.type == "error" and not any(w in said.text for w in ("net::", "status of", "WebSocket", "CORS")):
            self.wrong.append(said.text)

    def _leave(self, dialog: Dialog) -> None:
        dialog.accept()

    @property
    def kind(self) -> str:
        """Of what is written."""
        return ""

    @property
    def room(self) -> str:
        """The id of the conversation that is shown, or nothing."""
        raise NotImplementedError

    def address(self, wire: Wire) -> str:
        raise NotImplementedError

    def expect_live(self, page: Page, within_s: float = LIVE_S) -> None:
        raise NotImplementedError

    def freshened(self, page: Page) -> Page:
        """A fresh page that looks at what `page` looks at."""
        raise NotImplementedError

    # --- what everybody can do

    def deeds(self) -> list[tuple[int, Deed]]:
        """Those that the page offers at this moment, and how often each is done."""
        raise NotImplementedError

    def loses_the_network(self, for_s: float) -> None:
        self.wire.cut()
        if self.random.random() < 0.5:  # else nobody is told: the air is silent
            self.context.set_offline(True)
        self.is_cut, self.due_at = True, time.monotonic() + for_s

    def gets_the_network_back(self) -> None:
        self.wire.mend(forgets=self.random.random() < 0.5)
        self.context.set_offline(False)
        self.is_cut = False

    def _paste(self, page: Page, name: str, number: int) -> None:
        base = b64encode(PIXEL).decode()
        page.locator("#text").evaluate(PASTE % base, f"{name} {number}.png")

    def _file(self, name: str) -> FilePayload:
        return FilePayload(name=f"{name} {self.book.number()}.txt", mimeType="text/plain", buffer=b"text")

    def _says(self, text: str, room: str, by: str) -> None:
        self.book.said.append(Said(text, room, by, self.name))

    def starts_over(self) -> None:
        self.wrong.clear()
        for tab in self.tabs:
            tab.close()
        self.tabs.clear()
        self.page.reload()
        self.expect_live(self.page)
        self.drafts = {key: text for key, text in self.drafts.items() if key[0] != self.room}
        self.drafts[(self.room, self.kind)] = self.page.locator("#text").input_value()
        self.has_scrolled = False

    # --- what is compared

    def pages(self) -> list[Page]:
        return [] if self.is_away else [self.page, *self.tabs]

    def compare(self) -> None:
        if self.is_away or self.is_cut:
            return
        for page in self.pages():
            self._settle(page)
        assert not self.wrong, f"{self.name}: an error in the page: {self.wrong}"

    def _settle(self, page: Page) -> None:
        self.expect_live(page)
        fresh = self.freshened(page)
        begun = time.monotonic()
        while wrong := self._difference(page, fresh):
            if time.monotonic() - begun > SETTLED_S:
                raise AssertionError(f"{self.name}: {wrong}")
            page.wait_for_timeout(50)
        fresh.goto(f"http://127.0.0.1:{self.fresh_wire.port}/healthz")  # nobody is there any more

    def _difference(self, page: Page, fresh: Page) -> str:
        shown, told = page.evaluate(self.shown_js), fresh.evaluate(self.shown_js)
        if shown["own"]["failed"]:
            return self.throw_away(page, shown["own"]["failed"]) or "something could not be sent"
        if shown["busy"] or told["busy"]:
            return f"does not come to rest: {shown['busy']} (a fresh page: {told['busy']})"
        return self.foreign(shown["page"]) or self.own_wrong(page, shown["own"]) or self.differs(shown, told)

    def differs(self, shown: Any, told: Any) -> str:
        return unequal(shown["page"], told["page"])

    def throw_away(self, page: Page, failed: list[str]) -> str:
        """As a person does who is told that something was not sent."""
        self.book.thrown_away.update(failed)
        self.book.tell(f"  throws away {failed}")
        page.get_by_role("button", name=self.words_of_throwing).first.click()
        return ""

    words_of_throwing = re.compile("")

    def foreign(self, shown: Any) -> str:
        """What belongs to another conversation than the one that is shown."""
        raise NotImplementedError

    def own_wrong(self, page: Page, own: Any) -> str:
        raise NotImplementedError

    def end(self) -> None:
        self.context.close()
