/* A chart as SVG of our own: lines, an area, bars; marks of events; a cross hair that follows the pointer and the arrow keys.
 *
 *   const chart = plot({ title, series: [{ name, kind: "line"|"area"|"bar", tone: 1…4, of: (point) => number|null }], say });
 *   chart.node, chart.show({ points, events, step_s, target })
 *
 * Colours are those of the theme (css), told apart by their lines, too.
 */

import { make, setAttr, setText } from "../core/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 720;
const HIGH = 190;
const LEFT = 44;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 24;
const LINES = 4; // of the grid
const TIMES = [5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

export function drawn(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter(Boolean));
  return node;
}

/** The least round number that is not below: 1, 2, 5, 10, 20, … */
export function roundUp(value) {
  if (value <= LINES) return LINES;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((each) => each * power).find((each) => each >= value);
}

/** The same for a time in seconds: the lines of the grid stand at whole minutes or hours. */
export const roundTime = (seconds) => LINES * (TIMES.find((each) => each * LINES >= seconds) ?? roundUp(seconds / LINES));

/** Pieces of a line without holes: [[x, y], …] each; a null begins another. */
export function pieces(values, xOf, yOf) {
  const found = [];
  let piece = null;
  for (const [at, value] of values.entries()) {
    if (value === null || value === undefined) { piece = null; continue; }
    if (!piece) found.push((piece = []));
    piece.push([xOf(at), yOf(value)]);
  }
  return found;
}

const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

export class Plot {
  #options;
  #data = null;
  #at = null;
  #marks = drawn("g", { class: "plot-marks" });
  #body = drawn("g");
  #cross = drawn("g", { class: "plot-cross" });
  #numbers = make("p", { class: "plot-numbers", role: "status" });
  #title = make("h2");
  #legend = make("ul", { class: "plot-legend" });
  #svg = drawn("svg", { class: "plot", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", tabindex: "0", preserveAspectRatio: "none" });

  constructor(options) {
    this.#options = options;
    this.#svg.append(this.#body, this.#marks, this.#cross);
    this.node = make("figure", { class: "chart card" }, make("figcaption", {}, this.#title, this.#legend), make("div", { class: "plot-box" }, this.#svg), this.#numbers);
    this.#svg.addEventListener("pointermove", (event) => this.#point(event));
    this.#svg.addEventListener("pointerleave", () => document.activeElement !== this.#svg && this.#look(null));
    this.#svg.addEventListener("keydown", (event) => this.#key(event));
    this.#svg.addEventListener("blur", () => this.#look(null));
  }

  /** `words`: {title, names: […], value(series, n), moment(iso), summary(points)} */
  show(data, words) {
    this.#data = { ...data, words };
    const wide = Math.max(280, Math.round(this.#svg.clientWidth) || WIDE);
    this.#wide = wide;
    setAttr(this.#svg, "viewBox", `0 0 ${wide} ${HIGH}`);
    setText(this.#title, words.title);
    this.#legend.replaceChildren(...this.#options.series.map(({ tone, kind }, at) => make("li", { class: `tone-of-${tone}` }, make("i", { class: `key of-${kind}` }), make("span", { text: words.names[at] }))));
    this.#draw();
    setAttr(this.#svg, "aria-label", `${words.title}. ${words.summary(data.points)}`);
    this.#look(this.#at !== null && this.#at < data.points.length ? this.#at : null);
  }

  #wide = WIDE;
  #x = (at) => LEFT + ((this.#wide - LEFT - RIGHT) * (at + 0.5)) / Math.max(1, this.#data.points.length);
  #y = (value) => TOP + (HIGH - TOP - BOTTOM) * (1 - value / this.#most);
  #most = LINES;

  #draw() {
    const { points, words } = this.#data;
    const lines = this.#options.series.map(({ of }) => points.map(of));
    const highest = Math.max(1, ...lines.flat().filter((value) => value !== null && value !== undefined));
    this.#most = words.isTime ? roundTime(highest) : roundUp(highest);
    this.#body.replaceChildren(this.#grid(words), ...this.#options.series.map((series, at) => this.#line(series, lines[at])));
    this.#marks.replaceChildren(...this.#data.events.map((event) => this.#mark(event)).filter(Boolean));
  }

  #grid(words) {
    const group = drawn("g", { class: "plot-grid" });
    for (let at = 0; at <= LINES; at += 1) {
      const value = (this.#most * at) / LINES;
      const y = this.#y(value);
      group.append(drawn("line", { x1: LEFT, x2: this.#wide - RIGHT, y1: y, y2: y }));
      group.append(label(LEFT - 8, y + 4, "end", words.axis(value)));
    }
    const { points } = this.#data;
    const ticks = Math.min(points.length, Math.max(2, Math.floor(this.#wide / 130)));
    for (let n = 0; n < ticks; n += 1) {
      const at = Math.round(((points.length - 1) * n) / Math.max(1, ticks - 1));
      if (points[at]) group.append(label(this.#x(at), HIGH - 6, n === 0 ? "start" : n === ticks - 1 ? "end" : "middle", words.tick(points[at].at)));
    }
    return group;
  }

  #line({ kind, tone }, values) {
    const group = drawn("g", { class: `plot-${kind} tone-of-${tone}` });
    if (kind === "bar") {
      const width = Math.max(1, ((this.#wide - LEFT - RIGHT) / Math.max(1, values.length)) * 0.7);
      for (const [at, value] of values.entries()) if (value) group.append(drawn("rect", { x: (this.#x(at) - width / 2).toFixed(1), y: this.#y(value).toFixed(1), width: width.toFixed(1), height: (this.#y(0) - this.#y(value)).toFixed(1) }));
      return group;
    }
    for (const piece of pieces(values, this.#x, this.#y)) {
      if (kind === "area") group.append(drawn("path", { class: "fill", d: `${path(piece)}L${piece.at(-1)[0].toFixed(1)} ${this.#y(0)}L${piece[0][0].toFixed(1)} ${this.#y(0)}Z` }));
      if (piece.length === 1) group.append(drawn("circle", { cx: piece[0][0], cy: piece[0][1], r: 2 }));
      else group.append(drawn("path", { class: "stroke", d: path(piece) }));
    }
    return group;
  }

  #mark({ at, text }) {
    const { points, step_s: step } = this.#data;
    if (!points.length) return null;
    const index = (Date.parse(at) - Date.parse(points[0].at)) / 1000 / step;
    if (index < 0 || index > points.length) return null;
    const x = this.#x(index - 0.5);
    return drawn("g", {}, drawn("title", {}, text), drawn("line", { x1: x, x2: x, y1: TOP, y2: HIGH - BOTTOM }), drawn("path", { d: `M${x - 4} ${TOP - 8}h8l-4 7z` }));
  }

  #point(event) {
    const box = this.#svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.#wide;
    const { points } = this.#data ?? { points: [] };
    const at = Math.floor(((x - LEFT) / (this.#wide - LEFT - RIGHT)) * points.length);
    this.#look(at >= 0 && at < points.length ? at : null);
  }

  #key(event) {
    const last = (this.#data?.points.length ?? 0) - 1;
    const at = this.#at ?? last;
    const to = { ArrowLeft: at - (this.#at === null ? 0 : 1), ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (event.key === "Escape") return this.#look(null);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.#look(Math.min(last, Math.max(0, to)));
  }

  #look(at) {
    this.#at = at;
    const point = at === null ? null : this.#data?.points[at];
    this.#cross.replaceChildren();
    if (!point) return setText(this.#numbers, "");
    const { words, events, step_s: step } = this.#data;
    const x = this.#x(at);
    this.#cross.append(drawn("line", { x1: x, x2: x, y1: TOP, y2: HIGH - BOTTOM }));
    for (const { of, tone } of this.#options.series) {
      const value = of(point);
      if (value !== null && value !== undefined) this.#cross.append(drawn("circle", { class: `tone-of-${tone}`, cx: x, cy: this.#y(value), r: 4 }));
    }
    const near = events.filter((event) => Math.abs(Date.parse(event.at) - Date.parse(point.at) - step * 500) <= step * 500).map(({ text }) => text);
    setText(this.#numbers, [words.moment(point.at), ...this.#options.series.map((series, n) => `${words.names[n]} ${words.value(series.of(point))}`), ...near].join(" · "));
  }
}

function label(x, y, anchor, text) {
  const node = drawn("text", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}
