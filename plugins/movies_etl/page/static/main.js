// The page: asks at the beginning and every ten seconds, and shows what it is told.

import { ask } from "./api.js";
import { day } from "./day.js";
import { h, plain, show } from "./dom.js";
import { card, details } from "./freshness.js";
import { letters } from "./letters.js";
import { search } from "./visitor.js";
import { askAgain, diagnose, look } from "./why.js";

const EVERY = 10000;
const place = (id) => document.getElementById(id);
const states = new Map();
const ended = new Map();
let indices = [];
let chosen = "";

// Airflow keeps the theme here; the page lies on the same origin.
function dress() {
  const kept = (localStorage.getItem("theme") ?? "system").replaceAll('"', "");
  const dark = kept === "dark" || (kept !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

function remember(id = "") {
  const place = new URLSearchParams({ index: chosen, ...(id ? { id } : {}) });
  history.replaceState(null, "", `#${place}`);
}

async function refresh() {
  const asked = await Promise.allSettled(indices.map((name) => ask(`${name}/freshness`)));
  asked.forEach((one, position) => {
    const name = indices[position];
    states.set(name, one.status === "fulfilled" ? one.value : { ...states.get(name), name, lost: one.reason.message });
  });
  const failed = asked.find((one) => one.status === "rejected");
  place("asked").textContent = failed ? plain(failed.reason.message) : `as of ${new Date().toLocaleTimeString("en-GB")}`;
  place("asked").className = failed ? "problem" : "small";
  place("asked").setAttribute("role", failed ? "alert" : "none"); // nobody wants to hear the time
  draw();
  askAgain(place("why"));
  if (document.querySelector("#letters > .problem, #day > .problem")) slow();
}

function draw() {
  show(place("cards"), [...states.values()].map((state) => card(state, state.name === chosen, () => choose(state.name))));
  const state = states.get(chosen);
  if (!state) return;
  if (!state.streams) return show(place("details"), h("p", { class: "problem", role: "alert" }, state.lost));
  details(place("details"), state, refresh);
  if (state.last && ended.get(chosen) !== state.last.run_id) {
    if (ended.has(chosen)) slow();
    ended.set(chosen, state.last.run_id);
  }
  document.querySelectorAll(".noun").forEach((word) => (word.textContent = state.noun));
}

function choose(name) {
  chosen = name;
  remember();
  show(place("why"));
  show(place("visitor"));
  draw();
  slow();
}

// What changes with each run rather than with each look.
function slow() {
  letters(place("letters"), chosen, explain);
  day(place("day"), chosen);
}

function explain(id) {
  place("why-words").value = id;
  diagnose(place("why"), chosen, id, remember);
  place("why-title").scrollIntoView({ behavior: "smooth" });
}

function onWords(form, ask) {
  place(form).addEventListener("submit", (event) => {
    event.preventDefault();
    const words = new FormData(event.target).get("words").trim();
    if (words) ask(words);
  });
}

async function begin() {
  dress();
  addEventListener("storage", dress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  onWords("why-form", (words) => look(place("why"), chosen, words, remember));
  onWords("visitor-form", (words) => search(place("visitor"), chosen, words, explain));
  try {
    indices = Object.keys((await ask("about")).indices);
  } catch (error) {
    show(place("cards"), h("p", { class: "problem", role: "alert" }, error.message));
    return;
  }
  const told = new URLSearchParams(location.hash.slice(1));
  choose(indices.includes(told.get("index")) ? told.get("index") : indices[0]);
  if (told.get("id")) explain(told.get("id"));
  await refresh();
  setInterval(() => document.hidden || place("dialog").open || refresh(), EVERY);
}

begin();
