// Talks to the control API: before it the buttons, after it the server. A refusal is an Error with the server's words.

let app = "";

export const useApp = (name) => { app = name; };

export const at = (path) => `/control/${path}${app ? `?app=${encodeURIComponent(app)}` : ""}`;

export async function ask(method, path, body) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await fetch(at(path), { method, ...sent });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? response.status);
  return answer;
}

export const room = (id, action) => `rooms/${encodeURIComponent(id)}/${action}`;
