/* The socket without a page around it: start, connect, send, and every frame as it came. */

import { addressOf, ask } from "../core/api.js";
import { byId, make, toast } from "../core/dom.js";
import { leaveToInputMethod } from "../core/keys.js";
import { newClientId } from "../core/outbox.js";
import { onLanguage, t, translate } from "../words/words.js";
import "../words/site.js";

const MOST = 500;
let socket = null;
let session = "";
let last = 0;
let count = 0;
let state = "closed";

function show(direction, text) {
  const list = byId("frames");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const arrow = { in: "←", out: "→", own: "·" }[direction];
  list.append(make("div", { class: direction }, make("time", { text: new Date().toISOString().slice(11, 23) }), make("b", { text: arrow, "aria-hidden": "true" }), make("pre", { text: pretty(text) })));
  while (list.childElementCount > MOST) list.firstElementChild.remove();
  count += direction === "own" ? 0 : 1;
  byId("count").textContent = count;
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function pretty(text) {
  try {
    const { type, payload } = JSON.parse(text);
    return `${type} ${JSON.stringify(payload, null, 1).replace(/\n\s*/g, " ")}`;
  } catch {
    return text;
  }
}

function become(now) {
  state = now;
  byId("live").dataset.state = now;
  byId("live-text").textContent = t(`state_${now}`);
  byId("disconnect").disabled = now === "closed";
  byId("send-button").disabled = now !== "live";
}

const PAYLOADS = {
  "chat.message.send": () => ({ session_id: session, client_id: newClientId(), body: "Hello" }),
  "chat.typing": () => ({ session_id: session, is_typing: true }),
  "chat.message.read": () => ({ session_id: session, up_to_seq: last }),
  ping: () => ({}),
};
const fill = () => (byId("frame").value = JSON.stringify({ type: byId("kind").value, payload: PAYLOADS[byId("kind").value]() }, null, 2));

byId("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const tenant = byId("tenant").value.trim();
  try {
    const answer = await ask("POST", "public/sessions", { json: { ...(tenant ? { tenant_id: tenant } : {}), name: byId("name").value, email: byId("email").value } });
    session = answer.session_id;
    last = 0;
    byId("key").value = answer.session_key;
    show("own", `201 ${JSON.stringify(answer)}`);
    fill();
  } catch (error) {
    show("own", `${error.status} ${error.code}: ${error.message}`);
  }
});

byId("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  socket?.close();
  const address = addressOf(`/ws/public/${encodeURIComponent(byId("key").value.trim())}?after=${Number(byId("after").value) || 0}`, "ws");
  const mine = (socket = new WebSocket(address));
  become("connecting");
  show("own", address);
  mine.onopen = () => mine === socket && become("live");
  mine.onmessage = ({ data }) => {
    show("in", data);
    const { payload } = JSON.parse(data);
    session = payload?.session_id ?? session;
    last = Math.max(last, payload?.seq ?? 0);
    byId("after").value = last;
  };
  mine.onclose = ({ code, reason }) => {
    show("own", `close ${code} ${reason}`);
    if (mine === socket) become("closed");
  };
});

byId("disconnect").addEventListener("click", () => socket?.close(1000));
byId("kind").addEventListener("change", fill);
byId("send").addEventListener("submit", (event) => {
  event.preventDefault();
  let frame;
  try {
    frame = JSON.stringify(JSON.parse(byId("frame").value));
  } catch (error) {
    return toast(t("notJson", { why: error.message }), "bad");
  }
  socket.send(frame);
  show("out", frame);
  fill(); // a new client_id: the same one again would be the same message
});
byId("clear").addEventListener("click", () => {
  byId("frames").replaceChildren();
  count = 0;
  byId("count").textContent = 0;
});
onLanguage(() => become(state));
leaveToInputMethod(document);

translate(document);
become("closed");
fill();
const { tenants } = await ask("GET", "about").catch(() => ({ tenants: [] }));
byId("tenant").value = new URLSearchParams(location.search).get("tenant") ?? tenants[0]?.id ?? "";
