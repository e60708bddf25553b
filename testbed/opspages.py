"""The supervisors' page in a browser, for tests and measuring: who is signed in, which view is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from testbed.chathouse import Shop
from testbed.chatpages import opening
from testbed.passwords import PASSWORD

BOSS = "supervisor@demo.com"


class Ops:
    """One page of a supervisor."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def sign_in(self, email: str = BOSS, password: str = PASSWORD) -> "Ops":
        self.page.locator("#email").fill(email)
        self.page.locator("#password").fill(password)
        self.page.keyboard.press("Enter")
        return self

    def live(self) -> "Ops":
        expect(self.page.locator("#live")).to_have_attribute("data-state", "live", timeout=20_000)
        return self

    def view(self, name: str) -> Locator:
        self.page.evaluate("name => { location.hash = name }", name)
        shown = self.page.locator(f"#p-{name.partition('?')[0]}")
        expect(shown).to_be_visible()
        return shown

    def row(self, room: str) -> Locator:
        return self.page.locator(f'[data-room="{room}"]')


@contextmanager
def supervising(browser: Browser, shop: Shop) -> Iterator[Callable[..., Ops]]:
    """`ops(BOSS)`: a page with somebody signed in; `ops(None)`: nobody."""
    with opening(browser, shop) as opened:

        def made(email: str | None = BOSS, **options: Any) -> Ops:
            page = opened("/ops", **options)
            if email is None:
                return Ops(page)
            page.evaluate("token => sessionStorage.setItem('giliran-agent', token)", shop.staff_token(email))
            page.reload()
            return Ops(page).live()

        yield made
