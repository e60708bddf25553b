// The menu under one's name, and the one of a conversation: presence, what rings, single keys, language. Before it the
// person, after it REST (presence) and the browser's storage (all else).

import { askNotify, blocked, notifying, queueWanted, refuseNotify, setQueue, setSingleKeys, setSound, singleKeys, sound } from "./alerts.js";
import { openKeys } from "./deeds.js";
import { paintAvatar } from "./face.js";
import { signOut } from "./gate.js";
import { desk, draw, page } from "./state.js";
import { byId, setAttr, setText, toast } from "../core/dom.js";
import { wireMenu } from "../core/menu.js";
import { currentLanguage, speak, t } from "../words/words.js";

/** Switch → whether it is on, and what turns it. */
const SWITCHES = {
  "sound-switch": [sound, () => setSound(!sound())],
  "queue-switch": [() => queueWanted(desk.isBoss()), () => setQueue(!queueWanted(desk.isBoss()))],
  "notify-switch": [notifying, turnNotify],
  "keys-switch": [singleKeys, () => { setSingleKeys(!singleKeys()); showKeys(); }],
};

/** `deeds`: {presence(wish)} answers whether it was taken. */
export function wireMyMenu(deeds) {
  const close = wireMenu(byId("me-button"), byId("me-menu"), showChoices);
  wireMenu(byId("more-button"), byId("more-menu"));
  for (const choice of document.querySelectorAll("[data-wish]")) choice.addEventListener("click", () => { close(); wish(choice.dataset.wish, deeds); });
  for (const [id, [, turn]] of Object.entries(SWITCHES)) byId(id).addEventListener("click", async () => { await turn(); showChoices(); });
  for (const choice of document.querySelectorAll("[data-speaks]")) choice.addEventListener("click", () => { speak(choice.dataset.speaks); showChoices(); });
  byId("notify-yes").addEventListener("click", turnNotify);
  byId("notify-no").addEventListener("click", () => { refuseNotify(); byId("offer").hidden = true; });
  byId("keys-button").addEventListener("click", () => openKeys(singleKeys()));
  byId("sign-out").addEventListener("click", signOut);
  byId("copy-id").addEventListener("click", () => copied(page.open).then(() => toast(t("copied")), () => toast(page.open)));
}

/** Only a page that came over TLS, or from this machine, may. */
const copied = async (text) => navigator.clipboard.writeText(text);

function showChoices() {
  for (const choice of document.querySelectorAll("[data-wish]")) setAttr(choice, "aria-checked", choice.dataset.wish === desk.me.presence);
  setText(byId("online-hint"), t(desk.isBoss() ? "onlineHintBoss" : "onlineHint"));
  setText(byId("away-hint"), desk.isBoss() ? "" : t("awayHint"));
  for (const choice of document.querySelectorAll("[data-speaks]")) setAttr(choice, "aria-checked", choice.dataset.speaks === currentLanguage());
  for (const [id, [isOn]] of Object.entries(SWITCHES)) setAttr(byId(id), "aria-checked", isOn());
  setText(byId("queue-hint"), desk.isBoss() ? "" : t("whileAway"));
}

/** Where single keys are off, none is offered. */
export function showKeys() {
  document.body.classList.toggle("no-keys", !singleKeys());
  setAttr(byId("search"), "aria-keyshortcuts", singleKeys() ? "/" : null);
}

export function showMe() {
  paintAvatar(byId("me-avatar"), desk.me.name);
  byId("me-button").dataset.presence = ["live", "polling"].includes(page.link?.state) ? desk.me.presence : "offline";
  setAttr(byId("me-button"), "aria-label", `${desk.me.name}: ${t("myMenu")}`);
  setText(byId("me-name"), desk.me.name);
  setText(byId("me-email"), desk.me.email);
  for (const node of document.querySelectorAll("[data-boss]")) node.hidden = !desk.isBoss();
}

async function wish(presence, deeds) {
  const before = desk.me.presence;
  desk.me = { ...desk.me, presence };
  draw();
  if (!(await deeds.presence(presence))) { desk.me = { ...desk.me, presence: before }; draw(); }
}

async function turnNotify() {
  if (notifying()) refuseNotify();
  else {
    await askNotify();
    if (blocked()) toast(t("notifyBlocked"), "bad");
  }
  byId("offer").hidden = true;
}
