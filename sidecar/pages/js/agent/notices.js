// What the agent's page says in passing: notices, and refusals in words for a person. Before it whatever was asked of the
// server, after it the person.

import { Refused } from "./api.js";
import { toast } from "../core/dom.js";
import { known, t } from "../words/words.js";

/** A refusal in words for a person. `name`: the file or agent that it is about. */
export function explain(error, name = "") {
  if (!error.code) throw error;
  if (error.code === "unauthorized") return; // the sign-in comes up by itself
  if (error.code === "at_max_load" && !name) return toast(t("x_at_max_load_me"), "bad");
  toast(inWords(error, name), "bad");
}

/** For what nobody asked for. */
export const quietly = (error) => { if (!(error instanceof Refused)) throw error; };

export const inWords = ({ code, message, facts }, name = "") => (known(`x_${code}`) ? t(`x_${code}`, { name, ...facts }) : t("x_failed", { why: message || code }));

/** Why a message is not sent, as the end of a sentence. */
export const unsentWhy = (code) => (known(`u_${code}`) ? t(`u_${code}`) : t("u_other", { code }));
