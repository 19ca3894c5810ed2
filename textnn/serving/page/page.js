// The page: a text goes out to the server, and what comes back is shown as the model's task wants it.
import * as classification from "./classification.js";
import { ask, Failure, find, length, make } from "./common.js";
import * as entities from "./entities.js";
import * as languageModel from "./language.js";
import * as segments from "./segments.js";
import { language, say } from "./words.js";

const PAUSE = 350; // milliseconds without a key before a text is sent
const PATIENCE = 35000;
const { task } = document.documentElement.dataset;
const view = { classification, entities, segmentation: segments, tagging: segments, language: languageModel }[task];
const [form, field, live, result] = ["form", "text", "live", "result"].map(find);

let limits = { max_text: Infinity };
let running = null; // the AbortController of what is under way
let timer = 0;

async function run() {
  clearTimeout(timer);
  running?.abort();
  const text = field.value.toWellFormed?.() ?? field.value;
  showMessage("");
  if (!text.trim()) {
    running = null;
    reveal(false);
    return;
  }
  if (length(text) > limits.max_text) {
    running = null;
    reveal(false);
    showMessage(say("long", { most: limits.max_text.toLocaleString(language) }));
    return;
  }
  const control = (running = new AbortController());
  const signal = AbortSignal.any?.([control.signal, AbortSignal.timeout(PATIENCE)]) ?? control.signal;
  setBusy(true);
  try {
    await view.run(text, { signal, isCurrent: () => running === control, reveal: () => reveal(true) });
  } catch (error) {
    if (running !== control || error.name === "AbortError") return;
    reveal(false);
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

function reveal(something) {
  if (!something) setBusy(false);
  result.hidden = !something;
  find("empty").hidden = something;
}

function showLength() {
  const count = length(field.value);
  const known = Number.isFinite(limits.max_text);
  const values = { count: count.toLocaleString(language), most: limits.max_text.toLocaleString(language) };
  find("hint").textContent = count && known ? say("hint", values) : say("shortcut");
  find("hint").classList.toggle("over", count > limits.max_text);
}

function edited() {
  view.edited?.();
  showLength();
  clearTimeout(timer);
  if (!field.value.trim()) run();
  else if (live.checked) timer = setTimeout(run, PAUSE);
}

function offer(examples) {
  if (!examples.length) return;
  for (const example of examples) {
    const button = make("button", example);
    button.type = "button";
    if (/\p{Script=Han}/u.test(example)) button.lang = "zh-CN";
    button.addEventListener("click", () => {
      field.value = example;
      edited();
      run();
    });
    find("examples").append(button);
  }
  find("try").hidden = false;
  find("empty-more").textContent = say("emptyExamples");
}

async function begin() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-for]"))
    element.hidden = !element.dataset.for.split(" ").includes(task);
  for (const element of document.querySelectorAll("[data-word]"))
    if (!element.closest("[data-for][hidden]")) element.textContent = say(element.dataset.word);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  field.addEventListener("input", edited);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    run();
  });
  showLength();
  try {
    const model = await ask("model");
    ({ limits } = model);
    view.begin(model, run, edited);
    const count = (model.training_texts ?? model.training_sentences).toLocaleString(language);
    find("facts").textContent = say("facts", { ...model, count, tokenizer: model.tokenizer?.kind });
    showLength();
    offer(model.examples);
  } catch (error) {
    showMessage(error.message);
  }
  if (field.value.trim()) run(); // what the browser has kept of the last visit
}

begin();
