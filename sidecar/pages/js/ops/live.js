/* What a watched view shows: a state, then the changes in it. Pure: the same states and changes give what a fresh load gives.
 *
 *   let shown = stateOf(payload);          // of ops.state
 *   shown = changed(shown, payload);       // of ops.change; throws Missed where one was lost
 *   shown.head, shown.order (keys), shown.rows (Map key → row); a row that did not change is the very same object
 */

/** A change did not arrive: the view is asked for anew. */
export class Missed extends Error {}

export const stateOf = ({ seq, head, order, rows }) => ({ seq, head, order, rows: new Map(Object.entries(rows)) });

export function changed(shown, { seq, head = {}, order, rows = {} }) {
  if (seq !== shown.seq + 1) throw new Missed(`${seq} after ${shown.seq}`);
  return { seq, head: { ...shown.head, ...head }, order: order ?? shown.order, rows: withRows(shown.rows, Object.entries(rows)) };
}

function withRows(before, changes) {
  if (!changes.length) return before;
  const rows = new Map(before);
  for (const [key, row] of changes) {
    if (row === null) rows.delete(key);
    else rows.set(key, before.has(key) ? { ...before.get(key), ...row } : row);
  }
  return rows;
}

/** In order; a key without a row is left out. */
export const rowsOf = ({ order, rows }) => order.map((key) => rows.get(key)).filter(Boolean);
