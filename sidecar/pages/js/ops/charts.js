// "Charts": the series of an hour, a day or a week, drawn or as a table, and as CSV. Asked for once a step, not pushed.

import { refusedFor } from "./acts.js";
import { Plot } from "./plot.js";
import { queueName } from "./queue.js";
import { percent } from "./says.js";
import { app, pathOf } from "./state.js";
import { Refused, ask, fetchBlob } from "../agent/api.js";
import { byId, keyed, make, setAttr, setText } from "../core/dom.js";
import { save as saveBlob } from "../core/saving.js";
import { clock, currentLanguage, dateTime, number, onLanguage, span, t } from "../words/words.js";

const RANGES = ["1h", "24h", "7d"];
const MINUTE_MS = 60_000;
const line = (name, tone) => ({ name, tone, kind: "line", of: (point) => point[name] });
const CHARTS = [
  { title: "ch_waiting", series: [{ ...line("waiting", 1), kind: "area" }], of: "number" },
  { title: "ch_waits", series: [line("wait_p95_s", 2), line("wait_p50_s", 1)], of: "span" },
  { title: "ch_flow", series: [{ ...line("arrived", 3), kind: "bar" }, line("assigned", 1), line("abandoned", 2)], of: "number" },
  { title: "ch_seats", series: [{ ...line("seats_taken", 1), kind: "area" }, line("seats_free", 3)], of: "number" },
];
const COLUMNS = ["waiting", "wait_p50_s", "wait_p95_s", "arrived", "assigned", "abandoned", "seats_taken", "seats_free"];
const view = { isShown: false, tenant: null, range: "1h", queue: "", as: "charts", told: null, timer: 0, asked: 0 };
const plots = CHARTS.map(({ series }) => new Plot({ series }));

export function chartsView() {
  byId("charts").append(...plots.map(({ node }) => node));
  byId("charts-range").addEventListener("click", ({ target }) => target.dataset.range && app.change({ range: target.dataset.range }));
  byId("charts-as").addEventListener("click", ({ target }) => target.dataset.as && app.change({ as: target.dataset.as }));
  byId("charts-queue").addEventListener("change", ({ target }) => app.change({ queue: target.value }));
  byId("charts-csv").addEventListener("click", save);
  addEventListener("resize", () => view.isShown && draw());
  onLanguage(() => draw());
  return { show, hide, draw };
}

function show({ tenant, range, queue = "", as = "charts" }) {
  const wanted = { tenant, range: RANGES.includes(range) ? range : "1h", queue, as: as === "table" ? "table" : "charts" };
  const isNew = !view.isShown || ["tenant", "range", "queue"].some((name) => wanted[name] !== view[name]);
  if (wanted.tenant !== view.tenant) view.told = null;
  Object.assign(view, wanted, { isShown: true });
  if (isNew) load();
  draw();
}

function hide() {
  view.isShown = false;
  clearTimeout(view.timer);
}

const query = () => `range=${view.range}${view.queue ? `&queue=${encodeURIComponent(view.queue)}` : ""}`;

async function load() {
  clearTimeout(view.timer);
  const mine = (view.asked += 1);
  let told = null;
  let fault = "";
  try {
    told = await ask("GET", pathOf(`series?${query()}`));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    fault = refusedFor(error);
  }
  if (mine !== view.asked || !view.isShown) return;
  view.told = told ?? view.told;
  byId("charts-fault").hidden = !fault;
  setText(byId("charts-fault"), fault);
  view.timer = setTimeout(load, MINUTE_MS);
  draw();
}

async function save() {
  try {
    saveBlob(await fetchBlob(pathOf(`series?${query()}&format=csv`)), `${view.tenant}-${view.range}.csv`);
  } catch (error) {
    byId("charts-fault").hidden = false;
    setText(byId("charts-fault"), refusedFor(error));
  }
}

function drawFilters() {
  for (const button of byId("charts-range").children) setAttr(button, "aria-pressed", button.dataset.range === view.range);
  for (const button of byId("charts-as").children) setAttr(button, "aria-pressed", button.dataset.as === view.as);
  const names = ["", ...new Set([...(view.told?.queues ?? []).map((each) => each.name ?? each), view.queue].filter(Boolean))];
  keyed(byId("charts-queue"), names, (name) => name, (name) => make("option", { value: name }), (node, name) => setText(node, name ? queueName(name) : t("allQueues")));
  byId("charts-queue").value = view.queue;
}

function draw() {
  if (!view.isShown) return;
  drawFilters();
  byId("charts").hidden = view.as !== "charts" || !view.told;
  byId("charts-sheet").hidden = view.as !== "table" || !view.told;
  setText(byId("charts-eta"), view.told ? etaSays(view.told.eta) : t("loading"));
  if (!view.told) return;
  if (view.as === "table") return table();
  for (const [at, chart] of CHARTS.entries()) plots[at].show(view.told, wordsOf(chart));
}

function etaSays(told) {
  if (!told?.of || told.within === null) return t("etaUnknown");
  return t("etaTrue", { share: percent(told.within), n: told.of, error: told.mean_error_s === null ? "–" : span(told.mean_error_s) });
}

const value = (kind, n) => (n === null || n === undefined ? "–" : kind === "span" ? span(n) : number(n));
const short = (iso) => (view.range === "7d" ? new Date(iso).toLocaleDateString(currentLanguage(), { weekday: "short", day: "numeric" }) : clock(iso));

function wordsOf({ title, series, of }) {
  return {
    title: t(title),
    names: series.map(({ name }) => t(`s_of_${name}`)),
    isTime: of === "span",
    axis: (n) => (of === "span" && n > 60 && n < 3600 && n % 60 ? `${span(n - (n % 60))} ${span(n % 60)}` : value(of, n)),
    value: (n) => value(of, n),
    tick: short,
    moment: view.range === "7d" ? dateTime : clock,
    summary: (points) => series.map((each) => t("summary", { name: t(`s_of_${each.name}`), most: value(of, Math.max(0, ...points.map(each.of).filter((n) => n !== null))), last: value(of, points.map(each.of).findLast((n) => n !== null)) })).join(" "),
  };
}

function table() {
  const head = make("tr", {}, make("th", { scope: "col", text: t("when") }), ...COLUMNS.map((name) => make("th", { scope: "col", class: "num", text: t(`s_of_${name}`) })));
  const rows = [...view.told.points].reverse().map((point) => make("tr", {}, make("th", { scope: "row", text: dateTime(point.at) }), ...COLUMNS.map((name) => make("td", { class: "num", text: value(name.startsWith("wait_") ? "span" : "number", point[name]) }))));
  byId("charts-table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}
