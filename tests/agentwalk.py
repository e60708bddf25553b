"""Two agents walk at random through everything that their pages can do. After each step each page has to show what a
fresh page of the same agent shows, and nothing that belongs to another conversation.

    walk = Walk(desk, shop, seed=7)
    for _ in range(200):
        walk.step()

Each text names the customer whose conversation it is in: so a row in the wrong place is known without the fresh page.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Error, FilePayload, expect

from tests.agentpages import Customer, Desk, Line, on_a_line
from tests.chathouse import Shop

AGENTS = {"ani": "agent@demo.com", "budi": "agent2@demo.com"}
FULL_NAMES = {"ani": "Ani Lestari", "budi": "Budi Santoso"}
FIRST_NAMES = ("Maya", "Joko", "Dewi", "Rudi", "Sari", "Tono", "Wati", "Agus")
OPEN_MOST = 7
LOW = {"width": 1440, "height": 560}  # so that conversations are longer than what is seen of them
SETTLED_S = 15.0
# Answers of the server come as late as a step wants it, each by another time: so they overtake one another.
LATE = """window.lateMs = 0; const inTime = window.fetch; window.fetch = async (...asked) => {
  const ms = Math.random() * window.lateMs; const answer = await inTime(...asked);
  if (ms) await new Promise(done => setTimeout(done, ms)); return answer; };"""
# What a person sees of the page. Left out: what goes on by itself (times of waiting), what only this page knows (what
# is chosen, what was given just now).
SEEN = """() => {
  const text = node => node?.innerText.replace(/\\s+/g, ' ').replace(/\\b\\d+ (s|min|h)\\b/g, '').trim() ?? '';
  const at = id => document.getElementById(id), shown = node => node && node.checkVisibility();
  const all = selector => [...document.querySelectorAll(selector)];
  const row = node => ({
    id: node.dataset.key, name: text(node.querySelector('.name')), said: text(node.querySelector('.said')),
    mark: text(node.querySelector('[data-part=mark]:not(.accent)')), unread: node.classList.contains('unread') });
  const line = node => [node.className.replace(/ (flash|pending)/g, ''), text(node.querySelector('.by')),
    text(node.querySelector('.body, [data-part=text]')), [...node.querySelectorAll('.file-name')].map(text).join(),
    node.querySelector('img')?.alt ?? '', node.querySelector('.mark-box')?.dataset.mark ?? ''].join('|');
  const open = shown(at('room')), deeds = ['pick', 'take', 'give', 'end'];
  const stuck = open && at('bar').dataset.kind === 'stuck' && !at('bar').hidden;
  const room = () => ({
    name: text(at('room-name')), state: text(at('room-state')), letters: text(at('room-avatar')),
    deeds: deeds.filter(id => !at(id).hidden), asleep: deeds.filter(id => at(id).ariaDisabled === 'true'),
    bar: stuck ? 'stuck' : shown(at('bar')) ? text(at('bar-text')) : '',
    log: [...at('log').children].map(line), atEnd: at('to-end').hidden });
  const details = () => ({
    name: text(at('d-name')), notes: all('#notes li').map(text), visits: all('#visits li').map(text),
    facts: all('#facts dd:not([data-fact=f_waited])').map(node => `${node.dataset.fact} ${text(node)}`) });
  const unsent = all('#log .pending, #uploads li:not(.failed)').length;
  return {
    busy: unsent > 0 || shown(at('loading')) || at('live').dataset.state !== 'live',
    page: {
      count: all('#tabs .count').map(text), team: text(at('team-count')), presence: at('me-button').dataset.presence,
      rows: all('#rows .row').map(row), room: open && room(), details: open && details() },
    own: {
      text: open ? at('text').value : '', uploads: open ? all('#uploads .file-name').map(text) : [],
      dialogs: all('dialog[open]').length },
  };
}"""


class Walker:
    """One agent: the page that is walked on, and the one that is always fresh."""

    def __init__(self, name: str, desk: Callable[..., Desk], made: Desk, line: Line) -> None:
        self.name, self.made, self.line, self.page = name, made, line, made.page
        self.fresh = desk(AGENTS[name], viewport=LOW)
        self.room: Customer | None = None
        self.drafts: dict[tuple[str, str], str] = {}  # (room, kind) → what was typed there and neither sent nor saved
        self.tab, self.show = "mine", "open"

    @property
    def kind(self) -> str:
        return str(self.page.locator("#composer").get_attribute("data-kind"))

    @property
    def draft(self) -> str:
        return self.drafts.get((self.room.id, self.kind), "") if self.room else ""

    def has(self, button: str) -> bool:
        return self.room is not None and self.page.locator(f"#{button}").is_visible()

    def may_reply(self) -> bool:
        return self.has("kind-reply") and not self.page.locator("#bar[data-kind=stuck]").is_visible()


def _choose_list(made: Desk, tab: str, show: str) -> None:
    made.tab(tab)
    if tab == "all":
        made.page.locator(f"[data-show={show}]").click()


class Walk:
    def __init__(self, desk: Callable[..., Desk], shop: Shop, seed: int) -> None:
        self.shop, self.seed, self.random = shop, seed, random.Random(seed)
        self.done: list[str] = []
        self.counted: Counter[str] = Counter()
        self._numbers = 0
        self.open: list[Customer] = []
        self.ended: list[Customer] = []
        self.walkers = [self._walker(desk, name) for name in AGENTS]
        for _ in range(5):
            self._arrives()
        self.compare()

    def _walker(self, desk: Callable[..., Desk], name: str) -> Walker:
        made = desk(AGENTS[name], viewport=LOW)
        made.page.add_init_script(LATE)
        return Walker(name, desk, made, on_a_line(made))

    def step(self) -> None:
        """One step of somebody, then everybody's pages are compared."""
        walker = self.random.choice(self.walkers)
        steps = [(weight, deed) for weight, deed in self._deeds(walker) if weight]
        deed = self.random.choices([deed for _, deed in steps], [weight for weight, _ in steps])[0]
        self._note(f"{walker.name} {deed.__name__.strip('_')}")
        self.counted[deed.__name__.strip("_")] += 1
        try:
            deed(walker)
            self.compare()
        except (AssertionError, Error) as error:
            steps = "\n".join(self.done[-25:])
            raise AssertionError(f"seed {self.seed}, step {self.counted.total()}: {error}\n{steps}") from error

    def compare(self) -> None:
        """A page that nobody touched is compared as well: events reached it."""
        for walker in self.walkers:
            self._compare(walker)

    # --- the steps

    def _deeds(self, walker: Walker) -> list[tuple[int, Callable[[Walker], None]]]:
        in_room = walker.room is not None
        reply, note = walker.may_reply(), in_room
        return [
            (12, self._opens),
            (6, self._hurries),
            (6 if walker.has("pick") else 0, self._picks),
            (9 if reply else 0, self._sends),
            (4 if note else 0, self._notes),
            (5 if note else 0, self._types),
            (3 if reply else 0, self._attaches),
            (3 if walker.has("give") else 0, self._gives),
            (2 if walker.has("end") else 0, self._ends),
            (4, self._turns),
            (3, self._reloads),
            (3, self._loses_the_network),
            (2 if in_room else 0, self._leaves),
            (3 if in_room else 0, self._reads_back),
            (10, self._hears),
            (2, self._hears_of_an_end),
            (3 if len(self.open) < OPEN_MOST else 0, self._sees_arrive),
        ]

    def _opens(self, walker: Walker) -> None:
        self._click(walker, self._somebody())
        walker.page.locator("#loading").wait_for(state="hidden")

    def _hurries(self, walker: Walker) -> None:
        """From one to the next before the answers are there; writing on the way."""
        walker.page.evaluate("window.lateMs = 400")
        for _ in range(self.random.randint(2, 4)):
            self._click(walker, self._somebody())
            deed = self.random.choice([None, self._sends, self._notes, self._types, self._attaches, self._hears])
            if deed and (deed in (self._types, self._notes, self._hears) or walker.may_reply()):
                self._note(f"  {deed.__name__.strip('_')}")
                deed(walker)
        walker.page.evaluate("window.lateMs = 0")

    def _picks(self, walker: Walker) -> None:
        walker.page.locator("#pick").click()
        expect(walker.page.locator("#room-state")).to_have_text("With you")
        walker.tab = "mine"

    def _sends(self, walker: Walker) -> None:
        walker.page.locator("#kind-reply").click()
        self._fill(walker, f"to {self._room(walker).name}: {self._number()}")
        walker.page.keyboard.press("Enter")
        walker.drafts.pop((self._room(walker).id, "reply"), None)

    def _notes(self, walker: Walker) -> None:
        walker.page.locator("#kind-note").click()
        self._fill(walker, f"about {self._room(walker).name}: {self._number()}")
        if walker.page.locator("#send").is_enabled():
            walker.page.keyboard.press("Enter")
            walker.drafts.pop((self._room(walker).id, "note"), None)

    def _types(self, walker: Walker) -> None:
        if walker.page.locator("#bar[data-kind=stuck]").is_visible():
            return
        text = self.random.choice(["", f"draft for {self._room(walker).name}: {self._number()}"])
        self._fill(walker, text)

    def _attaches(self, walker: Walker) -> None:
        name = f"{self._room(walker).name} {self._number()}.txt"
        walker.page.locator("#kind-reply").click()
        walker.page.locator("#file").set_input_files(FilePayload(name=name, mimeType="text/plain", buffer=b"text"))

    def _gives(self, walker: Walker) -> None:
        (other,) = (each.name for each in self.walkers if each is not walker)
        walker.page.locator("#give").click()
        choice = self.random.choice([FULL_NAMES[other]] * 3 + [""])
        people = walker.page.locator("#give-people").get_by_role("button", name=re.compile(choice or "^$"))
        if people.count() == 1:
            people.click()
            expect(walker.page.locator("#give-dialog")).to_be_hidden()
            expect(walker.page.locator("#room-state")).to_have_text(re.compile("With"))
        else:
            walker.page.locator("#give-dialog").press("Escape")

    def _ends(self, walker: Walker) -> None:
        walker.page.locator("#end").click()
        walker.page.get_by_role("button", name="End conversation").click()
        expect(walker.page.locator("#room-state")).to_have_text(re.compile("^Ended|ended"))
        self._is_over(self._room(walker))

    def _turns(self, walker: Walker) -> None:
        walker.tab = self.random.choice(["mine", "queue", "all"])
        if walker.tab == "all":
            walker.show = self.random.choice(["open", "open", "ended"])
        _choose_list(walker.made, walker.tab, walker.show)

    def _reloads(self, walker: Walker) -> None:
        walker.page.reload()
        walker.made.expect_live()
        walker.tab, walker.show = "mine", "open"

    def _loses_the_network(self, walker: Walker) -> None:
        """What was said and written meanwhile is there afterwards, wherever the agent went."""
        walker.line.shut()
        walker.page.context.set_offline(True)
        for _ in range(self.random.randint(1, 4)):
            deeds = [self._hears, lambda each: self._click(each, self.random.choice(self.open))]
            if walker.room:
                deeds.append(self._types)
            if walker.may_reply():
                deeds.append(self._sends)
            self.random.choice(deeds)(walker)
        walker.page.context.set_offline(False)
        walker.line.free()
        walker.made.expect_live(40)

    def _leaves(self, walker: Walker) -> None:
        walker.page.locator("#room-name").focus()
        walker.page.keyboard.press("Escape")
        expect(walker.page.locator("#no-room")).to_be_visible()
        walker.room = None

    def _reads_back(self, walker: Walker) -> None:
        """Further up, and goes on to another conversation: that one begins at its end."""
        walker.page.evaluate("() => { document.getElementById('log-box').scrollTop = 0; }")
        self._hears(walker)
        others = [customer for customer in self.open if customer is not walker.room]
        self._click(walker, self.random.choice(others or self.open))
        walker.page.locator("#loading").wait_for(state="hidden")
        if not others:
            walker.page.locator("#log-box").press("End")

    def _hears(self, walker: Walker) -> None:
        customer = self.random.choice(self.open)
        customer.says(f"{customer.name} says {self._number()}")
        if self.random.random() < 0.3:
            seq = customer.sees()["last_seq"]
            self.shop.post(f"public/sessions/{customer.key}/read", up_to_seq=seq)

    def _hears_of_an_end(self, walker: Walker) -> None:
        customer = self.random.choice(self.open)
        customer.ends()
        self._is_over(customer)
        if self.random.random() < 0.5:
            self.shop.post(f"public/sessions/{customer.key}/rating", rating=self.random.randint(1, 5), comment="ok")

    def _sees_arrive(self, walker: Walker) -> None:
        self._arrives()

    # --- of which they are made

    def _arrives(self) -> None:
        name = f"{self.random.choice(FIRST_NAMES)} {self._number()}"
        email = f"{name.split(maxsplit=1)[0].lower()}@example.com"  # some have been here before
        self.open.append(Customer(self.shop, name, f"{name} says hello", email))
        for _ in range(self.random.randint(0, 3)):
            self.open[-1].says(f"{name} says {self._number()}")

    def _is_over(self, customer: Customer) -> None:
        self.open.remove(customer)
        self.ended.append(customer)
        if not self.open:
            self._arrives()

    def _somebody(self) -> Customer:
        """Mostly of the open ones; those just looked at come again and again, which is what people do."""
        if self.ended and self.random.random() < 0.1:
            return self.random.choice(self.ended[-5:])
        return self.random.choice(self.open)

    def _click(self, walker: Walker, customer: Customer) -> None:
        self._note(f"  opens {customer.name}")
        tab, show = "all", "open" if customer in self.open else "ended"
        if (walker.tab, walker.show) != (tab, show):
            walker.tab, walker.show = tab, show
            _choose_list(walker.made, tab, show)
        walker.made.row(customer).click()
        expect(walker.page.locator("#room-name")).to_have_text(customer.name)
        walker.room = customer

    def _fill(self, walker: Walker, text: str) -> None:
        walker.page.locator("#text").fill(text)
        walker.drafts[(self._room(walker).id, walker.kind)] = text

    def _room(self, walker: Walker) -> Customer:
        assert walker.room
        return walker.room

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _note(self, what: str) -> None:
        self.done.append(what)

    # --- what is compared

    def _compare(self, walker: Walker) -> None:
        fresh = walker.fresh
        fresh.page.goto(fresh.page.url.partition("#")[0])
        fresh.page.reload()
        fresh.expect_live()
        if walker.room:
            _choose_list(fresh, "all", "open" if walker.room in self.open else "ended")
            fresh.row(walker.room).click()
            fresh.page.locator("#loading").wait_for(state="hidden")
        _choose_list(fresh, walker.tab, walker.show)
        begun = time.monotonic()
        while wrong := self._difference(walker):
            if time.monotonic() - begun > SETTLED_S:
                raise AssertionError(f"{walker.name}: {wrong}")
            walker.page.wait_for_timeout(30)
        assert not walker.made.wrong, f"{walker.name}: {walker.made.wrong}"

    def _difference(self, walker: Walker) -> str:
        shown, told = walker.page.evaluate(SEEN), walker.fresh.page.evaluate(SEEN)
        if shown["busy"] or told["busy"]:
            return f"does not come to rest: {shown}"
        if foreign := self._foreign(walker, shown):
            return foreign
        if walker.room and shown["page"]["room"]["bar"] == "stuck":  # a reply was begun; the fresh page has no draft
            told["page"]["room"]["bar"] = "stuck"
        wrong = _unequal(shown["page"], told["page"])
        own, draft = shown["own"], walker.draft
        if own["text"] != draft:
            wrong += f"\n  the draft is {own['text']!r}, not {draft!r}"
        if own["uploads"] or own["dialogs"]:
            wrong += f"\n  left over: {own}"
        return wrong

    def _foreign(self, walker: Walker, shown: Any) -> str:
        room = shown["page"]["room"]
        if bool(room) != bool(walker.room):
            return f"shows {room and room['name']}, not {walker.room and walker.room.name}"
        if not walker.room:
            return ""
        name = walker.room.name
        rows = [line for line in room["log"] if line.split("|")[0].split()[0] in ("msg", "note")]
        others = [line for line in rows if name not in line]
        if room["name"] != name or shown["page"]["details"]["name"] != name:
            return f"shows {room['name']} beside {shown['page']['details']['name']}, not {name}"
        return f"of another conversation than {name}'s: {others}" if others else ""


def _unequal(shown: Any, told: Any, where: str = "") -> str:
    """Where two of them differ, in words."""
    if isinstance(shown, dict) and isinstance(told, dict):
        return "".join(_unequal(shown.get(key), told.get(key), f"{where}.{key}") for key in {**shown, **told})
    return "" if shown == told else f"\n  {where}: {shown!r}\n    a fresh page: {told!r}"
