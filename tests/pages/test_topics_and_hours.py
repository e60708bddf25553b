"""What the rules of a tenant show: topics to begin with, when we open, and to agents the topic and the queue."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from testbed.agentpages import Desk
from testbed.axe import grave_faults
from testbed.chathouse import Shop
from testbed.chatpages import Customer, faint_texts
from testbed.deadlines import eventually

SMALL = {"width": 320, "height": 640}
RULES = """
[queues.sales]
agents = { divisions = ["Sales"] }
[queues.gold]
agents = { divisions = ["Gold"] }
[[rules]]
name = "Gold"
when = { proved = true, property.tier = "gold" }
queue = "gold"
[[topics]]
label = { en = "Buy something", id = "Pembelian" }
queue = "sales"
[[topics]]
label = { id = "Lainnya" }
queue = "gold"
"""


@pytest.fixture
def ruled(shop: Shop) -> Iterator[Callable[[str], None]]:
    """`ruled(rules)`: they are in force, as after `giliran routing apply`."""

    def forget() -> None:
        shop.home.run("UPDATE tenants SET rules_version = 0, rules_digest = '' WHERE id = %s", shop.id)
        shop.home.run("DELETE FROM rule_files WHERE tenant = %s", shop.id)

    def apply(content: str) -> None:
        forget()
        sql = "INSERT INTO rule_files (tenant, version, content, applied_by) VALUES (%s, 1, %s, 'test')"
        shop.home.run(sql, shop.id, content)
        shop.home.run("UPDATE tenants SET rules_version = 1, rules_digest = md5(%s) WHERE id = %s", content, shop.id)
        eventually(lambda: shows(content), what="what the new rules show")

    def shows(content: str) -> bool:
        """The sidecar keeps what it says to everybody for a moment."""
        desk = shop.get(f"public/desk?tenant_id={shop.id}")
        return bool(desk["topics"]) == ("[[topics]]" in content) and bool(desk["closed"]) == ("[hours]" in content)

    yield apply
    forget()
    eventually(lambda: shows(""), what="a desk without rules")


def queue_of(shop: Shop, room: str) -> str | None:
    [row] = shop.home.house.rows("SELECT queue FROM visits WHERE room = %s AND state <> 'closed'", room)
    return row.queue


def is_well(page: Page) -> bool:
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert (faint_texts(page), wide, grave_faults(page)) == ([], page.viewport_size["width"], []), page.url
    return True


def test_a_topic_is_chosen_and_led_by_and_its_agent_sees_it(opened, desk, shop, ruled) -> None:
    plain = opened("/chat?tenant=shop")
    expect(plain.locator("#online-chip")).to_be_visible()
    expect(plain.get_by_role("combobox")).to_have_count(0)
    ruled(RULES)
    page = opened("/chat?tenant=shop", viewport=SMALL)
    choice = page.get_by_role("combobox", name="Topic optional")
    expect(choice.locator("option")).to_have_text(["Choose a topic", "Buy something", "Lainnya"])
    assert is_well(page)
    choice.focus()
    page.keyboard.press("ArrowDown")
    page.reload()  # what was chosen stays
    expect(choice).to_have_value("Buy something")
    page.evaluate("document.querySelector('[data-language=id]').click()")
    expect(page.get_by_role("combobox", name="Topik opsional").locator("option:checked")).to_have_text("Pembelian")
    maya = Customer(shop, page).starts()
    assert queue_of(shop, maya.id) == "sales"

    ani: Desk = desk("agent@demo.com")
    ani.tab("queue")
    ani.page.locator(f"#row-{maya.id}").click()
    for key, value in (("f_topic", "Buy something"), ("f_queue", "sales")):
        expect(ani.page.locator(f'[data-fact="{key}"]')).to_have_text(value)


def test_the_widget_hands_over_what_its_site_knows(opened, shop, ruled) -> None:
    ruled(RULES)
    shop.home.run("UPDATE tenants SET identity_secret = 'sesame' WHERE id = %s", shop.id)
    proof = hmac.new(b"sesame", b'budi@example.com\n{"n":7,"tier":"gold"}', hashlib.sha256).hexdigest()
    known = {"name": "Budi", "email": "budi@example.com", "topic": "Pembelian", "locale": "id"}
    page = opened("/widget-demo.html", viewport=SMALL)
    expect(page.locator(".launcher")).to_be_visible()  # the page's own, which is replaced now
    for more, queue in (({}, "sales"), ({"propertiesHash": proof}, "gold")):
        options = {"tenantId": "shop", **known, "properties": {"tier": "gold", "n": 7}, **more}
        page.evaluate("localStorage.clear(); CallCenterChat.destroy()")
        page.evaluate(f"CallCenterChat.init({json.dumps(options)}); CallCenterChat.open()")
        expect(page.get_by_label("Topik")).to_have_value("Buy something")
        assert faint_texts(page) == []
        page.get_by_label("Pertanyaan Anda").fill("Halo")
        with page.expect_response("**/public/sessions") as coming:
            page.locator("#start").click()
        assert queue_of(shop, coming.value.json()["session_id"]) == queue
    page.evaluate("localStorage.clear(); CallCenterChat.destroy()")
    page.evaluate(f"CallCenterChat.init({json.dumps({**options, 'propertiesHash': '0' * 64})}); CallCenterChat.open()")
    page.get_by_label("Pertanyaan Anda").fill("Halo")
    page.locator("#start").click()
    expect(page.get_by_role("alert")).to_contain_text("Identitas Anda belum bisa dipastikan")


def test_outside_the_hours_pages_say_when_we_open(opened, shop, ruled) -> None:
    opens = datetime.now(UTC) + timedelta(days=2)
    ruled(f'[hours]\ntimezone = "UTC"\nopen = ["{opens:%a} 08:00-17:00"]\n'.lower().replace("utc", "UTC") + RULES)
    page = opened("/chat?tenant=shop", viewport=SMALL)
    expect(page.locator("#online-chip")).to_have_text("We're closed")
    expect(page.locator("#hello-soft")).to_contain_text(f"open again on {opens:%A} at 08:00")
    assert is_well(page)
    page.evaluate("document.querySelector('[data-language=id]').click()")
    expect(page.locator("#hello-soft")).to_contain_text("buka lagi hari")
    maya = Customer(shop, page).starts()
    expect(page.locator("#away-line")).to_contain_text("Kami buka lagi hari")
    expect(page.locator("#away-line")).to_contain_text("antrean ke-1")
    expect(page.locator("#line-card")).to_be_hidden()
    assert is_well(page) and maya.id
