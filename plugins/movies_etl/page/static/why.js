// Why is this document not found? A verdict, the way it takes, and both sides.

import { ask } from "./api.js";
import { button } from "./actions.js";
import { ago, h, show, value } from "./dom.js";

const SIGNS = { yes: "✓", no: "✗", waits: "…", unknown: "?" };
const WORDS = { yes: "yes", no: "no", waits: "not yet", unknown: "unknown" };

let repeat = () => {};

// The last question once more, where a server had no answer to it.
export function askAgain(place) {
  if (place.querySelector(":scope > .problem")) repeat();
}

export async function look(place, index, words, choose) {
  repeat = () => look(place, index, words, choose);
  show(place, h("p", { class: "small" }, "Asking PostgreSQL and Elasticsearch …"));
  try {
    const meant = await ask(`${index}/lookup`, { words });
    if (meant.id) await diagnose(place, index, meant.id, choose);
    else show(place, problems(meant.problems), candidates(meant, index, choose));
  } catch (error) {
    show(place, problems([error.message]));
  }
}

export async function diagnose(place, index, id, choose) {
  repeat = () => diagnose(place, index, id, choose);
  choose(id);
  try {
    const { verdict, steps, facts } = await ask(`${index}/why`, { id });
    const again = () => diagnose(place, index, id, choose);
    show(place, problems(facts.problems), told(verdict, facts, again), way(steps), differences(facts), texts(facts));
  } catch (error) {
    show(place, problems([error.message]));
  }
}

const problems = (all) => all.map((one) => h("p", { class: "problem", role: "alert" }, one));

function candidates(meant, index, choose) {
  if (!meant.candidates.length) return h("p", {}, "Neither side has a title or name with these words.");
  const line = (one) =>
    h(
      "li",
      {},
      h("button", { class: "link", type: "button", onclick: () => diagnose(document.getElementById("why"), index, one.id, choose) }, one.label),
      h("span", { class: "small" }, ` ${one.id}${where(one)}`),
    );
  return [h("p", {}, "Which one is meant?"), h("ul", { class: "plain" }, meant.candidates.map(line))];
}

function where(one) {
  if (one.in_catalogue && one.in_index === false) return ", by these words only in the catalogue";
  if (one.in_index && one.in_catalogue === false) return ", by similar words in the index";
  return "";
}

const told = (verdict, facts, again) =>
  h(
    "article",
    { class: `verdict ${verdict.state}` },
    h("h3", {}, facts.label ?? facts.id),
    h("p", { class: "small" }, facts.id),
    h("p", { class: "sentence" }, verdict.sentence),
    verdict.next_step ? h("p", {}, verdict.next_step) : null,
    verdict.action ? button(verdict.action, again) : null,
  );

const way = (steps) =>
  h(
    "ol",
    { class: "way", "aria-label": "The way from the row to a search" },
    steps.map((step) =>
      h(
        "li",
        { class: step.state },
        h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[step.state]),
        h("strong", {}, step.name, h("span", { class: "hidden" }, `: ${WORDS[step.state]}`)),
        h("span", { class: "small" }, step.text),
      ),
    ),
  );

function differences(facts) {
  if (!facts.differences.length) return null;
  const head = ["Field", "In the catalogue", "In the index"].map((name) => h("th", { scope: "col" }, name));
  const rows = facts.differences.map((one) =>
    h("tr", {}, h("th", { scope: "row" }, one.field), h("td", {}, value(one.row)), h("td", {}, value(one.document))),
  );
  return h("div", { class: "scroll" }, h("table", {}, h("caption", {}, "What differs"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function texts(facts) {
  const text = (name, any) => (any ? h("details", {}, h("summary", {}, name), h("pre", {}, JSON.stringify(any, null, 2))) : null);
  const letter = facts.letter;
  return [
    letter ? h("p", { class: "small" }, "First refused ", ago(letter.first_seen), ", last ", ago(letter.last_seen), ".") : null,
    text("What the catalogue says", facts.row?.document),
    text("What the index has", facts.document?.source),
    letter?.document ? h("details", {}, h("summary", {}, "What was refused"), h("pre", {}, letter.document)) : null,
  ];
}
