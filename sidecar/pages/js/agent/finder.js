// Which conversations the left panel shows: tabs, open or ended, the filters, the search; and the pages of the ended ones.
// Before it the person, after it REST and the list.

import { ask } from "./api.js";
import { showFound, shownIn } from "./list.js";
import { explain, quietly } from "./notices.js";
import { ROWS, desk, draw, page, view } from "./state.js";
import { byId, setAttr } from "../core/dom.js";

const SEARCH_MS = 300;
const SEARCH_FROM = 2; // letters
const TABS = ["mine", "queue", "all"];

const history = { rows: [], next: null, loaded: false, stale: false };
let found = null;
let searchTimer = 0;
let openRoom = () => {};

/** `deeds`: {openRoom(id, {seq, focus})} */
export function wireFinder(deeds) {
  ({ openRoom } = deeds);
  view.ended = endedOnes;
  for (const tab of document.querySelectorAll("#tabs [role=tab]")) tab.addEventListener("click", () => chooseTab(tab.dataset.tab));
  byId("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    chooseTab(TABS.at((TABS.indexOf(view.tab) + step) % TABS.length));
    byId(`tab-${view.tab}`).focus();
  });
  for (const chip of document.querySelectorAll("[data-show]")) chip.addEventListener("click", () => chooseShow(chip.dataset.show));
  for (const chip of document.querySelectorAll("[data-only]")) chip.addEventListener("click", () => narrow({ only: { ...view.only, [chip.dataset.only]: !view.only[chip.dataset.only] } }));
  byId("of-agent").addEventListener("change", () => narrow({ agent: byId("of-agent").value }));
  byId("more").addEventListener("click", more);
  byId("search").addEventListener("input", searched);
}

// ---- tabs and filters

export function chooseTab(tab) {
  page.moves += 1;
  Object.assign(view, { tab, most: ROWS });
  for (const each of document.querySelectorAll("#tabs [role=tab]")) {
    const chosen = each.dataset.tab === tab;
    setAttr(each, "aria-selected", chosen);
    each.tabIndex = chosen ? 0 : -1;
  }
  setAttr(byId("list-box"), "aria-labelledby", `tab-${tab}`);
  byId("chips").hidden = tab !== "all";
  if (endedShown()) freshHistory();
  draw();
}

function chooseShow(show) {
  Object.assign(view, { show, most: ROWS });
  for (const each of document.querySelectorAll("[data-show]")) setAttr(each, "aria-pressed", each.dataset.show === show);
  if (endedShown()) freshHistory();
  draw();
}

function narrow(change) {
  Object.assign(view, change, { most: ROWS });
  for (const chip of document.querySelectorAll("[data-only]")) setAttr(chip, "aria-pressed", view.only[chip.dataset.only]);
  draw();
}

// ---- more of them, and the ended

const isCut = () => shownIn(view, desk).length > view.most;

const endedShown = () => view.tab === "all" && view.show === "ended";

/** Whether there is more than the list shows. */
export const hasMore = () => isCut() || (endedShown() && Boolean(history.next));

function more() {
  if (isCut()) view.most += ROWS;
  else if (endedShown()) return moreHistory();
  draw();
}

const historyPage = (cursor) => ask("GET", `sessions?status=ended${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

async function moreHistory() {
  try {
    const told = await historyPage(history.next);
    history.rows.push(...told.sessions);
    if (history.loaded) view.most += told.sessions.length;
    Object.assign(history, { next: told.next, loaded: true });
  } catch (error) {
    explain(error);
  }
  draw();
}

/** The first page once more: what ended while the socket was away is on it. Later pages stay as they are, unless so much
    has ended that the new first page does not reach to them. */
async function freshHistory() {
  if (!history.loaded) return moreHistory();
  if (!history.stale) return;
  history.stale = false;
  try {
    const { sessions, next } = await historyPage(null);
    const known = new Set(history.rows.map((session) => session.session_id));
    const reaches = !next || sessions.some((session) => known.has(session.session_id));
    Object.assign(history, reaches ? { rows: [...history.rows, ...sessions] } : { rows: sessions, next });
  } catch (error) {
    history.stale = true;
    quietly(error);
  }
  draw();
}

const endedOnes = () => {
  const here = [...desk.sessions.values()].filter((session) => session.status === "ended");
  const all = new Map([...history.rows, ...here].map((session) => [session.session_id, session]));
  return [...all.values()].sort((a, b) => (b.ended_at ?? "").localeCompare(a.ended_at ?? ""));
};

/** Before a load, which brings the open ones only. */
export function keepEnded() {
  history.rows.push(...[...desk.sessions.values()].filter((session) => session.status === "ended"));
  history.stale = history.loaded;
}

/** After it. */
export function refreshEnded() {
  if (endedShown()) freshHistory();
}

export const endedKnown = () => history.loaded;

// ---- search

export function searched() {
  view.filter = byId("search").value;
  clearTimeout(searchTimer);
  found = view.filter.trim().length >= SEARCH_FROM ? { busy: true, results: [] } : null;
  if (found) searchTimer = setTimeout(() => searchAll(view.filter.trim()), SEARCH_MS);
  showFound(found, openFound);
  draw();
}

async function searchAll(q) {
  try {
    const [{ results, more: othersToo }, { sessions }] = await Promise.all([ask("GET", `search?q=${encodeURIComponent(q)}`), ask("GET", `sessions?q=${encodeURIComponent(q)}`)]);
    if (q !== view.filter.trim()) return;
    const inMessages = new Set(results.map((hit) => hit.session_id));
    const shown = new Set(shownIn(view, desk).map((session) => session.session_id));
    const people = sessions.filter(({ session_id: id }) => !inMessages.has(id) && !shown.has(id))
      .map((session) => ({ session_id: session.session_id, customer: session.customer, message: session.last_message, created_at: session.created_at, snippet: session.last_message?.body ?? session.customer.email, person: true }));
    found = { results: [...results, ...people], more: othersToo ? results.length : 0 };
  } catch (error) {
    if (q !== view.filter.trim()) return;
    found = { results: [] };
    explain(error);
  }
  showFound(found, openFound);
}

const openFound = (id, seq) => openRoom(id, { seq, focus: false });

export const showSearch = () => showFound(found, openFound);
