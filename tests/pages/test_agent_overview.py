"""One sign-in for both pages: whoever has no conversations on the agent's page has the overview; supervisors a link."""

import re

from playwright.sync_api import expect

from db import operators, people
from testbed.agentpages import Desk
from testbed.passwords import PASSWORD, hash_of


def test_who_has_no_conversations_here_is_led_to_the_overview_and_supervisors_have_a_link(desk, shop):
    with shop.home.ledger.transaction() as cur:
        cur.execute("INSERT INTO tenants (id, base_url, secret_key) VALUES ('app', 'http://127.0.0.1:1', 'x')")
        people.add_account(cur, "app", "dewi@demo.com", "Dewi", hash_of(PASSWORD), "supervisor")
        operators.add(cur, "ops@demo.com", "Ops", hash_of(PASSWORD))
    for email in ("dewi@demo.com", "ops@demo.com"):
        made = Desk(desk(None).page, [])
        made.sign_in(email)
        made.page.wait_for_url(re.compile("/ops"))
        made.page.goto(f"{shop.url}/agent")
        made.page.wait_for_url(re.compile("/ops"))
    boss = desk("supervisor@demo.com").page
    boss.locator("#me-button").click()
    expect(boss.get_by_role("menuitem", name="Overview")).to_have_attribute("href", "ops")
    expect(boss.get_by_role("menuitemradio", name="Online")).to_contain_text("colleagues see that you are here")
    agent = desk("agent@demo.com").page
    agent.locator("#me-button").click()
    expect(agent.get_by_role("menuitem", name="Sign out")).to_be_visible()
    expect(agent.get_by_role("menuitem", name="Overview")).to_be_hidden()
