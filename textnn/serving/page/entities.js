// A text with its entities marked: by colour and line, and by the name of their type.
import { ask, find, make, percent } from "./common.js";
import { say } from "./words.js";

const COLOURS = 8;
const LINES = 3;
const SHOWN = 12; // types in the legend; of more, only those that are in the text

let types = [];

export function begin(model) {
  ({ types } = model);
}

export async function run(text, { signal, isCurrent, reveal }) {
  const { entities } = await ask("entities", { text }, signal);
  if (!isCurrent()) return;
  find("found").textContent = say(entities.length === 1 ? "foundOne" : "found", { count: entities.length });
  mark(text, entities);
  showTypes(entities);
  find("table").hidden = !entities.length;
  find("entities").replaceChildren(...entities.map(makeRow));
  reveal();
}

// The first types differ by colour; where there are more, the line below differs too.
function look(type) {
  const place = Math.max(0, types.indexOf(type));
  return `c${place % COLOURS} line-${Math.floor(place / COLOURS) % LINES}`;
}

function mark(text, entities) {
  const letters = Array.from(text); // the server counts code points, strings of JavaScript do not
  const parts = [];
  let end = 0;
  for (const entity of entities) {
    if (entity.start > end) parts.push(document.createTextNode(letters.slice(end, entity.start).join("")));
    const sure = percent(entity.confidence, 0);
    const marked = make("mark", "", `entity ${look(entity.type)}`);
    const name = make("small");
    name.append(entity.type, entity.type && "\u00a0", make("span", sure));
    marked.append(make("span", letters.slice(entity.start, entity.end).join(""), "what"), " ", name);
    marked.title = [entity.type, sure].filter(Boolean).join(" ");
    parts.push(marked);
    end = entity.end;
  }
  parts.push(document.createTextNode(letters.slice(end).join("")));
  find("marked").replaceChildren(...parts);
}

function showTypes(entities) {
  const counts = new Map();
  for (const { type } of entities) counts.set(type, (counts.get(type) ?? 0) + 1);
  const shown = types.filter((type) => types.length <= SHOWN || counts.has(type));
  const items = shown.map((type) => {
    const count = counts.get(type) ?? 0;
    const item = make("li", "", count ? "" : "quiet");
    item.append(make("i", "", `swatch ${look(type)}`), " ", type, count ? ` ${count}` : "");
    return item;
  });
  find("types").replaceChildren(...items);
}

function makeRow({ start, end, type, text, confidence }) {
  const row = make("tr");
  const kind = make("td");
  kind.append(make("i", "", `swatch ${look(type)}`), " ", type || say("noType"));
  row.append(
    make("th", text),
    kind,
    make("td", percent(confidence), "number"),
    make("td", `${start}–${end}`, "number place"),
  );
  row.firstChild.scope = "row";
  return row;
}
