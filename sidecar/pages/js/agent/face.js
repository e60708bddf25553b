// Who somebody is, at a glance: the letters of a person in the colour that their name always has, the sign of the bot.

import { icon, initials, setClass, setText, tone } from "../core/dom.js";

export function paintAvatar(node, name, extra = "") {
  setText(node, initials(name));
  setClass(node, `avatar tone-${tone(name)} ${extra}`.trim());
}

export function paintBot(node, extra = "") {
  if (!node.firstElementChild) node.replaceChildren(icon("bot"));
  setClass(node, `avatar bot-face ${extra}`.trim());
}
