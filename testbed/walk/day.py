"""The day itself: who is there, who does what next, and what is judged.

    with day(databases, redis_databases, seed=3, sizes=LONG) as walk:
        for _ in range(600):
            walk.step()
        walk.close()

The seed chooses who does what. What a page offers at a moment hangs on the others and on the machine's speed, so of a
seed the same people do much the same things; what happens between two steps is never the same twice.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from playwright.sync_api import Browser, Error

from testbed.agentpages import DESK, PHONE
from testbed.chathouse import STAFF, ChatHouse, Shop, chat_house
from testbed.servers import Databases, RedisDatabases, free_port
from testbed.walk.customers import SITE, CustomerOfTheDay, Fresh, WidgetOfTheDay
from testbed.walk.people import Book, Person, Said
from testbed.walk.staff import Staff
from testbed.walk.wire import Wire, wires

ON_A_PHONE = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
LOW = {"width": 1440, "height": 560}  # so that conversations are longer than what is seen of them
FIRST_NAMES = ("Maya", "Joko", "Dewi", "Rudi", "Sari", "Tono", "Wati", "Agus", "Nina", "Eko", "Lina", "Bayu")


@dataclass(frozen=True)
class Sizes:
    agents: int = 3
    supervisors: int = 1
    customers: int = 12
    sidecars: int = 2
    workers: int = 1
    limit: int = 3
    lost_s: tuple[float, float] = (5, 40)
    gone_s: int = 20
    all_every: int = 20  # steps; else those who took part, and one of the others


class Walk:
    def __init__(
        self,
        home: ChatHouse,
        shop: Shop,
        browser: Browser,
        site: str,
        new_wire: Callable[[], Wire],
        seed: int,
        sizes: Sizes,
    ) -> None:
        self.home, self.shop, self.seed, self.sizes, self.random = home, shop, seed, sizes, Random(seed)
        self.done: list[str] = []
        self.counted: Counter[str] = Counter()
        self.book = Book(self.random, self.done.append)
        self._restarts: list[tuple[float, int]] = []
        self._at: Person | None = None  # who was looked at last
        self.staff = [
            Staff(
                name,
                browser,
                new_wire(),
                new_wire(),
                self.book,
                shop=shop,
                **(ON_A_PHONE if n == sizes.agents - 1 else {"viewport": LOW}),
            )
            for n, name in enumerate(shop.ids)
        ]
        pages, widgets, page_wire, widget_wire = Fresh(), Fresh(), new_wire(), new_wire()
        self.customers: list[CustomerOfTheDay] = []
        for n in range(sizes.customers):
            name, options = FIRST_NAMES[n % len(FIRST_NAMES)], ON_A_PHONE if n % 4 >= 2 else {"viewport": DESK}
            if n % 2:
                one: CustomerOfTheDay = WidgetOfTheDay(
                    name, browser, new_wire(), widget_wire, self.book, fresh=widgets, site=site, **options
                )
            else:
                one = CustomerOfTheDay(name, browser, new_wire(), page_wire, self.book, fresh=pages, **options)
            one.starts()
            self.customers.append(one)

    @property
    def everybody(self) -> list[Person]:
        return [*self.staff, *self.customers]

    # --- steps

    def step(self) -> None:
        """One step of somebody; then pages are compared."""
        number = self.counted.total() + 1
        try:
            took_part = self._one_step()
            others = [each for each in self.everybody if each not in took_part]
            all_of_them = number % self.sizes.all_every == 0
            for person in self.everybody if all_of_them else [*took_part, *self.random.sample(others, 1)]:
                self._at = person
                person.compare()
        except (AssertionError, Error) as error:
            steps = "\n".join(self.done[-25:])
            raise AssertionError(f"seed {self.seed}, step {number}: {error}\n{steps}") from error

    def _one_step(self) -> list[Person]:
        if due := self._due():
            return due
        chance = self.random.random()
        if chance < 0.04:
            return self._loses_the_network(self.random.choice(self.everybody))
        if chance < 0.06:
            return self._goes_away(self.random.choice(self.customers))
        if chance < 0.08 and self.sizes.sidecars > 1:
            return self._sidecar_dies()
        return self._does_something()

    def _does_something(self) -> list[Person]:
        for _ in range(50):
            person = self.random.choice(self.staff if self.random.random() < 0.55 else self.customers)
            if deeds := [deed for deed in person.deeds() if deed[0]]:
                break
        deed = self.random.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0]
        self._tell(person.name, deed.__name__.strip("_"))
        self._at = person
        deed()
        return [person]

    def _tell(self, who: str, what: str) -> None:
        self.done.append(f"{len(self.done)} {who} {what}")
        self.counted[what] += 1

    def _due(self) -> list[Person]:
        """Who comes back now, and sidecars that do."""
        for at, n in list(self._restarts):
            if time.monotonic() > at:
                self._restarts.remove((at, n))
                self.home.sidecars[n].begin()
        for person in self.everybody:
            if not (person.is_cut or person.is_away) or time.monotonic() < person.due_at:
                continue
            self._comes_back(person)
            return [person]
        return []

    def _comes_back(self, person: Person) -> None:
        self._at = person
        if person.is_cut:
            self._tell(person.name, "gets_the_network_back")
            person.gets_the_network_back()
        elif isinstance(person, CustomerOfTheDay):
            self._tell(person.name, "comes_back")
            person.comes_back()

    def _lost_s(self) -> float:
        return self.random.uniform(*self.sizes.lost_s)

    def _loses_the_network(self, person: Person) -> list[Person]:
        if person.is_cut or person.is_away:
            return []
        self._tell(person.name, "loses_the_network")
        person.loses_the_network(self._lost_s())
        return []

    def _goes_away(self, person: CustomerOfTheDay) -> list[Person]:
        if person.is_cut or person.is_away:
            return []
        self._tell(person.name, "goes_away")
        person.goes_away(self._lost_s())
        return []

    def _sidecar_dies(self) -> list[Person]:
        if self._restarts:
            return []
        n = self.random.randrange(len(self.home.sidecars))
        self._tell(f"sidecar {n}", "dies")
        self.home.sidecars[n].kill()
        self._restarts.append((time.monotonic() + self.random.uniform(1, 10), n))
        return [*self.staff[:1], *self.customers[:1]]

    def starts_over(self) -> None:
        """After a fault: the page is loaded anew, so that it is not found again and again."""
        if self._at and not self._at.is_cut and not self._at.is_away:
            self._at.starts_over()

    # --- the end

    def close(self) -> None:
        """Everybody comes back and all is compared; then every text is where it belongs, once."""
        try:
            for _, n in self._restarts:
                self.home.sidecars[n].begin()
            self._restarts.clear()
            for person in self.everybody:
                if person.is_cut or person.is_away:
                    self._comes_back(person)
            for person in self.everybody:
                person.compare()
            self._judge_the_book()
        except (AssertionError, Error) as error:
            steps = "\n".join(self.done[-25:])
            raise AssertionError(f"seed {self.seed}, at the end: {error}\n{steps}") from error

    def _judge_the_book(self) -> None:
        stored: dict[str, list[tuple[str, str]]] = {}
        sql = (
            "SELECT s.customer_name AS room, m.sender_type AS by, m.body"
            " FROM messages m JOIN sessions s ON s.id = m.session WHERE m.tenant = %s UNION ALL"
            " SELECT s.customer_name, 'note', n.body"
            " FROM notes n JOIN sessions s ON s.id = n.session WHERE n.tenant = %s"
        )
        for row in self.home.house.rows(sql, self.shop.id, self.shop.id):
            stored.setdefault(row.body, []).append((row.room, row.by))
        wrong = [
            f"{each}: stored as {stored.get(each.text)}" for each in self.book.said if not self._is_kept(each, stored)
        ]
        assert not wrong, "lost, doubled or in the wrong place:\n" + "\n".join(wrong)

    def _is_kept(self, said: Said, stored: dict[str, list[tuple[str, str]]]) -> bool:
        found = stored.get(said.text, [])
        is_thrown_away = any(said.text in each for each in self.book.thrown_away)
        return found == [(said.room, said.by)] or (not found and is_thrown_away)


@contextmanager
def _site() -> Iterator[str]:
    """Somebody's pages with the widget: the path's query is the port of the way to the chat."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            port = self.path.partition("?")[2]
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(SITE.format(chat=f"http://127.0.0.1:{port}").encode() if port else b"<p>nothing")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@contextmanager
def day(
    databases: Databases, redis_databases: RedisDatabases, browser: Browser, seed: int, sizes: Sizes
) -> Iterator[Walk]:
    with ExitStack() as stack:
        site = stack.enter_context(_site())
        env: Any = {
            "DEMO": "0",
            "SECRET_KEY": "a-secret-of-this-day-only",
            "ALLOWED_ORIGINS": site,
            "CUSTOMER_GONE_SECONDS": str(sizes.gone_s),
        }
        home = stack.enter_context(
            chat_house(
                databases, redis_databases, sidecars=sizes.sidecars, workers=sizes.workers, receiver=False, **env
            )
        )
        shop = home.new_shop("Shop", tenant="shop", limit=sizes.limit)
        for name, role in _people(sizes):
            shop.add_account(shop.email(name.split()[0].lower()), name, role)
        new_wire = stack.enter_context(wires(lambda: [sidecar.port for sidecar in home.sidecars]))
        yield Walk(home, shop, browser, site, new_wire, seed, sizes)


def _people(sizes: Sizes) -> list[tuple[str, str]]:
    (ani, budi), sri = [name for name, role in STAFF.values() if role == "agent"], "Sri Wahyuni"
    agents = [ani, budi, "Citra Dewi"][: sizes.agents]
    return [*((name, "agent") for name in agents), *[(sri, "supervisor")][: sizes.supervisors]]
