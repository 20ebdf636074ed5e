// Dead letters: what was refused, why, since when; try one or all again.

import { ask } from "./api.js";
import { button } from "./actions.js";
import { ago, h, many, number, show } from "./dom.js";

export async function letters(place, index, explain) {
  try {
    draw(place, await ask(`${index}/letters`), explain);
  } catch (error) {
    show(place, h("p", { class: "problem", role: "alert" }, error.message));
  }
}

function draw(place, found, explain) {
  if (found.problem) return show(place, h("p", { class: "problem", role: "alert" }, found.problem));
  if (!found.total) return show(place, h("p", {}, `No ${found.noun} was refused.`));
  const again = () => letters(place, found.index, explain);
  const head = [found.noun, "Why", "When"].map((name) => h("th", { scope: "col" }, name));
  const shown = found.letters.length < found.total ? `, the newest ${number(found.letters.length)} of them below` : "";
  show(
    place,
    h("p", {}, `${many(found.total, "dead letter")}${shown}. `, found.total > 1 ? button({ label: "Try all again", dag: found.dag, conf: { replay: ["all"] } }, again) : null),
    h("div", { class: "scroll" }, h("table", { class: "letters" }, h("caption", { class: "hidden" }, "Dead letters"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, found.letters.map((one) => row(found, one, again, explain))))),
  );
}

const row = (found, one, again, explain) =>
  h(
    "tr",
    {},
    h("th", { scope: "row" }, h("button", { class: "link", type: "button", onclick: () => explain(one.id) }, one.label ?? one.id), one.label ? h("div", { class: "small" }, one.id) : null),
    h("td", {}, `${one.cause}: `, h("code", {}, one.reason), one.document ? h("details", {}, h("summary", {}, "Document"), h("pre", {}, one.document)) : null),
    h("td", { class: "when" }, "since ", ago(one.first_seen), h("div", { class: "small" }, one.attempts > 1 ? `${number(one.attempts)} attempts, last ` : "1 attempt", one.attempts > 1 ? ago(one.last_seen) : null), button({ label: "Try again", dag: found.dag, conf: { replay: [one.id] } }, again)),
  );
