"""The widget survives its host: pages that replace what it stands in, listen to single keys, trap the focus."""

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from testbed.chathouse import Shop
from testbed.deadlines import eventually
from tests.variants import first_of, first_rows

PAGE = """(chat, options) => new Promise(done => { const script = document.createElement('script');
  script.src = `${chat}/chat-widget.js`;
  script.onload = () => { CallCenterChat.init({ apiUrl: chat, tenantId: 'shop', ...options }); done(); };
  document.head.append(script); })"""
INIT = "CallCenterChat.init({ tenantId: 'shop' })"
ROOT = "document.querySelector('#callcenter-chat').shadowRoot"


@pytest.fixture
def site(opened, shop) -> Iterator[Page]:
    """Somebody's page, which anything can be done to."""
    yield hosting(opened, shop)


def hosting(opened, shop: Shop, before: str = "", **look) -> Page:
    """`before`: what the page does before the widget comes."""
    page = opened("/healthz", **look)
    page.set_content("<!doctype html><title>A shop</title><body><h1>A shop</h1><input id='theirs'><p>Text</p></body>")
    if before:
        page.evaluate(before)
    page.evaluate(f"chat => ({PAGE})(chat, {{}})", shop.url)
    return page


def starts(page: Page, message: str = "Hello") -> None:
    if not page.locator(".panel").is_visible():
        page.locator(".launcher").click()
    page.get_by_label("Your name").fill("Maya Putri")
    page.get_by_label("E-mail").fill(f"{secrets.token_hex(4)}@example.com")
    page.get_by_label("Your question").fill(message)
    page.locator("#start").click()
    expect(page.locator("#log .bubble").last).to_have_text(message)


REPLACED = {  # how pages replace what they show
    "another body": "document.body = document.createElement('body')",
    "a body by name": "document.body.replaceWith(document.createElement('body'))",
    "an empty body": "document.body.innerHTML = ''",
    "no children": "document.body.replaceChildren()",
    "the same text": "document.body.innerHTML = document.body.innerHTML",
    "more text": "document.body.innerHTML += '<p>More</p>'",
    "a kept copy": "{ const kept = document.body.cloneNode(true); document.body.replaceWith(kept) }",
    "another document": """{ const next = new DOMParser().parseFromString('<body>Next</body>', 'text/html');
        document.documentElement.replaceWith(document.adoptNode(next.documentElement)) }""",
    "a body that comes later": """{ document.body.remove();
        setTimeout(() => document.documentElement.append(document.createElement('body')), 50) }""",
    "a wrapper": """{ const one = document.createElement('main'); one.append(...document.body.childNodes);
        document.body.append(one) }""",
    "a view transition": """document.startViewTransition(() =>
        document.body.replaceWith(document.createElement('body')))""",
    "all that is in it": "document.documentElement.innerHTML = '<head></head><body>Next</body>'",
    "its text": "document.body.outerHTML = '<body>Next</body>'",
    "the widget's script again": """{ const script = document.createElement('script');
        script.src = new URL('/chat-widget.js', location.href); document.body.replaceChildren(script);
        await new Promise(done => (script.onload = done)) }""",
    "its element alone": "document.querySelector('#callcenter-chat').remove()",
    "closed popovers": "document.querySelectorAll('[popover]').forEach(one => one.hidePopover())",
}


@pytest.mark.parametrize("again", first_of([True, False]), ids=["init again", "no word"])
def test_a_page_that_replaces_its_body_keeps_the_chat_as_it_was(site, again):
    starts(site)
    site.get_by_label("Message", exact=True).fill("Half a sen")
    for what, script in REPLACED.items():
        site.evaluate(f"async () => {{ {script} }}")
        if again:
            site.evaluate(INIT)
        expect(site.locator(".launcher"), what).to_be_in_viewport()
        expect(site.locator(".panel"), what).to_be_in_viewport()
        expect(site.get_by_label("Message", exact=True), what).to_have_value("Half a sen")
        expect(site.locator("#callcenter-chat"), what).to_have_count(1)
        expect(site.locator("body > #callcenter-chat:popover-open"), what).to_have_count(1)
        expect(site.locator("#log .bubble"), what).to_have_text(["Hello"])
    site.get_by_label("Message", exact=True).press("Enter")
    expect(site.locator("#log .bubble")).to_have_text(["Hello", "Half a sen"])
    expect(site.locator("#log .message.waiting")).to_have_count(0)
    site.evaluate("CallCenterChat.destroy(); document.body.replaceWith(document.createElement('body'))")
    expect(site.locator("#callcenter-chat")).to_have_count(0)


def test_whoever_writes_while_the_page_is_replaced_writes_on(site, shop, agent):
    starts(site, "first")
    for n in range(30):
        shop.post(f"public/sessions/{_key(site)}/messages", client_id=secrets.token_hex(8), body=f"row {n}")
    expect(site.locator("#log .bubble")).to_have_count(31)
    site.locator("#scroll").evaluate("node => node.scrollTop = 40")
    site.get_by_label("Message", exact=True).press_sequentially("Half")
    expect(site.locator("#newest")).to_be_visible()
    site.evaluate("document.body.replaceWith(document.createElement('body'))")
    site.keyboard.type(" a sen")
    expect(site.get_by_label("Message", exact=True)).to_have_value("Half a sen")
    eventually(lambda: site.locator("#scroll").evaluate("node => node.scrollTop") == 40, 5, "the place read last")


def _key(page: Page) -> str:
    return page.evaluate(
        "JSON.parse(Object.entries(localStorage).find(([key]) => key.startsWith('callcenter-chat'))[1]).key"
    )


def test_a_page_that_takes_the_widget_away_each_time_goes_on(site):
    site.evaluate("""() => { window.taken = 0; new MutationObserver(() => {
        const one = document.querySelector('body > #callcenter-chat'); if (one) { one.remove(); taken += 1; } })
        .observe(document.body, { childList: true }); document.body.append('x'); }""")
    site.wait_for_function("taken > 2")
    assert site.evaluate("1 + 1") == 2


COUNTED = """window.counts = {};
for (const target of [window, document]) { const add = target.addEventListener, remove = target.removeEventListener;
  target.addEventListener = function (type, listener, how) {
    const name = `${type} ${how === true || how?.capture === true}`;
    counts[name] = (counts[name] ?? 0) + 1;
    how?.signal?.addEventListener('abort', () => (counts[name] -= 1), { once: true });
    return add.call(target, type, listener, how); };
  target.removeEventListener = function (type, listener, how) {
    counts[`${type} ${how === true || how?.capture === true}`] -= 1;
    return remove.call(target, type, listener, how); }; }"""


@pytest.mark.long
def test_neither_another_body_nor_an_end_and_a_new_beginning_leaves_anything_behind(opened, shop):
    page = hosting(opened, shop, COUNTED)
    page.locator(".launcher").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    at_first = page.evaluate("({...counts})")
    client = page.context.new_cdp_session(page)

    def left() -> dict[str, int]:
        client.send("HeapProfiler.collectGarbage")
        counters = client.send("Memory.getDOMCounters")
        return {name: counters[name] for name in ("nodes", "jsEventListeners", "documents")}

    def again(times: int) -> dict[str, int]:
        for _ in range(times):
            page.evaluate(f"document.body.replaceWith(document.createElement('body')); {INIT}")
            page.evaluate(f"CallCenterChat.destroy(); {INIT}; CallCenterChat.open()")
        return left()

    before, after = again(3), again(40)
    assert after["nodes"] - before["nodes"] < 200, "as many as one widget has"
    assert after["jsEventListeners"] - before["jsEventListeners"] < 40
    eventually(lambda: page.evaluate("({...counts})") == at_first, 5, "as many listeners as at first")


SHORTCUTS = """window.acted = [];
const act = event => { if (event.target.closest?.('input, textarea')) return;
  acted.push(`${event.type} ${event.key ?? ''}`); if (event.type.startsWith('key')) event.preventDefault(); };
for (const target of [document, document.documentElement, document.body, window])
  for (const type of ['keydown', 'keypress', 'keyup', 'input', 'beforeinput', 'paste', 'drop', 'dragover'])
    target.addEventListener(type, act, CAPTURE);"""
ALL = "The quick brown fox jumps over the lazy dog 0123456789 /?.,;'[]-=*gG"


@pytest.mark.parametrize("capture", first_of(["false", "{ capture: true }"]))
def test_a_page_with_single_key_shortcuts_hears_none_of_the_widgets(opened, shop, capture):
    shortcuts = SHORTCUTS.replace("CAPTURE", capture)
    page = hosting(opened, shop, shortcuts if capture == "false" else "")
    if capture != "false":  # where the page captures, it has to come after the widget
        page.evaluate(f"() => {{ {shortcuts.replace(', paste', '')} }}")
    page.locator(".launcher").click()
    page.get_by_label("Your name").press_sequentially(ALL)
    expect(page.get_by_label("Your name")).to_have_value(ALL)
    starts(page, "Sagita")
    field = page.get_by_label("Message", exact=True)
    field.press_sequentially(ALL)
    expect(field).to_have_value(ALL)
    field.press("Shift+Enter")
    field.press_sequentially("x")
    field.press("Backspace")
    field.press("Control+a")
    field.press("ArrowRight")
    field.press("Enter")
    expect(page.locator("#log .bubble").last).to_have_text(ALL)
    page.locator("#emoji-button").press("Enter")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(field).to_have_value("😂")
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_be_hidden()
    page.keyboard.press("Space")
    expect(page.locator(".panel")).to_be_visible()
    heard = page.evaluate("acted")
    assert [one for one in heard if "key" in one or capture == "false"] == []
    page.locator("h1").click()
    page.keyboard.press("g")
    assert "keydown g" in page.evaluate("acted")  # the page's own are left alone


TRAPS = {  # how modals keep the focus: all that stands beside them is out of reach, and whoever leaves is fetched back
    "by focusin": """document.addEventListener('focusin', ({ target }) => modal.contains(target) || inside.focus())""",
    "by focusin, captured": """document.addEventListener('focusin',
        event => { if (!modal.contains(event.target)) { event.stopImmediatePropagation(); inside.focus(); } }, true)""",
    "by focus at the window": """addEventListener('focus', event => { if (event.target instanceof Node &&
        !modal.contains(event.target)) { event.preventDefault(); event.stopPropagation(); inside.focus(); } }, true)""",
    "by what leaves": """document.addEventListener('focusout', ({ relatedTarget }) => relatedTarget &&
        !modal.contains(relatedTarget) && inside.focus())""",
    "by what leaves, captured": """document.addEventListener('blur', ({ relatedTarget }) => relatedTarget &&
        !modal.contains(relatedTarget) && setTimeout(() => inside.focus()), true)""",
    "with everything else inert": """{ for (const one of document.body.children)
        if (one !== modal) { one.inert = true; one.setAttribute('aria-hidden', 'true'); } }""",
    "with clicks swallowed": """for (const type of ['mousedown', 'click', 'focusin']) document.addEventListener(type,
        event => { if (modal.contains(event.target)) return;
          event.preventDefault(); event.stopImmediatePropagation(); inside.focus(); }, true)""",
    "with Tab": """document.addEventListener('keydown',
        event => { if (event.key !== 'Escape') event.preventDefault(); })""",
}


@pytest.mark.parametrize("how", first_of(TRAPS))
def test_whoever_writes_beside_a_modal_of_the_page_is_not_fetched_back(opened, shop, how):
    page = hosting(opened, shop)
    page.evaluate(f"""() => {{ const modal = document.createElement('div'), inside = document.createElement('input');
        modal.setAttribute('role', 'dialog'); modal.setAttribute('aria-modal', 'true'); modal.append(inside);
        modal.tabIndex = -1; document.body.append(modal); inside.focus(); {TRAPS[how]} }}""")
    page.locator(".launcher").click()
    name = page.get_by_label("Your name")
    name.click()
    expect(name).to_be_focused()  # in its own time, where the modal took the click
    page.keyboard.type("Maya Putri")
    page.keyboard.press("Tab")
    page.keyboard.type("maya@example.com")
    expect(name).to_have_value("Maya Putri")
    expect(page.get_by_label("E-mail")).to_have_value("maya@example.com")
    page.get_by_label("Your question").fill("Hello")
    page.locator("#start").click()
    expect(page.locator("#log .bubble")).to_have_text(["Hello"])
    message = page.get_by_label("Message", exact=True)
    message.click()
    expect(message).to_be_focused()
    page.keyboard.type("Once")
    expect(message).to_have_value("Once")
    page.locator("#send").click()
    expect(page.locator("#log .bubble")).to_have_text(["Hello", "Once"])
    page.locator("[aria-modal=true] input").click()
    page.locator("[aria-modal=true] input").fill("theirs")
    expect(page.locator("[aria-modal=true] input")).to_be_focused()


def test_neither_the_bubble_nor_the_chat_is_on_paper(site):
    starts(site)
    for media, seen in (("print", False), ("screen", True)):
        site.emulate_media(media=media)
        for part in (".launcher", ".panel"):
            expect(site.locator(part)).to_be_visible(visible=seen)


@pytest.mark.parametrize(
    ("tags", "language"),
    first_rows(
        [
            (("in", "in-ID", "IN_id", "id", "id-ID", "ID_ID", " id-Latn-ID ", "ind"), "id"),
            (("en-ID", "ido", "ina", "inh", "de"), "en"),
        ]
    ),
)
def test_indonesian_is_known_by_all_its_names(site, shop, tags, language):
    words = {"id": "Buka percakapan", "en": "Open the chat"}
    for tag in tags:
        begin = f"CallCenterChat.destroy(); CallCenterChat.init({{ locale: {tag!r} }})"
        site.evaluate(begin)
        expect(site.locator(".launcher"), tag).to_have_attribute("aria-label", words[language])
        site.evaluate("tag => { CallCenterChat.destroy(), document.documentElement.lang = tag }", tag)
        site.evaluate("CallCenterChat.init()")
        expect(site.locator(".launcher"), tag).to_have_attribute("aria-label", words[language])
    site.evaluate("document.documentElement.lang = ''")
    other = site.context.new_page()
    for tag in tags:
        other.add_init_script(f"Object.defineProperty(navigator, 'languages', {{ get: () => [{tag!r}, 'en'] }})")
        other.goto(f"{shop.url}/chat?tenant=shop")
        expect(other.locator("html"), tag).to_have_attribute("lang", language)
