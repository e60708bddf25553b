"""Agents and supervisors of the day, on the agent's page; some on a phone."""

import json
import re
from contextlib import suppress
from typing import Any

from playwright.sync_api import Browser, Error, Locator, Page, expect

from testbed.agentpages import SIGNED_IN
from testbed.chathouse import Shop
from testbed.walk.people import LIVE_S, Book, Deed, Person
from testbed.walk.shown import AGENT
from testbed.walk.wire import Wire

# Answers of the server come as late as a step wants it, each by another time: so they overtake one another.
LATE = """window.lateMs = 0; const inTime = window.fetch; window.fetch = async (...asked) => {
  const ms = Math.random() * window.lateMs; const answer = await inTime(...asked);
  if (ms) await new Promise(done => setTimeout(done, ms)); return answer; };"""
# In the fresh page: the same list. Not by clicks: on a phone the list may lie behind the conversation.
CHOOSE = """([tab, show]) => { document.getElementById(`tab-${tab}`).click();
  document.querySelector(`[data-show=${show}]`).click(); }"""
CHOSEN = """() => [document.querySelector('#tabs [aria-selected=true]').dataset.tab,
  document.querySelector('[data-show][aria-pressed=true]').dataset.show]"""
OPEN_ROOM = "location.hash.slice(1)"


class Staff(Person):
    shown_js = AGENT
    words_of_throwing = re.compile("^(Discard|Remove)")

    def __init__(
        self, name: str, browser: Browser, wire: Wire, fresh_wire: Wire, book: Book, *, shop: Shop, **more: Any
    ) -> None:
        self.token = shop.token(name)
        super().__init__(name, browser, wire, fresh_wire, book, **more)
        self.page.goto(self.address(wire))
        self.expect_live(self.page)
        self.fresh: Page | None = None

    def address(self, wire: Wire) -> str:
        return f"http://127.0.0.1:{wire.port}/agent"

    def new_page(self, context: Any) -> Page:
        page = super().new_page(context)
        page.add_init_script(SIGNED_IN % json.dumps(self.token))
        page.add_init_script(LATE)
        return page

    def expect_live(self, page: Page, within_s: float = LIVE_S) -> None:
        page.wait_for_function(
            "() => !document.getElementById('desk').hidden && document.getElementById('live').dataset.state === 'live'",
            timeout=within_s * 1000,
        )

    def freshened(self, page: Page) -> Page:
        if self.fresh is None:
            self.fresh = self.new_page(self.new_context())
        room = page.evaluate(OPEN_ROOM)
        self.fresh.goto(self.address(self.fresh_wire) + (f"#{room}" if room else ""))
        self.expect_live(self.fresh)
        self.fresh.evaluate(CHOOSE, page.evaluate(CHOSEN))
        return self.fresh

    # --- what the page offers

    @property
    def room(self) -> str:
        return str(self.page.evaluate(OPEN_ROOM))

    @property
    def customer(self) -> str:
        return self.page.locator("#room-name").inner_text()

    @property
    def kind(self) -> str:
        return str(self.page.locator("#composer").get_attribute("data-kind"))

    def _has(self, button: str) -> bool:
        return self.page.locator(f"#{button}").is_visible()

    def _may_reply(self) -> bool:
        return (
            self._has("kind-reply")
            and self._has("composer")
            and not self.page.locator("#bar[data-kind=stuck]").is_visible()
        )

    def _offers(self, deed: str) -> bool:
        """As a button, or on a phone in the menu."""
        in_menu = self.page.locator(f"[data-deed={deed}]").get_attribute("hidden") is None
        return self._has(deed) or (in_menu and self._has("more-button"))

    def _press(self, deed: str) -> None:
        if self._has(deed):
            return self.page.locator(f"#{deed}").click()
        self.page.locator("#more-button").click()
        return self.page.locator(f"[data-deed={deed}]").click()

    def deeds(self) -> list[tuple[int, Deed]]:
        in_room = self._has("room")
        reply, note = in_room and self._may_reply(), in_room and self._has("kind-note")
        anywhere = [
            (10, self.opens),
            (9 if reply else 0, self.says),
            (4 if note else 0, self.types),
            (2, self.turns),
        ]
        if self.is_cut:
            return anywhere
        on_a_phone = self._has("back")
        return [
            *anywhere,
            (4, self.hurries),
            (8 if self._has("pick") else 0, self.picks),
            (1 if self._has("take") else 0, self.takes),
            (3 if note else 0, self.notes),
            (2 if reply else 0, self.attaches),
            (2 if reply else 0, self.pastes),
            (2 if self._offers("give") else 0, self.gives),
            (2 if self._offers("end") else 0, self.ends),
            (1 if in_room else 0, self.looks_at_details),
            (1, self.searches),
            (1, self.changes_presence) if not (on_a_phone and in_room) else (0, self.turns),
            (2, self.reloads),
            (1 if in_room else 0, self.leaves),
            (2 if in_room else 0, self.reads_back),
            (1 if not self.tabs else 3, self.turns_a_second_tab),
        ]

    # --- what they do

    def opens(self) -> None:
        if row := self._some_row():
            self._open(row)
            self.page.locator("#loading").wait_for(state="hidden") if not self.is_cut else None

    def _some_row(self) -> Locator | None:
        """One of the first of the list; if it is empty, of another list."""
        self._to_list()
        for tab in self.random.sample(["mine", "queue", "all"], 3):
            rows = self.page.locator("#rows .row")
            if count := rows.count():
                return rows.nth(self.random.randrange(min(count, 6)))
            self.page.locator(f"#tab-{tab}").click()
        return None

    def _to_list(self) -> None:
        if self._has("details-back"):
            self.page.locator("#details-back").click()
        if self._has("back"):
            self.page.locator("#back").click()

    def _open(self, row: Locator) -> None:
        name, key = row.locator(".name").inner_text(), row.get_attribute("data-key")
        self.book.tell(f"  opens {name}")
        self.page.locator(f"#row-{key}").click()
        expect(self.page.locator("#room-name")).to_have_text(name)
        self.has_scrolled = False

    def hurries(self) -> None:
        """From one to the next before the answers are there; writing on the way."""
        self.page.evaluate("window.lateMs = 400")
        for _ in range(self.random.randint(2, 4)):
            if not (row := self._some_row()):
                break
            self._open(row)
            deed = self.random.choice([None, self.says, self.notes, self.types, self.attaches])
            if deed and self._has("kind-note") and (deed in (self.types, self.notes) or self._may_reply()):
                self.book.tell(f"  {deed.__name__}")
                deed()
        self.page.evaluate("window.lateMs = 0")

    def picks(self) -> None:
        self.page.locator("#pick").click()

    def takes(self) -> None:
        self.page.locator("#take").click()

    def says(self) -> None:
        self.page.locator("#kind-reply").click()
        text = f"to {self.customer}: {self.book.number()}"
        self.page.locator("#text").fill(text)
        self.page.keyboard.press("Enter")
        self._says(text, self.customer, "agent")
        self.drafts.pop((self.room, "reply"), None)

    def notes(self) -> None:
        self.page.locator("#kind-note").click()
        text = f"about {self.customer}: {self.book.number()}"
        self._fill(text)
        if self.page.locator("#send").is_enabled():
            self.page.keyboard.press("Enter")
            self._says(text, self.customer, "note")
            self.drafts.pop((self.room, "note"), None)

    def types(self) -> None:
        if not self.page.locator("#bar[data-kind=stuck]").is_visible():
            self._fill(self.random.choice(["", f"draft for {self.customer}: {self.book.number()}"]))

    def _fill(self, text: str) -> None:
        self.page.locator("#text").fill(text)
        self.drafts[(self.room, self.kind)] = text

    def attaches(self) -> None:
        self.page.locator("#kind-reply").click()
        self.page.locator("#file").set_input_files(self._file(self.customer))
        self._sends_files()

    def pastes(self) -> None:
        self.page.locator("#kind-reply").click()
        self._paste(self.page, self.customer, self.book.number())
        self._sends_files()

    def _sends_files(self) -> None:
        """Alone: what was typed goes with them, else."""
        self._fill("")
        self.page.locator("#text").press("Enter")

    def gives(self) -> None:
        self._press("give")
        people = self.page.locator("#give-people button")
        if (count := people.count()) and self.random.random() < 0.8:
            people.nth(self.random.randrange(count)).click()
            expect(self.page.locator("#give-dialog")).to_be_hidden()
        else:
            self.page.locator("#give-dialog").press("Escape")

    def ends(self) -> None:
        self._press("end")
        self.page.locator("#end-yes").click()

    def turns(self) -> None:
        self._to_list()
        tab = self.random.choice(["mine", "queue", "all"])
        self.page.locator(f"#tab-{tab}").click()
        if tab == "all":
            self.page.locator(f"[data-show={self.random.choice(['open', 'open', 'ended'])}]").click()

    def looks_at_details(self) -> None:
        if not self.page.locator("#details-back").is_visible():
            return self.page.locator("#details-button").click()
        return self.page.locator("#details-back").click()

    def searches(self) -> None:
        """And opens what was found."""
        self._to_list()
        self.page.locator("#search").fill(self.random.choice(["says", "asks", "to", "about"]))
        found = self.page.locator("#found-rows button")
        with suppress(Error):
            found.first.wait_for(timeout=5000)
            found.nth(self.random.randrange(min(5, found.count()))).click()
        self._to_list()
        self.page.locator("#search").fill("")

    def changes_presence(self) -> None:
        self.page.locator("#me-button").click()
        self.page.locator(f"[data-wish={self.random.choice(['online', 'online', 'away'])}]").click()

    def reloads(self) -> None:
        self.page.reload()
        self.expect_live(self.page)
        self.has_scrolled = False

    def leaves(self) -> None:
        if self._has("back"):
            return self._to_list()
        self.page.locator("#room-name").focus()
        self.page.keyboard.press("Escape")
        return expect(self.page.locator("#room")).to_be_hidden()

    def reads_back(self) -> None:
        self.page.evaluate("() => { document.getElementById('log-box').scrollTop = 0; }")
        self.has_scrolled = True

    def turns_a_second_tab(self) -> None:
        """It looks at what the first one looks at."""
        if self.tabs:
            self.tabs.pop().close()
            return
        tab = self.new_page(self.context)
        tab.goto(self.page.url)
        self.expect_live(tab)
        self.tabs.append(tab)

    # --- what is compared

    def differs(self, shown: Any, told: Any) -> str:
        fresh = {row["id"]: row for row in told["page"]["rows"]}
        for row in shown["page"]["rows"]:
            if "typing" in row["is"] and row["id"] in fresh:  # of this moment; a fresh page has not heard it
                row.update(said=fresh[row["id"]]["said"], **{"is": fresh[row["id"]]["is"]})
        if shown["page"]["room"] and told["page"]["room"] and shown["page"]["room"]["bar"] == "stuck":
            told["page"]["room"]["bar"] = "stuck"  # a reply was begun; the fresh page has no draft
        return super().differs(shown, told)

    def foreign(self, shown: Any) -> str:
        room = shown["room"]
        if not room:
            return ""
        rows = [line for line in room["log"] if line.split("|")[0].split()[0] in ("msg", "note")]
        others = [line for line in rows if room["name"] not in line]
        if shown["details"] and shown["details"]["name"] != room["name"]:
            return f"shows {room['name']} beside {shown['details']['name']}"
        return f"of another conversation than {room['name']}'s: {others}" if others else ""

    def own_wrong(self, page: Page, own: Any) -> str:
        if page is not self.page:
            return ""
        draft = self.drafts.get((self.room, own["kind"]), "")
        if self.room and self._has("text") and own["text"] != draft:
            return f"the draft is {own['text']!r}, not {draft!r}"
        if own["dialogs"]:
            return "a dialog was left open"
        return "" if own["atEnd"] or self.has_scrolled else "is not at its end"
