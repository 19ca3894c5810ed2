// The page: a text goes out to /predict and /explain, what comes back is shown. Data reaches the page as text only
// (textContent), never as HTML.
import { language, say } from "./words.js";

const PAUSE = 350; // milliseconds without a key before a text is sent
const PATIENCE = 35000;
const STRONGEST = 5;
const find = (id) => document.getElementById(id);
const [form, field, live, result] = ["form", "text", "live", "result"].map(find);

let limits = { max_text: Infinity };
let thresholds = null;
let running = null; // the AbortController of what is under way
let timer = 0;
let chosen; // the class that is explained; undefined: the predicted one

class Failure extends Error {}

const percent = (value) =>
  new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
const signed = (value) => new Intl.NumberFormat(language, { signDisplay: "exceptZero", maximumFractionDigits: 2 }).format(value);
const length = (text) => Array.from(text).length; // code points, as the server counts

function make(tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

async function ask(path, body, signal) {
  let answer;
  try {
    answer = await fetch(path, {
      method: body ? "POST" : "GET",
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "TimeoutError") throw new Failure(say("slow"));
    if (error.name === "AbortError") throw error;
    throw new Failure(say("gone"));
  }
  let content;
  try {
    content = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(say("strange"));
  }
  if (answer.ok) return content;
  const code = content.error?.code;
  if (code === "rate_limited") throw new Failure(say("rate", { seconds: answer.headers.get("Retry-After") ?? "60" }));
  if (code === "overloaded" || code === "client_busy") throw new Failure(say("busy"));
  if (code === "timeout") throw new Failure(say("slow"));
  throw new Failure(say("failed", { reason: content.error?.message ?? answer.status }));
}

async function classify() {
  clearTimeout(timer);
  running?.abort();
  const text = field.value.toWellFormed?.() ?? field.value;
  showMessage("");
  if (!text.trim()) {
    show(null);
    return;
  }
  if (length(text) > limits.max_text) {
    show(null);
    showMessage(say("long", { most: limits.max_text.toLocaleString(language) }));
    return;
  }
  const control = (running = new AbortController());
  const signal = AbortSignal.any?.([control.signal, AbortSignal.timeout(PATIENCE)]) ?? control.signal;
  setBusy(true);
  try {
    const explained = chosen === undefined ? { text } : { text, label: chosen };
    const explanation = ask("explain", explained, signal).catch((error) => error);
    const prediction = await ask("predict", { text }, signal);
    if (running !== control) return;
    show(prediction);
    const found = await explanation;
    if (running !== control) return;
    if (found instanceof Error) showReason(found.message);
    else showTokens(found, text);
  } catch (error) {
    if (running !== control || error.name === "AbortError") return;
    show(null);
    find("empty").hidden = true;
    showMessage(error instanceof Failure ? error.message : say("strange"));
  } finally {
    if (running === control) setBusy(false);
  }
}

function setBusy(busy) {
  find("spinner").hidden = !busy;
  result.setAttribute("aria-busy", String(busy));
}

function showMessage(sentence) {
  find("message").hidden = !sentence;
  find("message").textContent = sentence;
}

function show(prediction) {
  if (!prediction) setBusy(false);
  result.hidden = !prediction;
  find("empty").hidden = Boolean(prediction);
  if (!prediction) return;
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
    classify();
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

function showLength() {
  const count = length(field.value);
  const known = Number.isFinite(limits.max_text);
  const values = { count: count.toLocaleString(language), most: limits.max_text.toLocaleString(language) };
  find("hint").textContent = count && known ? say("hint", values) : say("shortcut");
  find("hint").classList.toggle("over", count > limits.max_text);
}

function edited() {
  chosen = undefined;
  showLength();
  clearTimeout(timer);
  if (!field.value.trim()) classify();
  else if (live.checked) timer = setTimeout(classify, PAUSE);
}

function offer(examples) {
  if (!examples.length) return;
  for (const example of examples) {
    const button = make("button", example);
    button.type = "button";
    button.lang = "zh-CN";
    button.addEventListener("click", () => {
      field.value = example;
      edited();
      classify();
    });
    find("examples").append(button);
  }
  find("try").hidden = false;
  find("empty-more").textContent = say("emptyExamples");
}

async function begin() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    classify();
  });
  field.addEventListener("input", edited);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    classify();
  });
  showLength();
  try {
    const model = await ask("model");
    ({ limits, thresholds } = model);
    const texts = model.training_texts.toLocaleString(language);
    find("facts").textContent = say("facts", { ...model, texts, tokenizer: model.tokenizer.kind });
    showLength();
    offer(model.examples);
  } catch (error) {
    showMessage(error.message);
  }
  if (field.value.trim()) classify(); // what the browser has kept of the last visit
}

begin();
