// What is known of a customer, and what the bot said to them: for the line, the agents' cards and the room's dialog.

import { el } from "./dom.js";

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** The values alone, for a line that has no room for more. */
export const knownOf = ({ properties }) => Object.values(properties).map(shown);

export const knownRows = ({ email, properties }) =>
  Object.entries({ email, ...properties }).flatMap(([key, value]) => [el("dt", { text: key }), el("dd", { text: shown(value) })]);

export const saidRows = ({ said }) => said.map((text) => el("li", { text }));
