// Words with their parts of speech, or tokens with their tags, one beside the other.
import { ask, find, make } from "./common.js";
import { say } from "./words.js";

const task = document.documentElement.dataset.task;

let level = "word";

export function begin(model, again, edited) {
  ({ level } = model);
  find("dictionary").addEventListener("input", edited);
}

export async function run(text, { signal, isCurrent, reveal }) {
  const [words, names] = await (task === "segmentation" ? cut(text, signal) : tag(text, signal));
  if (!isCurrent()) return;
  find("count").textContent = say(words.length === 1 ? "countOne" : "count", { count: words.length });
  show(text, words, names);
  reveal();
}

async function cut(text, signal) {
  const dictionary = find("dictionary").value.split(/[\s,;，；、]+/).filter(Boolean);
  const { words, pos } = await ask("cut", dictionary.length ? { text, dictionary } : { text }, signal);
  return [words, pos];
}

async function tag(text, signal) {
  const tokens = level === "char" ? Array.from(text).filter((one) => one.trim()) : text.trim().split(/\s+/);
  const { tags } = await ask("tags", { tokens }, signal);
  return [tokens, tags];
}

function show(text, words, names) {
  const parts = [];
  let end = 0;
  words.forEach((word, place) => {
    const start = text.indexOf(word, end);
    if (start > end && /[\n\r]/.test(text.slice(end, start))) parts.push(make("br"));
    const unit = make("span", "", "unit");
    unit.append(make("span", word, "what"));
    if (names) unit.append(make("small", names[place]));
    parts.push(unit, document.createTextNode(" "));
    if (start >= end) end = start + word.length;
  });
  find("units").replaceChildren(...parts);
}
