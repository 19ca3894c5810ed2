// Elements, numbers and scales for the pictures. Data reaches the page as text only (textContent), never as HTML.
"use strict";
const find = (id) => document.getElementById(id);

function make(tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) element.append(child);
  return element;
}

function show(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e6) return value.toExponential(1).replace("e+", "e").replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

// The width of a text of 12 pixels, near enough: Chinese characters are square.
const widthOf = (text) => Array.from(text).reduce((sum, one) => sum + (one > "\u2e7f" ? 12.5 : 6.8), 0);

// From values to pixels: a function with its ticks. A logarithmic axis has no place for 0 and what is below.
function makeScale(axis, values, from, to, most) {
  const usable = values.filter((value) => value !== null && (!axis.log || value > 0));
  let low = axis.low ?? (usable.length ? Math.min(...usable) : axis.log ? 0.1 : 0);
  let high = axis.high ?? (usable.length ? Math.max(...usable) : 1);
  if (low === high) [low, high] = axis.log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  const turn = axis.log ? Math.log10 : (value) => value;
  const [a, b] = [turn(low), turn(high)];
  const place = (value) => from + ((turn(value) - a) / (b - a)) * (to - from);
  const has = (value) => value !== null && (!axis.log || value > 0);
  return { place, has, ticks: axis.log ? logTicks(a, b, most) : ticks(a, b, most), low, high };
}

function ticks(low, high, most) {
  const rough = (high - low) / Math.max(most, 1);
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= rough * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

function logTicks(low, high, most) {
  if (high - low < 1) return ticks(10 ** low, 10 ** high, 3).filter((value) => value > 0);
  const step = Math.max(1, Math.ceil((high - low) / most));
  const found = [];
  for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power += step) found.push(Number(`1e${power}`));
  return found;
}

const tickText = (value, log) => (log && (value < 0.01 || value >= 10000) ? `10${superscript(Math.round(Math.log10(value)))}` : show(value));
const superscript = (power) => Array.from(String(power), (one) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(one)]).join("");

// A picture that answers to the pointer and the arrow keys: ``at(x, y)`` gives a place, ``move(place, dx, dy)`` the one
// beside it, ``mark(place)`` shows it and returns its numbers as text.
function makeReadable(picture, readout, { at, move, mark }) {
  let current = null;
  const set = (place) => {
    if (!place) return;
    current = place;
    readout.textContent = mark(place);
  };
  picture.setAttribute("tabindex", "0");
  for (const name of ["pointermove", "pointerdown"])
    picture.addEventListener(name, (event) => {
      const box = picture.getBoundingClientRect();
      set(at(event.clientX - box.left, event.clientY - box.top));
    });
  picture.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    set(current ? move(current, ...way) : at(0, 0));
  });
}
