/* Files on their way, of customers and of agents.
 *
 *   const lane = new Lane();
 *   await lane.add(() => sendForm(url, form, { headers, onShare, signal }))   // onShare(0…1); → the XMLHttpRequest, done
 *
 * What was chosen together goes one after the other, so it arrives in that order. One that stands still is given up.
 */

const STILL_MS = 60_000; // neither a byte that went nor an answer; a server that makes one wait its turn takes seconds

/** Runs one thing at a time, in the order of coming, whatever becomes of those before. */
export class Lane {
  #last = Promise.resolve();

  add(work) {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }
}

/** XMLHttpRequest, since fetch does not tell how far an upload is. Rejects where no answer came; `signal` ends it. */
export function sendForm(url, form, { headers = {}, onShare, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let still;
    const moves = () => {
      clearTimeout(still);
      still = setTimeout(() => request.abort(), STILL_MS);
    };
    request.upload.onprogress = ({ loaded, total, lengthComputable }) => {
      moves();
      if (lengthComputable) onShare(loaded / total);
    };
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => reject(new Error("no answer"));
    request.onloadend = () => clearTimeout(still);
    if (signal?.aborted) return reject(new Error("cancelled"));
    signal?.addEventListener("abort", () => request.abort());
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(form);
    moves();
  });
}
