// The page: an exhibit's words and controls, its panels from the server as controls move, a training step by step.
"use strict";
const DATA = JSON.parse(find("data").textContent);
const { exhibit, served } = DATA;
const PAUSE = 40; // milliseconds between two steps of a training

let panels = DATA.panels;
let livePanels = [];
let values = readAddress();
let readSettings = () => ({});
let readLive = () => ({});

const pageOf = (slug) => (served ? `./${slug}` : slug ? `${slug}.html` : "index.html");

class Refused extends Error {}

async function ask(path, body) {
  if (body.settings && exhibit.controls.some((control) => control.kind === "text" && !values[control.name].trim())) throw new Refused(say("blank"));
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Refused(say("gone"));
  }
  const content = await answer.json().catch(() => {
    throw new Refused(say("strange"));
  });
  if (!answer.ok) throw new Refused(explain(content.error));
  return content;
}

function explain(error) {
  const wrong = exhibit.controls.find((control) => control.name === error?.field);
  return wrong?.kind === "text" ? say("unread") : (error?.message ?? say("strange"));
}

function tell(sentence) {
  find("message").hidden = !sentence;
  find("message").textContent = sentence;
}

// The address keeps what differs from the defaults, so that a page can be marked and sent.
function readAddress() {
  const found = {};
  if (!exhibit || !served) return found;
  const given = new URLSearchParams(location.hash.slice(1));
  for (const control of exhibit.controls) {
    const text = given.get(control.name);
    if (text === null) continue;
    if (control.kind === "slider" && Number.isFinite(Number(text))) found[control.name] = clamp(Number(text), control.low, control.high);
    else if (control.kind === "toggle") found[control.name] = text === "true";
    else if (control.kind === "text" || control.options?.some((option) => option.value === text)) found[control.name] = text;
  }
  return found;
}

function writeAddress() {
  const kept = exhibit.controls.filter((control) => values[control.name] !== control.default).map((control) => [control.name, String(values[control.name])]);
  history.replaceState(null, "", kept.length ? `#${new URLSearchParams(kept)}` : location.pathname);
}

// Of several moves while one is computed, the last one counts.
let running = false;
let wanted = false;

async function run() {
  wanted = true;
  if (running) return;
  running = true;
  try {
    while (wanted) {
      wanted = false;
      await during(find("panels"), compute);
    }
  } finally {
    running = false;
  }
}

async function compute() {
  try {
    const found = await ask("run", { exhibit: exhibit.slug, settings: values });
    panels = found.panels;
    tell("");
    drawPanels(find("panels"), panels);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.message);
  }
}

// A training: its key, and whether it goes on by itself. What comes back for one that was reset is dropped.
let training = null;

function setPlaying(playing) {
  training.playing = playing;
  find("turning").hidden = !playing;
  find("play").dataset.word = playing ? "pause" : "start";
  find("play").textContent = say(find("play").dataset.word);
}

function showRounds() {
  find("trained").textContent = training.done ? say("done") : training.rounds ? say("rounds", { count: training.rounds }) : "";
}

function showLive(found) {
  livePanels = found;
  drawPanels(find("live-panels"), livePanels);
}

// Of several trainings that are begun while one is prepared, the last one is asked for.
let preparing = Promise.resolve();

function begin() {
  const own = { key: null, rounds: 0, done: false, playing: false, loop: 0, busy: null };
  training = own;
  setPlaying(false);
  showRounds();
  const go = () => prepare(own);
  own.ready = preparing = preparing.then(go, go);
  during(find("live-panels"), () => own.ready);
}

async function prepare(own) {
  if (training !== own) return;
  try {
    const found = await ask("live", { exhibit: exhibit.slug, settings: values });
    if (training !== own) return;
    own.key = found.training;
    showLive(found.panels);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (training === own) tell(error.message);
  }
}

// Takes one step when the one under way is done, if it is still wanted then; returns whether one was taken.
async function step(wanted = () => true) {
  const own = training;
  await own.ready;
  while (own.busy) await own.busy;
  if (training !== own || !own.key || !wanted()) return false;
  own.busy = take(own);
  return own.busy;
}

async function take(own) {
  try {
    const found = await ask("step", { training: own.key });
    if (training !== own) return false;
    own.done = found.done;
    if (!found.done) own.rounds += 1;
    showRounds();
    if (found.done) return false;
    showLive(found.panels);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (training === own) tell(error.message);
    return false;
  } finally {
    own.busy = null;
  }
}

async function play() {
  if (training.playing) return setPlaying(false);
  const own = training;
  const loop = ++own.loop;
  const goesOn = () => training === own && own.loop === loop && own.playing;
  setPlaying(true);
  while (goesOn() && (await step(goesOn))) await new Promise((go) => setTimeout(go, PAUSE));
  if (training === own && own.loop === loop) setPlaying(false);
}

function moved() {
  const before = [readRunning(), readTraining()].map((one) => JSON.stringify(one));
  values = { ...readSettings(), ...readLive() };
  writeAddress();
  if (JSON.stringify(readRunning()) !== before[0]) run();
  if (exhibit.live && JSON.stringify(readTraining()) !== before[1]) begin();
}

const readSome = (wanted) => Object.fromEntries(exhibit.controls.filter(wanted).map((control) => [control.name, values[control.name] ?? control.default]));
// What the panels above depend on: all settings but those of the training.
const readRunning = () => readSome((control) => !control.live);
const readTraining = () => readSome((control) => exhibit.training.includes(control.name));

function build() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  find("home").href = pageOf("");
  find("exhibits").replaceChildren(
    ...DATA.exhibits.map((one) => {
      const link = Object.assign(make("a", word(one.title)), { href: pageOf(one.slug) });
      if (one.slug === exhibit?.slug) link.setAttribute("aria-current", "page");
      return link;
    }),
  );
  find("list").hidden = Boolean(exhibit);
  find("exhibit").hidden = !exhibit;
  if (exhibit) buildExhibit();
  else
    find("cards").replaceChildren(
      ...DATA.exhibits.map((one) => {
        const card = make("li", "", "card");
        card.append(Object.assign(make("a", word(one.title)), { href: pageOf(one.slug) }), make("p", word(one.question), "quiet"));
        return card;
      }),
    );
}

// Presets of the training alone stand beside it, and move no other control.
function buildPresets(host, live) {
  const presets = exhibit.presets.filter((preset) => preset.live === live);
  host.hidden = !served || !presets.length;
  host.replaceChildren(
    make("span", say("presets"), "quiet"),
    ...presets.map((preset) => {
      const button = Object.assign(make("button", word(preset.label)), { type: "button" });
      button.addEventListener("click", () => {
        fillControls(live ? { ...preset.settings, ...readSettings() } : preset.settings);
        moved();
      });
      return button;
    }),
  );
}

function buildNext() {
  const place = DATA.exhibits.findIndex((one) => one.slug === exhibit.slug);
  const next = DATA.exhibits[place + 1];
  find("next").replaceChildren(...(next ? [say("next"), " ", Object.assign(make("a", word(next.title)), { href: pageOf(next.slug) })] : []));
}

// The controls beside the panels, and those of the training, at some values.
function fillControls(given) {
  const some = (live) => exhibit.controls.filter((control) => control.live === live);
  readSettings = buildControls(find("controls"), some(false), given, served, moved);
  readLive = buildControls(find("live-controls"), some(true), given, served, moved);
}

function buildExhibit() {
  document.title = `${word(exhibit.title)} – textnn lab`;
  find("title").textContent = word(exhibit.title);
  find("text").textContent = word(exhibit.text);
  find("asked").textContent = word(exhibit.question);
  find("lines").textContent = exhibit.code;
  find("default").hidden = served;
  find("training").hidden = !exhibit.live || !served;
  buildPresets(find("presets"), false);
  buildPresets(find("live-presets"), true);
  buildNext();
  fillControls(values);
  values = { ...readSettings(), ...readLive() };
  if (panels) drawPanels(find("panels"), panels);
  drawPanels(find("live-panels"), livePanels);
  if (training) showRounds();
}

function redraw() {
  if (panels) drawPanels(find("panels"), panels);
  drawPanels(find("live-panels"), livePanels);
}

build();
if (exhibit && served) {
  run();
  if (exhibit.live) begin();
}
find("language").addEventListener("click", () => {
  setLanguage(language === "en" ? "zh" : "en");
  build();
  if (exhibit && !find("message").hidden) run(); // what it says is in the other language
});
for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
find("play").addEventListener("click", play);
find("step").addEventListener("click", () => {
  setPlaying(false);
  during(find("live-panels"), step);
});
find("reset").addEventListener("click", begin);
let width = find("exhibit").clientWidth;
new ResizeObserver(([{ target }]) => {
  if (target.clientWidth !== width) {
    width = target.clientWidth;
    redraw();
  }
}).observe(find("exhibit"));
