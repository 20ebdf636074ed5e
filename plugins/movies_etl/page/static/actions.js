// What buttons do: ask first, trigger a run by Airflow's API, follow it to its end.

import { airflow, openInAirflow, runPath } from "./api.js";
import { h, plain } from "./dom.js";

const EVERY = 1500;
const FOLLOW = "follow";
const place = (id) => document.getElementById(id);
let follower = 0;

export function tell(...children) {
  const toast = place("toast");
  toast.replaceChildren(...children.map(plain), h("button", { "aria-label": "Close", onclick: () => (toast.hidden = true) }, "×"));
  toast.hidden = false;
}

function confirmed(action) {
  const dialog = place("dialog");
  place("dialog-title").textContent = `${action.label}?`;
  place("dialog-text").textContent = `A run of ${action.dag} is triggered in your name, with`;
  place("dialog-conf").textContent = plain(JSON.stringify(action.conf));
  place("dialog-yes").textContent = action.label;
  dialog.showModal();
  return new Promise((resolve) => {
    place("dialog-yes").onclick = () => dialog.close("yes");
    place("dialog-no").onclick = () => dialog.close("");
    dialog.onclose = () => {
      resolve(dialog.returnValue === "yes");
      dialog.returnValue = "";
    };
  });
}

// Ask, trigger, follow; `ended` is called with the run when it is over.
export async function act(action, ended) {
  if (!(await confirmed(action))) return;
  try {
    const run = await airflow.trigger(action.dag, action.conf);
    await followed(action.dag, run.dag_run_id, ended);
  } catch (error) {
    tell(error.message);
  }
}

async function followed(dag, id, ended) {
  const mine = ++follower;
  const link = h("button", { class: "link", onclick: () => openInAirflow(runPath(dag, id)) }, id);
  for (;;) {
    const run = await airflow.run(dag, id);
    const state = run.state === "running" && (await isLoaded(dag, id)) ? "done" : run.state;
    if (mine !== follower) return;
    tell(`${dag}: ${state} `, link);
    if (["done", "success", "failed"].includes(state)) return ended(run);
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}

// What was asked for is done when the streams are loaded: a run that goes on follows for minutes.
async function isLoaded(dag, id) {
  const tasks = await airflow.tasks(dag, id);
  const others = tasks.filter((task) => task.task_id !== FOLLOW);
  return others.length < tasks.length && others.every((task) => task.state === "success");
}

export const button = (action, ended) =>
  h("button", { class: "primary", type: "button", onclick: () => act(action, ended) }, action.label);
