// The index behind the alias, those beside it, and how far a rebuild has come.

import { openInAirflow, runPath } from "./api.js";
import { ago, h, many, number } from "./dom.js";

const FATES = {
  made: "made by the rebuild under way",
  kept: "kept up to date, for rollback",
  left: "left by a rebuild, or not fed any more",
};
const OPEN = ["queued", "running", "waiting"];

export function rebuildWord({ rebuild }) {
  if (!rebuild || !OPEN.includes(rebuild.state)) return "";
  if (rebuild.state === "waiting") return "Rebuild waits for a person";
  return rebuild.ranges && rebuild.done < rebuild.ranges ? `Rebuild: ${number(rebuild.done)} of ${number(rebuild.ranges)} ranges` : "A rebuild is under way";
}

export const indexes = (state) => [
  h("div", {}, state.concrete ? [state.concrete, made(state.created)] : state.knows_index ? "none" : "not known"),
  state.beside.map((one) => h("div", { class: "small" }, one.name, made(one.created), `, ${many(one.documents, "document")}: ${FATES[one.fate]}`)),
];

const made = (moment) => (moment ? [", made ", ago(moment)] : "");

// Rows are deleted while it is made; their documents leave it at its end.
const searchable = (documents, rows) =>
  rows !== null && documents > rows
    ? `${number(documents)} documents are searchable in it; those of deleted rows go before the swap`
    : `${number(documents)} of ${number(rows)} documents are searchable in it`;

export function rebuild({ rebuild: found, rows }) {
  const open = () => openInAirflow(runPath(found.dag, found.run.run_id));
  const isOpen = OPEN.includes(found.state);
  return [
    h("span", { class: found.state === "failed" ? "bad" : "" }, found.sentence),
    isOpen && found.ranges ? h("progress", { value: found.done, max: found.ranges, "aria-label": "Ranges that are loaded" }) : null,
    isOpen && found.documents !== null ? h("div", {}, searchable(found.documents, rows)) : null,
    h("div", { class: "small" }, found.since ? [isOpen ? "since " : "", ago(found.since), " "] : "", h("button", { class: "link", type: "button", onclick: open }, found.state === "waiting" ? "answer" : "open")),
  ];
}
