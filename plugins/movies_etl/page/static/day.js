// The last day as small charts: one bar for each quarter of an hour.

import { ask } from "./api.js";
import { duration, h, many, number, show } from "./dom.js";

const WIDTH = 480;
const HEIGHT = 56;
const SVG = "http://www.w3.org/2000/svg";
const round = (value) => number(Math.round(value));

const CHARTS = [
  ["Sent", "indexed", "sent", round],
  ["Already there", "unchanged", "soft", round],
  ["Refused", "refused", "refused", round],
  ["Deleted", "deleted", "deleted", round],
  ["Sent per second", "rate", "sent", round],
  ["Longest run", "longest", "soft", (seconds) => duration(seconds)],
];

export async function day(place, index) {
  try {
    const found = await ask(`${index}/day`);
    if (found.problem) return show(place, h("p", { class: "problem", role: "alert" }, found.problem));
    show(place, h("p", {}, words(found)), h("div", { class: "charts" }, CHARTS.map((one) => chart(found, ...one))));
  } catch (error) {
    show(place, h("p", { class: "problem", role: "alert" }, error.message));
  }
}

function words({ total, noun, nouns }) {
  const failed = total.failed ? `, ${number(total.failed)} of them failed` : "";
  return `${many(total.runs, "run")}${failed}: ${many(total.indexed, noun, nouns)} sent, ${number(total.unchanged)} already there, ${number(total.refused)} refused, ${number(total.deleted)} deleted.`;
}

function chart(found, name, key, kind, write) {
  const values = found.pieces.map((piece) => piece[key]);
  const most = Math.max(0, ...values);
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${name}: at most ${write(most)} in a quarter of an hour` });
  const step = WIDTH / values.length;
  found.pieces.forEach((piece, position) => {
    const height = most ? (values[position] / most) * (HEIGHT - 6) : 0;
    if (piece.failed) svg.append(element("rect", { class: "failed", x: position * step, y: 0, width: step, height: 3 }));
    if (!values[position]) return;
    const bar = element("rect", { class: kind, x: position * step + 0.5, y: HEIGHT - Math.max(height, 1.5), width: step - 1, height: Math.max(height, 1.5) });
    const title = element("title", {});
    title.textContent = `${new Date(piece.start).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}: ${write(values[position])}`;
    bar.append(title);
    svg.append(bar);
  });
  return h("figure", {}, h("figcaption", {}, name, h("span", { class: "small" }, most ? ` at most ${write(most)}` : " none")), svg);
}

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
