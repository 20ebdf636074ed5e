// What a visitor of the site finds by these words, in the chosen index.

import { ask } from "./api.js";
import { h, many, number, show, value } from "./dom.js";

export async function search(place, index, words, explain) {
  try {
    const found = await ask(`${index}/search`, { words });
    if (found.problem) return show(place, h("p", { class: "problem", role: "alert" }, found.problem));
    show(
      place,
      h("p", { class: "small" }, `${many(found.total, found.noun, found.nouns)} in ${number(found.milliseconds)} ms, by ${found.fields.join(", ")}; the first one counts three times.`),
      h("ol", { class: "hits" }, found.hits.map((hit) => line(hit, explain))),
    );
  } catch (error) {
    show(place, h("p", { class: "problem", role: "alert" }, error.message));
  }
}

const line = (hit, explain) =>
  h(
    "li",
    {},
    h("button", { class: "link", type: "button", onclick: () => explain(hit.id) }, hit.label),
    h("span", { class: "small" }, ` score ${hit.score.toFixed(1)}`),
    h("div", { class: "small more" }, Object.entries(hit.more).map(([name, any]) => `${name.replaceAll("_", " ")}: ${Array.isArray(any) ? any.join(", ") : value(any)}`).join(" · ")),
  );
