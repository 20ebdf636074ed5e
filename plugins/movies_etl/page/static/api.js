// Questions to the page's own routes, which only read, and to Airflow's public API, which acts.

const SECONDS = 5;
const root = new URL(".", location.href);

export class Refused extends Error {}

async function call(url, options = {}) {
  const given = { credentials: "same-origin", signal: AbortSignal.timeout(SECONDS * 1000), ...options };
  let answer;
  try {
    answer = await fetch(url, given);
  } catch (error) {
    const why = error.name === "TimeoutError" ? `did not answer within ${SECONDS} s` : "cannot be reached";
    throw new Refused(`Airflow's API server ${why}.`);
  }
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => ({}));
  const detail = typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail ?? "");
  if (answer.status === 401) throw new Refused("You are not logged in to Airflow any more: log in again.");
  if (answer.status === 403) throw new Refused("Airflow does not let you do this: your role lacks the right.");
  throw new Refused(`Airflow answered ${answer.status}: ${detail}`);
}

export function ask(path, parameters = {}) {
  const url = new URL(`api/${path}`, root);
  for (const [name, text] of Object.entries(parameters)) url.searchParams.set(name, text);
  return call(url);
}

const runAddress = (dag, id) => new URL(`../api/v2/dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(id)}`, root).href;

export const airflow = {
  trigger: (dag, conf) =>
    call(new URL(`../api/v2/dags/${encodeURIComponent(dag)}/dagRuns`, root), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ logical_date: null, conf }),
    }),
  run: (dag, id) => call(runAddress(dag, id)),
  tasks: async (dag, id) => (await call(`${runAddress(dag, id)}/taskInstances`)).task_instances,
};

// Airflow's frame lets no link leave it; its own router, of the same origin, takes a new address.
export function openInAirflow(path) {
  const url = new URL(`../${path}`, root);
  if (parent === window) {
    location.assign(url);
    return;
  }
  parent.history.pushState({}, "", url);
  parent.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
}

export const runPath = (dag, run) => `dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`;
