"""Customers of the day: on the page `/chat`, or on somebody's site with the widget."""

import json
import re
import time
from typing import Any

from playwright.sync_api import Browser, Page, expect

from testbed.walk.people import LIVE_S, Book, Deed, Person
from testbed.walk.shown import CUSTOMER
from testbed.walk.wire import Wire

KEPT = "giliran-chat-shop"
SITE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<h1>A shop</h1><p>Their text</p><script src="{chat}/chat-widget.js"></script>
<script>CallCenterChat.init({{ apiUrl: "{chat}", tenantId: "shop", title: "Shop" }})</script>"""


class Fresh:
    """The page that is loaded anew for each comparison; customers of one kind share it."""

    def __init__(self) -> None:
        self.page: Page | None = None


class CustomerOfTheDay(Person):
    shown_js = CUSTOMER
    words_of_throwing = re.compile("^Remove")

    def __init__(
        self, name: str, browser: Browser, wire: Wire, fresh_wire: Wire, book: Book, *, fresh: Fresh, **more: Any
    ) -> None:
        self.first_name, self.fresh = name, fresh
        super().__init__(name, browser, wire, fresh_wire, book, **more)
        self.page.goto(self.address(wire))

    # --- page or widget

    def address(self, wire: Wire) -> str:
        return f"http://127.0.0.1:{wire.port}/chat?tenant=shop"

    def kept(self, page: Page) -> dict[str, Any]:
        return json.loads(page.evaluate(f"localStorage.getItem('{KEPT}')") or "{}")

    def _keep(self, page: Page, fresh: Page) -> None:
        """The fresh page finds what this one has kept of the chat."""
        known = page.evaluate(f"localStorage.getItem('{KEPT}')")
        fresh.goto(f"http://127.0.0.1:{self.fresh_wire.port}/healthz")
        fresh.evaluate(
            """([name, kept]) => { sessionStorage.clear(); localStorage.clear();
              if (kept) localStorage.setItem(name, kept); }""",
            [KEPT, known],
        )

    def freshened(self, page: Page) -> Page:
        if self.fresh.page is None:
            self.fresh.page = self.new_page(self.new_context())
        fresh = self.fresh.page
        self._keep(page, fresh)
        fresh.goto(self.address(self.fresh_wire))
        self.expect_live(fresh)
        return fresh

    def expect_live(self, page: Page, within_s: float = LIVE_S) -> None:
        page.wait_for_function(
            "() => document.body.dataset.view === 'start' || document.getElementById('live').dataset.state === 'live'",
            timeout=within_s * 1000,
        )

    def _ask_end(self) -> None:
        self.page.locator("#menu-button").click()
        self.page.locator("#end").click()
        self.page.locator("#end-dialog button[value=yes]").click()

    # --- what they can do

    @property
    def room(self) -> str:
        return str(self.kept(self.page).get("session_id", ""))

    def _can(self, part: str) -> bool:
        return self.page.locator(part).is_visible()

    def deeds(self) -> list[tuple[int, Deed]]:
        if self.is_away:
            return []
        if self._can("#start-view"):
            return [] if self.is_cut else [(1, self.starts)]
        writes = self._can("#composer")
        sends = [
            (8 if writes else 0, self.says),
            (3 if writes else 0, self.types),
            (3 if self._can("#away-form") else 0, self.leaves_a_message),
        ]
        if self.is_cut:
            return sends
        over = self._can("#ending")
        return [
            *sends,
            (2 if writes else 0, self.attaches),
            (2 if writes else 0, self.pastes),
            (2, self.reloads),
            (2, self.turns_a_second_tab),
            (2 if not over and self._can_end() else 0, self.ends),
            (4 if self._can("#rating") else 0, self.rates),
            (4 if over else 0, self.starts_anew),
            (1 if writes else 0, self.reads_back),
        ]

    def _can_end(self) -> bool:
        return self._can("#menu-button")

    def starts(self) -> None:
        self.name = f"{self.first_name} {self.book.number()}"
        text = f"{self.name} asks {self.book.number()}"
        self.page.locator("#name").fill(self.name)
        self.page.locator("#email").fill(f"{self.first_name.lower()}@example.com")  # some have been here before
        self.page.locator("#question").fill(text)
        self.page.locator("#start").click()
        expect(self.page.locator("#log")).to_contain_text(text, timeout=20_000)
        self._says(text, self.name, "customer")
        self.drafts.clear()

    def says(self) -> None:
        text = f"{self.name} says {self.book.number()}"
        self.page.locator("#text").fill(text)
        self.page.locator("#text").press("Enter")
        self._says(text, self.name, "customer")
        self.drafts.clear()

    def types(self) -> None:
        text = self.random.choice(["", f"{self.name} draft {self.book.number()}"])
        self.page.locator("#text").fill(text)
        self.drafts = {(self.room, ""): text}

    def leaves_a_message(self) -> None:
        text = f"{self.name} leaves {self.book.number()}"
        self.page.locator("#away-text").fill(text)
        self.page.locator("#away-form button[type=submit]").click()
        self._says(text, self.name, "customer")

    def attaches(self) -> None:
        self.page.locator("#files").set_input_files(self._file(self.name))
        self._sends_files()

    def pastes(self) -> None:
        self._paste(self.page, self.name, self.book.number())
        self._sends_files()

    def _sends_files(self) -> None:
        """Alone: what was typed goes with them, else."""
        self.page.locator("#text").fill("")
        self.page.locator("#text").press("Enter")
        self.drafts.clear()

    def reloads(self) -> None:
        self.page.reload()
        self.expect_live(self.page)
        self.has_scrolled = False

    def turns_a_second_tab(self) -> None:
        if self.tabs:
            self.tabs.pop().close()
            return
        tab = self.new_page(self.context)
        tab.goto(self.address(self.wire))
        self.expect_live(tab)
        self.tabs.append(tab)

    def ends(self) -> None:
        self._ask_end()
        expect(self.page.locator("#ending")).to_be_visible(timeout=20_000)

    def rates(self) -> None:
        stars = self.random.randint(1, 5)
        self.page.locator(f"#stars input[value='{stars}']").check(force=True)
        self.page.locator("#rating button[type=submit]").click()
        expect(self.page.locator("#rated")).to_be_visible(timeout=20_000)

    def starts_anew(self) -> None:
        self.page.locator("#new-chat").click()
        self.starts()

    def reads_back(self) -> None:
        self.page.locator("#scroll").evaluate("node => { node.scrollTop = 0; }")
        self.has_scrolled = True

    def goes_away(self, for_s: float) -> None:
        """Closes everything; what was kept in the browser stays."""
        for tab in self.tabs:
            tab.close()
        self.tabs.clear()
        self.page.close()
        self.is_away, self.due_at = True, time.monotonic() + for_s
        self.drafts.clear()

    def comes_back(self) -> None:
        self.page = self.new_page(self.context)
        self.page.goto(self.address(self.wire))
        self.expect_live(self.page)
        self.is_away = self.has_scrolled = False

    # --- what is compared

    def foreign(self, shown: Any) -> str:
        said = [line for line in shown["log"] if line.startswith("message")]
        others = [line for line in said if self.name not in line]
        return f"of another conversation than {self.name}'s: {others}" if others else ""

    def own_wrong(self, page: Page, own: Any) -> str:
        draft = self.drafts.get((self.room, ""), "")
        if page is self.page and self._can("#composer") and own["text"] != draft:
            return f"the draft is {own['text']!r}, not {draft!r}"
        if own["dialogs"]:
            return "a dialog was left open"
        if not own["atEnd"] and not self.has_scrolled:
            return "is not at its end"
        return ""


class WidgetOfTheDay(CustomerOfTheDay):
    def __init__(self, *args: Any, site: str, **more: Any) -> None:
        self.site = site
        super().__init__(*args, **more)
        self._opens()

    def address(self, wire: Wire) -> str:
        return f"{self.site}/?{wire.port}"

    def _name_kept(self, wire: Wire) -> str:
        return f"callcenter-chat http://127.0.0.1:{wire.port}/api/v1/ shop"

    def kept(self, page: Page) -> dict[str, Any]:
        return json.loads(page.evaluate("name => localStorage.getItem(name)", self._name_kept(self.wire)) or "{}")

    @property
    def room(self) -> str:
        return str(self.kept(self.page).get("id", ""))

    def _keep(self, page: Page, fresh: Page) -> None:
        name, fresh_name = self._name_kept(self.wire), self._name_kept(self.fresh_wire)
        known, was_open = page.evaluate("name => [localStorage.getItem(name), sessionStorage.getItem(name)]", name)
        fresh.goto(f"{self.site}/nothing")
        fresh.evaluate(
            """([name, known, open]) => { sessionStorage.clear(); localStorage.clear();
              if (known) localStorage.setItem(name, known); if (open) sessionStorage.setItem(name, open); }""",
            [fresh_name, known, was_open],
        )

    def expect_live(self, page: Page, within_s: float = LIVE_S) -> None:
        page.wait_for_function(
            """() => { const root = document.getElementById('callcenter-chat')?.shadowRoot;
              return root && ['start', 'chat'].includes(root.getElementById('scroll').dataset.view)
                && root.getElementById('banner').hidden; }""",
            timeout=within_s * 1000,
        )

    def _ask_end(self) -> None:
        self.page.locator("#end").click()
        self.page.locator(".ask .danger").click()

    def _can_end(self) -> bool:
        return self._can("#end")

    def deeds(self) -> list[tuple[int, Deed]]:
        if self.is_away:
            return []
        if not self._can("#chat-view"):
            return [(3, self._opens), *([] if self.is_cut else [(1, self.reloads)])]
        return [*super().deeds(), (2, self._closes)]

    def _opens(self) -> None:
        self.page.locator("#launcher").click()
        self.has_scrolled = False

    def _closes(self) -> None:
        self.page.locator("#close").click()

    def comes_back(self) -> None:
        super().comes_back()
        if not self._can("#chat-view"):
            self._opens()
