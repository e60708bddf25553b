// The switches: a form made from one table, in step with the server in both directions.

import { ask } from "./api.js";
import { byId, el, setText } from "./dom.js";
import { t } from "./words.js";

const KINDS = ["500", "500_after", "502_html", "200_html", "429", "429_retry_after", "timeout_before", "timeout_after",
  "reset_before", "reset_after", "401", "403"];
const WHERE = { all: [], assign: ["assign", "allocate_assign"], roster: ["roster"] };
const seconds = (name, most, step = 0.5) => ({ name, kind: "range", most, step, unit: "u_s" });
const share = (name) => ({ name, kind: "range", most: 100, step: 1, unit: "u_pct", factor: 0.01 });
const flag = (name) => ({ name, kind: "flag" });
const GROUPS = [
  ["g_api", [
    { name: "latency_ms", kind: "range", most: 5000, step: 50, unit: "u_ms" },
    { name: "jitter_ms", kind: "range", most: 5000, step: 50, unit: "u_ms" },
    share("fail_p"), { name: "fail_kinds", kind: "kinds" }, { name: "fail_where", kind: "where" }, seconds("hang_s", 60, 1),
    share("hang_assign_p"), seconds("hang_assign_from_s", 30, 1), seconds("hang_assign_to_s", 30, 1),
  ]],
  ["g_hooks", [
    { name: "webhook_twice", kind: "flag", read: (faults) => faults.webhook_copies > 1, write: (on) => ({ webhook_copies: on ? 2 : 1 }) },
    share("webhook_drop_p"), seconds("webhook_delay_s", 30), seconds("webhook_jitter_s", 30), seconds("resolved_delay_s", 30),
    { name: "webhook_retries", kind: "range", most: 5, step: 1, unit: "u_x" },
  ]],
  ["g_desk", [seconds("count_lag_s", 30), seconds("room_lag_s", 30), seconds("list_lag_s", 30), flag("stale_rows"), flag("hide_offline"),
    flag("bare_array"), flag("listed_without_counts"), flag("nested_meta"), flag("legacy_assign"), flag("null_candidate"), flag("null_latest_service"), flag("unknown_refused")]],
  ["g_chats", [seconds("auto_resolve_s", 120, 1), seconds("auto_resolve_jitter_s", 120, 1)]],
];
const PRESETS = {
  set_calm: null,
  set_twice: { webhook_copies: 2, webhook_copy_gap_s: 1 },
  set_slow: { latency_ms: 800, jitter_ms: 1200, count_lag_s: 4, room_lag_s: 2, list_lag_s: 3 },
  set_storm: { latency_ms: 100, jitter_ms: 400, fail_p: 0.25, fail_kinds: KINDS.slice(0, 10), hang_s: 15, webhook_copies: 2,
    webhook_jitter_s: 2, webhook_drop_p: 0.02, count_lag_s: 3 },
};
// Not counted as faults: how the desk is on a good day, and the demo's own helper.
const ORDINARY = new Set(["fail_kinds", "fail_on", "stale_rows", "payload_channel", "seed", "hang_s", "retry_after_s",
  "webhook_copy_gap_s", "jitter_ms", "auto_resolve_s", "auto_resolve_jitter_s", "hang_assign_from_s",
  "hang_assign_to_s", "hang_assign_kinds"]);

let setters = [];

export function buildFaults(trying) {
  const move = (moved) => trying(() => ask("PUT", "faults", moved));
  setters = [];
  const groups = GROUPS.map(([title, rows]) =>
    el("fieldset", {}, el("legend", { text: t(title) }), ...rows.map((row) => MAKERS[row.kind](row, move))));
  byId("faults").replaceChildren(presets(trying), ...groups);
}

export function showFaults(faults) {
  for (const set of setters) set(faults);
  const moved = Object.entries(faults).filter(([name, value]) => isMoved(name, value)).length;
  byId("fault-count").hidden = moved === 0;
  setText(byId("fault-count"), moved);
}

function isMoved(name, value) {
  if (ORDINARY.has(name)) return false;
  if (name === "webhook_copies") return value > 1;
  return typeof value === "object" ? Object.keys(value ?? {}).length > 0 : Boolean(value);
}

function presets(trying) {
  const buttons = Object.entries(PRESETS).map(([name, moved]) => {
    const button = el("button", { type: "button", cls: "small", text: t(name), "data-preset": name });
    button.addEventListener("click", () => trying(async () => {
      await ask("DELETE", "faults");
      if (moved) await ask("PUT", "faults", moved);
    }));
    return button;
  });
  return el("div", { cls: "presets", role: "group", "aria-label": t("presets") }, ...buttons);
}

const MAKERS = {
  range({ name, most, step, unit, factor = 1 }, move) {
    const input = el("input", { type: "range", id: `f-${name}`, min: 0, max: most, step });
    const output = el("output", { for: `f-${name}` });
    const tell = () => {
      setText(output, `${Number(input.value)} ${t(unit)}`);
      input.setAttribute("aria-valuetext", output.textContent);
      input.style.setProperty("--filled", `${(input.value / most) * 100}%`);
    };
    input.addEventListener("input", tell);
    input.addEventListener("change", () => move({ [name]: Number((input.value * factor).toFixed(4)) }));
    setters.push((faults) => {
      if (document.activeElement === input && input.matches(":active")) return; // a hand is on it
      input.value = Math.round((faults[name] / factor) * 100) / 100;
      tell();
    });
    return el("div", { cls: "field" }, el("label", { for: `f-${name}`, text: t(name) }), output, input);
  },

  flag({ name, read = (faults) => faults[name], write = (on) => ({ [name]: on }) }, move) {
    const input = el("input", { type: "checkbox", id: `f-${name}`, cls: "flag" });
    input.addEventListener("change", () => move(write(input.checked)));
    setters.push((faults) => { input.checked = Boolean(read(faults)); });
    return el("div", { cls: "field flagged" }, el("label", { for: `f-${name}`, text: t(name) }), input);
  },

  kinds({ name }, move) {
    const boxes = KINDS.map((kind) => el("input", { type: "checkbox", value: kind, id: `f-kind-${kind}` }));
    const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
    for (const box of boxes)
      box.addEventListener("change", () => {
        if (!chosen().length) box.checked = true; // one kind at least
        move({ fail_kinds: chosen() });
      });
    setters.push((faults) => { for (const box of boxes) box.checked = faults[name].includes(box.value); });
    const chips = boxes.map((box) => el("label", { cls: "chip", for: box.id }, box, el("span", { text: t(`k_${box.value}`) })));
    return el("div", { cls: "field", role: "group", "aria-label": t(name) }, el("span", { cls: "label", text: t(name) }), el("div", { cls: "chips" }, ...chips));
  },

  where({ name }, move) {
    const select = el("select", { id: `f-${name}` }, ...Object.keys(WHERE).map((where) => el("option", { value: where, text: t(`where_${where}`) })));
    select.addEventListener("change", () => move({ fail_on: WHERE[select.value] }));
    setters.push((faults) => {
      select.value = faults.fail_on.includes("assign") ? "assign" : faults.fail_on.includes("roster") ? "roster" : "all";
    });
    return el("div", { cls: "field flagged" }, el("label", { for: `f-${name}`, text: t(name) }), select);
  },
};
