// Labels with their probabilities, and what each word contributes.
import { ask, find, make, percent, signed } from "./common.js";
import { say } from "./words.js";

const STRONGEST = 5;

let thresholds = null;
let chosen; // the class that is explained; undefined: the predicted one
let again;

export function begin(model, run) {
  ({ thresholds } = model);
  again = run;
}

export function edited() {
  chosen = undefined;
}

export async function run(text, { signal, isCurrent, reveal }) {
  const explained = chosen === undefined ? { text } : { text, label: chosen };
  const explanation = ask("explain", explained, signal).catch((error) => error);
  const prediction = await ask("predict", { text }, signal);
  if (!isCurrent()) return;
  show(prediction);
  reveal();
  const found = await explanation;
  if (!isCurrent()) return;
  if (found instanceof Error) showReason(found.message);
  else showTokens(found, text);
}

function show(prediction) {
  const several = "labels" in prediction;
  const labels = several ? prediction.labels : [prediction.label];
  find("label").textContent = labels.length ? labels.join(", ") : say("none");
  find("probability").textContent = several ? "" : percent(prediction.probability);
  const order = prediction.probabilities.map((row, place) => ({ ...row, threshold: thresholds?.[place] }));
  if (order.length > 2) order.sort((one, other) => other.probability - one.probability);
  find("bars").replaceChildren(...order.map((row) => makeBar(row, labels.includes(row.label))));
  find("why").hidden = true;
  find("why-not").hidden = true;
}

function makeBar({ label, probability, threshold }, predicted) {
  const [item, button, track, bar] = ["li", "button", "span", "i"].map((tag) => make(tag));
  button.type = "button";
  button.dataset.label = JSON.stringify(label);
  button.setAttribute("aria-pressed", "false");
  track.className = "track";
  track.setAttribute("aria-hidden", "true");
  bar.style.width = `${Math.max(0.5, 100 * probability)}%`;
  bar.className = predicted ? "chosen" : "";
  track.append(bar);
  if (threshold !== undefined) {
    const mark = make("b");
    mark.style.left = `${100 * threshold}%`;
    track.append(mark);
    button.title = say("threshold", { label, number: percent(probability), threshold: percent(threshold) });
  }
  const name = make("span", String(label), predicted ? "name chosen" : "name");
  name.title = String(label);
  button.append(name, track, make("span", percent(probability), "number"));
  button.addEventListener("click", () => {
    chosen = label;
    again();
  });
  item.append(button);
  return item;
}

function showReason(reason) {
  find("why-not").hidden = false;
  find("why-not").textContent = say("whyNot", { reason });
}

function showTokens({ label, tokens, method }, text) {
  find("why").hidden = false;
  find("why-title").textContent = say("why", { label });
  find("method").textContent = say("method", { method });
  for (const button of find("bars").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset.label === JSON.stringify(label)));
  const letters = Array.from(text); // the server counts code points, strings of JavaScript do not
  const most = Math.max(...tokens.map((token) => Math.abs(token.contribution)), 1e-9);
  const parts = [];
  let end = 0;
  for (const token of [...tokens].sort((one, other) => one.start - other.start)) {
    if (token.start < end || token.start === token.end) continue; // a token that is not in the text as it is
    if (token.start > end) parts.push(document.createTextNode(letters.slice(end, token.start).join("")));
    const span = make("span", letters.slice(token.start, token.end).join(""));
    const colour = token.contribution < 0 ? "--against" : "--for";
    span.style.background = `rgba(var(${colour}), ${((0.5 * Math.abs(token.contribution)) / most).toFixed(3)})`;
    span.title = say("contribution", { token: token.token, number: signed(token.contribution) });
    parts.push(span);
    end = token.end;
  }
  parts.push(document.createTextNode(letters.slice(end).join("")));
  find("tokens").replaceChildren(...parts);
  const strongest = tokens.filter((token) => Math.abs(token.contribution) >= 0.005);
  strongest.sort((one, other) => Math.abs(other.contribution) - Math.abs(one.contribution));
  const words = strongest.slice(0, STRONGEST).map((token) => `${token.token} ${signed(token.contribution)}`);
  find("strongest").textContent = words.length ? say("strongest", { words: words.join(" · ") }) : say("noWords");
}
