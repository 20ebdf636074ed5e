// Is search up to date? A card per index, and the details of the chosen one.

import { openInAirflow, runPath } from "./api.js";
import { button } from "./actions.js";
import { ago, duration, h, many, number, show } from "./dom.js";
import { indexes, rebuild, rebuildWord } from "./rebuild.js";

const COUNTED = 10000;
const SIGNS = { current: "✓", behind: "…", stuck: "!", loading: "…", unknown: "?" };

export function card(state, chosen, choose) {
  if (state.lost) return lostCard(state, chosen, choose);
  const sum = state.streams.reduce((total, one) => total + (one.waiting ?? 0), 0);
  const isUnknown = state.streams.some((one) => one.waiting === null);
  const more = isUnknown || state.streams.some((one) => one.waiting >= COUNTED) ? " or more" : "";
  return h(
    "label",
    { class: `card ${state.word.state}` },
    h("input", { type: "radio", name: "index", value: state.name, checked: chosen, onchange: choose }),
    h("span", { class: "name" }, state.name),
    h("strong", {}, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[state.word.state]), state.word.headline),
    h("span", { class: "small" }, `${number(state.documents)} of ${number(state.rows)} ${state.nouns}`),
    h("span", { class: "small" }, sum ? `${many(sum, "row")}${more} waiting` : isUnknown || state.letters ? "" : "nothing waits"),
    state.letters ? h("span", { class: "small bad" }, many(state.letters, "dead letter")) : null,
    rebuildWord(state) ? h("span", { class: "small because" }, rebuildWord(state)) : null,
    state.word.because ? h("span", { class: "small because" }, state.word.because) : null,
  );
}

// An index of which Airflow's API server says nothing: what it said before is in the details.
const lostCard = (state, chosen, choose) =>
  h(
    "label",
    { class: "card unknown" },
    h("input", { type: "radio", name: "index", value: state.name, checked: chosen, onchange: choose }),
    h("span", { class: "name" }, state.name),
    h("strong", {}, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS.unknown), "Not known at the moment"),
    h("span", { class: "small because" }, state.lost),
  );

export function details(place, state, again) {
  show(
    place,
    [state.lost, ...state.problems].filter(Boolean).map((problem) => h("p", { class: "problem", role: "alert" }, problem)),
    state.unread.map((part) => h("p", { class: "unread" }, part)),
    h("div", { class: "scroll" }, streams(state), button({ label: "Run now", dag: state.dag, conf: {} }, again)),
    h(
      "dl",
      {},
      pair("Rows and documents", `${number(state.rows)} ${state.nouns}, ${number(state.documents)} documents`),
      pair("Difference at the last comparison", difference(state)),
      pair("Every document compared", verified(state)),
      Object.keys(state.found).length ? pair("Found by the last reconcile", found(state)) : null,
      pair("Oldest open transaction", state.holder ?? (state.knows_holder ? "none older than a minute" : "not known")),
      pair("Index", indexes(state)),
      state.rebuild ? pair("Newest rebuild", rebuild(state)) : null,
      pair("Last run", run(state, state.last)),
      state.running ? pair("Run under way", underWay(state)) : null,
      pair("Schedule", state.paused === null ? "Airflow does not know the DAG" : state.paused ? "paused" : "on"),
    ),
  );
}

const pair = (name, ...text) => h("div", {}, h("dt", {}, name), h("dd", {}, ...text.flat(2)));

function difference(state) {
  if (state.difference === null) return "nothing was compared yet";
  const left = state.left ? `; ${many(state.left, "document")} left until a person decides` : "";
  const words = state.difference === 0 ? "none" : state.difference > 0 ? `${number(state.difference)} missing` : `${number(-state.difference)} too many`;
  return [`${words}${left}, `, ago(state.compared)];
}

function verified(state) {
  const now = state.verifying === null ? "" : `; ${number(state.verifying)} of ${number(state.rows)} in the pass under way`;
  return state.verified ? [ago(state.verified), now] : [state.verifying === null ? "not yet" : "for the first time now", now];
}

// Added up over the tasks: each asks a question of its own.
function found(state) {
  const sum = (name) => Object.values(state.found).reduce((total, one) => total + (one[name] ?? 0), 0);
  const words = { missing: "missing", different: "different", surplus: "too many", repaired: "repaired", deleted: "deleted", asked: "left until a person decides" };
  const told = Object.entries(words).filter(([name]) => sum(name)).map(([name, text]) => `${number(sum(name))} ${text}`);
  return told.join(", ") || "nothing";
}

const opener = (state, one) => h("button", { class: "link", type: "button", onclick: () => openInAirflow(runPath(state.dag, one.run_id)) }, "open");

function underWay(state) {
  const began = state.running.started ? ["began ", ago(state.running.started)] : "has just begun";
  return [began, state.is_moving ? " " : ", saves nothing at the moment ", opener(state, state.running)];
}

function run(state, one) {
  if (!one) return "none yet";
  const took = one.ended && one.started ? ` in ${duration((new Date(one.ended) - new Date(one.started)) / 1000)}` : "";
  return [h("span", { class: one.state === "failed" ? "bad" : "" }, one.state), `${took}, `, ago(one.ended ?? one.started), " ", opener(state, one)];
}

function streams(state) {
  const head = [["Stream"], ["Confirmed"], ["Rows waiting", "number"]].map(([name, kind]) => h("th", { scope: "col", class: kind }, name));
  const rows = state.streams.map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, one.name),
      h("td", {}, one.lag === null ? "first load" : `up to ${duration(one.lag)} ago`),
      h("td", { class: "number" }, one.waiting >= COUNTED ? `${number(one.waiting)} or more` : number(one.waiting)),
    ),
  );
  return h("table", {}, h("caption", {}, `Streams of ${state.name}`), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}
