// Where one is stands in the page's address: #queue?tenant=shop&room=12. Pure but for `location`; reload and Back keep it.

export const VIEWS = ["now", "queue", "agents", "decisions", "charts", "health", "settings"];

/** "#queue?tenant=a&q=x" → {view: "queue", tenant: "a", q: "x"}; an unknown view is the first. */
export function read(hash) {
  const [name, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  return { ...Object.fromEntries(new URLSearchParams(query)), view: VIEWS.includes(name) ? name : VIEWS[0] };
}

/** Without what is empty. */
export function write({ view, ...rest }) {
  const query = new URLSearchParams(Object.entries(rest).filter(([, value]) => value !== undefined && value !== null && value !== ""));
  return `#${view}${query.size ? `?${query}` : ""}`;
}

export const here = () => read(location.hash);
