"""What strangers write, however long and odd, on real pages: the time that it costs grows as its length does."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from testbed.agentpages import Customer
from tests.hostile import LENGTHS, NOISE_S, SHAPES, STEP

TRIES = 12  # the wall's time is measured here, and others' work with it: at as many moments the least is one's own

# Gives {"what: shape": why} of what is steeper than linear, as `steeper_than_linear` does.
GROWTH = """async ({ texts, tries, step, noise }) => {
  const took = (work, text) => {
    const began = performance.now();
    work(text);
    return performance.now() - began;
  };
  const rest = () => new Promise((done) => setTimeout(done, 30));
  const least = async (work, text) => {
    let ms = Infinity;
    for (let n = 0; n < tries; n += 1) await rest(), (ms = Math.min(ms, took(work, text)));
    return ms;
  };
  const found = {};
  const steeper = async (work, lengths) => {
    let before = null;
    for (const text of lengths) {
      let now = took(work, text);
      const linear = (ms) => noise * 1000 + step * ms * text.length / before.text.length;
      if (before && now > linear(before.now)) {
        now = Math.min(now, await least(work, text));
        const again = await least(work, before.text);
        if (now > linear(again)) return `${before.text.length}: ${again} ms, ${text.length}: ${now} ms`;
      }
      before = { text, now };
    }
    return "";
  };
  for (const [what, work] of Object.entries(await WORKS))
    for (const [shape, lengths] of Object.entries(texts)) {
      const why = await steeper(work, lengths);
      if (!why) continue;
      found[`${what}: ${shape}`] = why;
      break; // one of each is enough: what is steep takes long
    }
  return found;
}"""
CUSTOMERS = """(async () => {
  const { drawThread, sentence } = await import("/static/js/customer/bubbles.js");
  const { avatar } = await import("/static/js/core/dom.js");
  const by = { sender_id: "a", sender_name: "Ani", created_at: new Date().toISOString(), attachments: [] };
  const row = (body, sender_type) => ({ seq: 1, body, sender_type, ...by });
  const on = { again() {}, drop() {}, address: () => "" };
  const state = { pending: [], marks: { got: 0, read: 0 } };
  const drawn = (...rows) => drawThread(document.createElement("div"), { ...state, rows }, on);
  return {
    "an agent's bubble": (text) => drawn(row(text, "agent")),
    "one's own bubble": (text) => drawn(row(text, "customer")),
    "said aloud": (text) => sentence(row(text, "agent")),
    "an avatar": (text) => avatar(text),
  };
})()"""
AGENTS = """(async () => {
  const modules = ["log", "list", "details", "desk"];
  const [{ showLog }, { showFound, showList }, { showDetails }, { Desk }] = await Promise.all(
    modules.map((name) => import(`/static/js/agent/${name}.js`)));
  const emptied = (id) => document.getElementById(id).replaceChildren();
  const at = new Date().toISOString(), me = { agent_id: "a", name: "Ani", presence: "online", role: "agent" };
  const by = { sender_type: "customer", sender_id: "", created_at: at };
  const message = (body) => ({ seq: 1, body, sender_name: body, ...by });
  const session = (text) => ({ session_id: "s", status: "waiting", created_at: at, last_seq: 1, rating_comment: text,
    customer: { id: 1, name: text, email: text, proved: false }, last_message: message(text) });
  const desk = (text) => {
    const made = new Desk();
    made.me = me;
    made.put(session(text));
    return made;
  };
  const tab = { tab: "all", show: "open", ended: () => [], agent: "", only: {}, most: 50, fresh: new Set(), at: null };
  const hit = (text) => ({ ...session("Maya"), message: message(text), snippet: text });
  const log = (room) => showLog(document.createElement("ul"), { session: session("Maya"), me, room });
  return {
    "a message": (text) => log({ messages: [message(text)], notes: [] }),
    "a note": (text) => log({ messages: [], notes: [{ id: 1, body: text, created_at: at }] }),
    "a row of the list": (text) => (emptied("rows"), showList({ ...tab, filter: "" }, desk(text), null)),
    "the filter": (text) => showList({ ...tab, filter: "no such" }, desk(text), null),
    "what was found": (text) => showFound({ results: [hit(text)] }, () => {}),
    "whom was found": (text) => showFound({ results: [{ ...hit(text), person: true }] }, () => {}),
    "the details": (text) => (emptied("visits"),
      showDetails(session(text), { notes: [], told: true }, [session(text)], () => {})),
  };
})()"""
MARKS = """async (snippets) => {
  const { showFound } = await import("/static/js/agent/list.js");
  const hit = { session_id: "s", customer: { name: "Maya" }, created_at: new Date().toISOString() };
  const results = [...snippets.map((snippet) => ({ ...hit, snippet })), { ...hit, snippet: snippets[0], person: true }];
  showFound({ results }, () => {});
  return [...document.querySelectorAll("#found-rows .said")].map((node) => [
    node.textContent, [...node.querySelectorAll("mark")].map((mark) => mark.textContent)]);
}"""


def steeper_than_linear(page: Page, works: str) -> dict[str, str]:
    texts = {name: [shape(length) for length in LENGTHS] for name, shape in SHAPES.items()}
    facts: dict[str, Any] = {"texts": texts, "tries": TRIES, "step": STEP, "noise": NOISE_S}
    return page.evaluate(GROWTH.replace("WORKS", works), facts)


@pytest.mark.long
def test_what_is_drawn_for_customers_is_linear_in_its_length(opened, shop):
    assert steeper_than_linear(opened(f"/chat?tenant={shop.id}"), CUSTOMERS) == {}


def test_what_is_drawn_for_agents_is_linear_in_its_length(desk):
    page = desk(None).page
    assert steeper_than_linear(page, AGENTS) == {}


LINKED = {
    "see https://a.example/b.": ["https://a.example/b"],
    "(https://a.example/b)": ["https://a.example/b"],
    "(https://a.example/b).)": ["https://a.example/b"],
    "https://a.example/b_(c) and https://a.example/d_(e)?!": ["https://a.example/b_(c)", "https://a.example/d_(e)"],
    "((https://a.example/(b)))": ["https://a.example/(b)"],
    "https://a.example/" + "b" * 2030: ["https://a.example/" + "b" * 2030],
    "https://a.example/" + "b" * 2031: [],
    "https://a.example/" + "b" * 2030 + ")." * 3000: ["https://a.example/" + "b" * 2030],
    "http:// https:// https://[ javascript:alert(1)": [],
    "http://a.example " * 300: ["http://a.example"] * 100,
    "www.a.example/b, (WWW.a.example) and awww.a": ["https://www.a.example/b", "https://WWW.a.example"],
    "to budi.s+1@mail.example.id. Or @maya, or a@b": ["mailto:budi.s+1@mail.example.id"],
    "https://budi@a.example/c@d.example": ["https://budi@a.example/c@d.example"],
}


def test_a_link_ends_where_its_sentence_goes_on_and_long_ones_and_many_stay_text(opened, shop):
    page = opened(f"/chat?tenant={shop.id}")
    found = page.evaluate(
        """async (texts) => {
          const { linked } = await import("/static/js/core/dom.js");
          return texts.map((text) => { const made = linked(text);
            if (made.textContent !== text) throw new Error(text);
            return [...made.querySelectorAll("a")].map((link) => {
              if (!link.getAttribute("href").endsWith(link.textContent)) throw new Error(link.outerHTML);
              return link.getAttribute("href"); }); }); }""",
        list(LINKED),
    )
    assert dict(zip(LINKED, found, strict=True)) == LINKED


def test_marks_that_a_customer_wrote_are_no_finding_of_the_search(desk):
    page = desk(None).page
    shown = page.evaluate(MARKS, ["a \x02b\x03 c\x03 \x02d", "\x03\x02", ""])
    texts = [text.replace("\u0002", "").replace("\u0003", "") for text, _ in shown]
    assert texts == ["a b c d", "", "", "a b c d"], json.dumps(shown)
    assert [marks for _, marks in shown] == [["b"], [], [], []]


@pytest.mark.long
def test_an_agent_works_on_with_the_longest_messages_of_each_shape(desk, shop):
    customer = Customer(shop, "Maya Putri", "Hello")
    for number, shape in enumerate(SHAPES.values()):
        text = f"x{shape(10_000)}"[:10_000]
        if number % 4:
            Customer(shop, f"Customer {number}", text)
        else:
            customer.says(text)
    customer.says("the last one")
    made = desk("agent@demo.com")
    made.pick(customer)
    expect(made.page.locator("#log .msg").last).to_contain_text("the last one")
    made.page.locator("#text").fill("I am still here")
    made.page.locator("#text").press("Enter")
    expect(made.page.locator("#log .msg").last).to_contain_text("I am still here")
