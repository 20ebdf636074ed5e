// Elements and words. Text is only ever set as text, so whatever a film is called is shown as such.

// What a browser obeys inside of a text: control characters but tab and line feed, marks of direction.
const OBEYED = /[\0-\x08\v-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const LONGEST = 20000;

const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

// Texts as they may be shown: data, which nothing obeys; a very long one is cut. Elements stay.
export function plain(child) {
  if (typeof child !== "string") return child;
  const shown = child.slice(0, LONGEST).replace(OBEYED, escaped);
  return child.length > LONGEST ? `${shown}... (${number(child.length)} characters)` : shown;
}

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false).map(plain));
  return element;
}

// Fill a place anew. What had the focus has it again, so that a refresh throws nobody off.
export function show(place, ...children) {
  const before = focusable(place);
  const position = before.indexOf(document.activeElement);
  const text = before[position]?.textContent;
  place.replaceChildren(...children.flat().filter(Boolean).map(plain));
  const after = focusable(place)[position];
  if (after?.textContent === text) after?.focus();
}

const focusable = (place) => [...place.querySelectorAll("button, input, summary")];

export const number = (value) => (value === null || value === undefined ? "?" : value.toLocaleString("en"));

export function many(count, noun, nouns = `${noun}s`) {
  return `${number(count)} ${count === 1 ? noun : nouns}`;
}

export function duration(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

// A moment as "4 min ago", with the whole of it to be read on hovering.
export function ago(moment) {
  if (!moment) return "never";
  const seconds = (Date.now() - new Date(moment).getTime()) / 1000;
  const text = seconds < 0 ? "in the future" : `${duration(seconds)} ago`;
  return h("time", { datetime: moment, title: new Date(moment).toISOString() }, text);
}

export function value(any) {
  if (any === null || any === undefined) return h("em", {}, "nothing");
  return typeof any === "string" ? any : JSON.stringify(any);
}
