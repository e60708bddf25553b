"""Browsers two years old, and Safari 16: what they do not have is taken away, and everything works all the same."""

import pytest
from playwright.sync_api import Page, expect

from testbed import agentpages
from testbed.agentpages import Desk
from testbed.chatpages import Customer
from testbed.deadlines import eventually

# What Safari 16.0 lacks of what Chromium has. A selector that it does not know is an error.
OLDER = """
for (const [owner, names] of [[URL, ['canParse', 'parse']], [Object, ['groupBy']], [Map, ['groupBy']],
    [Promise, ['withResolvers', 'try']], [Array, ['fromAsync']], [AbortSignal, ['any']], [Intl, ['DurationFormat']],
    [Array.prototype, ['toSpliced', 'with', 'toSorted', 'toReversed']], [RegExp, ['escape']],
    [Set.prototype, ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf']],
    [HTMLElement.prototype, ['popover', 'showPopover', 'hidePopover', 'togglePopover']],
    [Element.prototype, ['checkVisibility', 'setHTMLUnsafe']], [Navigator.prototype, ['userActivation', 'locks']],
    [Document.prototype, ['startViewTransition', 'adoptedStyleSheets']], [ShadowRoot.prototype, ['adoptedStyleSheets']],
    [window, ['OffscreenCanvas', 'requestIdleCallback', 'scheduler', 'navigation', 'CompressionStream', 'Iterator',
      'URLPattern', 'Highlight', 'BroadcastChannel', 'structuredClone', 'PointerEvent']]])
  for (const name of names) delete owner[name];
window.CSSStyleSheet = function () { throw new TypeError('Illegal constructor'); };
for (const owner of [Element.prototype, Document.prototype, DocumentFragment.prototype])
  for (const name of ['matches', 'closest', 'querySelector', 'querySelectorAll']) { const known = owner[name];
    if (known) owner[name] = function (selector) {
      if (/:popover-open|:open|:dir\\(/.test(selector)) throw new DOMException(selector, 'SyntaxError');
      return known.call(this, selector); }; }
"""


def older(opened, path: str, **look) -> Page:
    """A page of such a browser; an uncaught error fails the test."""
    page = opened("/healthz", **look)
    page.context.add_init_script(OLDER)
    page.goto(path)
    assert page.evaluate("'canParse' in URL || 'showPopover' in HTMLElement.prototype") is False
    return page


LINKS = "See https://shop.example/a?b=c, http://[bad and 😀"


def test_the_widget_works_in_older_browsers(opened, shop, agent):
    page = older(opened, f"{shop.url}/healthz")
    page.set_content(f"<body><script src='{shop.url}/chat-widget.js'></script></body>")
    page.evaluate("CallCenterChat.init({ tenantId: 'shop', primaryColor: 'hsl(263 84% 58%)' })")
    expect(page.locator(".launcher")).to_have_css("background-color", "rgb(127, 58, 238)")
    page.locator(".launcher").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.get_by_label("Your name").fill("Maya Putri")
    page.get_by_label("E-mail").fill("maya@example.com")
    page.get_by_label("Your question").fill(LINKS)
    with page.expect_response("**/public/sessions") as coming:
        page.locator("#start").click()
    room = coming.value.json()["session_id"]
    agent.picks(room)
    for text in ("First", LINKS, "👍", "12", "Last"):
        agent.says(room, text)
    expect(page.locator("#log .bubble")).to_have_text([LINKS, "First", LINKS, "👍", "12", "Last"])
    expect(page.locator("#log .message.emoji")).to_have_count(1)
    expect(page.get_by_role("link", name="https://shop.example/a?b=c")).to_have_count(2)
    page.evaluate("document.body.replaceWith(document.createElement('body'))")
    expect(page.locator("#log .bubble").last).to_be_in_viewport()
    expect(page.locator(".panel")).to_have_css("background-color", "rgb(255, 255, 255)")
    page.get_by_role("button", name="End chat").click()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.get_by_role("alertdialog").get_by_role("button", name="End chat").click()
    page.get_by_role("radio", name="5 stars").check(force=True)
    page.get_by_role("button", name="Send the rating").click()
    expect(page.get_by_text("Thank you for your rating!")).to_be_visible()


def test_the_customers_page_works_in_older_browsers(opened, shop, agent):
    page = older(opened, f"{shop.url}/chat?tenant=shop")
    customer = Customer(shop, page).starts(message=LINKS)
    agent.picks(customer.id)
    agent.says(customer.id, "👍")
    expect(customer.bubbles()).to_have_text([LINKS, "👍"])
    page.locator("#menu-button").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(page.locator("#menu-button")).to_be_focused()
    customer.asks_for("End the chat")
    page.locator("#end-dialog").get_by_role("button", name="End the chat").click()
    expect(page.locator("#ending")).to_be_visible()


@pytest.mark.long
def test_the_agents_page_works_in_older_browsers(opened, shop):
    customer = agentpages.Customer(shop, "Maya Putri", LINKS)
    page = older(opened, f"{shop.url}/agent")
    one = Desk(page, []).sign_in("agent@demo.com")
    one.expect_live()
    for menu in ("me-menu", "more-menu"):
        expect(page.locator(f"#{menu}")).to_be_hidden()
    one.pick(customer)
    customer.says(LINKS)
    expect(one.bubbles()).to_have_text([LINKS, LINKS])
    one.write("Good day")
    eventually(lambda: customer.bodies()[-1:] == ["Good day"], 5, "the reply")
    button, menu = page.locator("#me-button"), page.locator("#me-menu")
    button.click()
    expect(menu.get_by_role("menuitemradio", name="Online")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(menu.get_by_role("menuitemradio", name="Away")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(button).to_be_focused()
    expect(one.bubbles().first).to_be_visible()  # Escape closed the menu alone
    button.click()
    menu.get_by_role("menuitemradio", name="Away").click()
    expect(menu).to_be_hidden()
    expect(button).to_have_attribute("data-presence", "away")
    button.click()
    menu.locator("#keys-switch").click()
    expect(menu).to_be_visible()
    page.locator("#log-box").click()
    expect(menu).to_be_hidden()
    page.locator("#more-button").click()
    with page.expect_download() as file:
        page.locator("[data-export=txt]").click()
    assert file.value.suggested_filename.endswith(".txt")
    button.click()
    menu.locator("#keys-button").click()
    expect(page.locator("#keys-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys-dialog")).to_be_hidden()
    expect(button).to_be_focused()
