// What an agent has typed and not sent, for each conversation and kind. Each tab has its own, which survives its reload; a
// copy outlives the tab, and is shown where this tab has typed nothing. So of two tabs none overwrites the other's.

const KEPT = "giliran-agent-drafts";
const TAB = "giliran-agent-tab";
const LIFE_MS = 14 * 86_400_000;

export class Drafts {
  constructor() {
    Object.assign(this, { owner: "", own: new Map(), tab: "" });
  }

  /** Another agent's drafts are never shown, and wait for their owner. */
  open(owner) {
    if (this.owner === owner) return;
    Object.assign(this, { owner, own: new Map(), tab: tabOf() });
    for (const [name, { at }] of this.kept("")) if (!(Date.now() - at < LIFE_MS)) forget(name);
  }

  get(id, kind) {
    const place = `${kind}:${id}:`;
    if (this.own.has(place)) return this.own.get(place);
    const kept = new Map(this.kept(place));
    const newest = [...kept.values()].sort((one, other) => other.at - one.at)[0];
    return (kept.get(this.name(place) + this.tab) ?? newest)?.text ?? "";
  }

  /** Where nothing is left of it, the copy goes too from which it came. */
  keep(id, kind, text) {
    const place = `${kind}:${id}:`;
    const before = this.get(id, kind);
    this.own.set(place, text);
    if (text) return keep(this.name(place) + this.tab, { text, at: Date.now() });
    for (const [name, kept] of this.kept(place)) if (name.endsWith(`:${this.tab}`) || kept.text === before) forget(name);
  }

  /** The next one at this browser reads none of them. */
  clear() {
    for (const [name] of this.kept("")) forget(name);
    this.own.clear();
  }

  name(place) { return `${KEPT}:${this.owner}:${place}`; }

  /** [name, {text, at}] of all that begin so. */
  kept(place) {
    try {
      return Object.keys(localStorage).filter((name) => name.startsWith(this.name(place))).map((name) => [name, JSON.parse(localStorage.getItem(name)) ?? {}]);
    } catch {
      return []; // storage may be forbidden: they live as long as this page
    }
  }
}

function tabOf() {
  const fresh = crypto.getRandomValues(new Uint32Array(2)).join("-");
  try {
    const known = sessionStorage.getItem(TAB) ?? fresh;
    sessionStorage.setItem(TAB, known);
    return known;
  } catch {
    return fresh;
  }
}

function keep(name, draft) {
  try {
    localStorage.setItem(name, JSON.stringify(draft));
  } catch (error) {
    console.info("drafts live as long as this page", error.name);
  }
}

function forget(name) {
  try {
    localStorage.removeItem(name);
  } catch {
    /* it was in memory only */
  }
}
