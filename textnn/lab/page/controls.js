// Controls from their descriptions (textnn/lab/exhibit.py), and the values they stand at.
"use strict";
const STEPS = 400; // of a logarithmic slider

const KINDS = {
  slider(control, value, changed) {
    const input = Object.assign(document.createElement("input"), { type: "range" });
    const shown = document.createElement("output");
    const ratio = Math.log(control.high / control.low);
    let current = value;
    const read = () => {
      if (!control.log) return Number(input.value);
      const found = Number((control.low * Math.exp((ratio * Number(input.value)) / STEPS)).toPrecision(3));
      return clamp(control.whole ? Math.round(found) : found, control.low, control.high);
    };
    const refresh = () => {
      shown.textContent = show(current);
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    Object.assign(input, control.log ? { min: 0, max: STEPS, step: 1 } : { min: control.low, max: control.high, step: control.step });
    input.value = control.log ? Math.round((Math.log(value / control.low) / ratio) * STEPS) : value;
    input.addEventListener("input", () => {
      current = read();
      refresh();
      changed();
    });
    refresh();
    return { input, shown, read: () => current };
  },
  choice(control, value, changed) {
    const input = document.createElement("select");
    for (const option of control.options) input.append(Object.assign(make("option", word(option.label)), { value: option.value }));
    input.value = value;
    input.addEventListener("change", changed);
    return { input, read: () => input.value };
  },
  text(control, value, changed) {
    const input = Object.assign(document.createElement("textarea"), { rows: 2, value, maxLength: control.longest, spellcheck: false, dir: "auto" });
    input.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && event.preventDefault()); // a sentence is one line
    const shown = document.createElement("output");
    const refresh = () => (shown.textContent = `${input.value.length} / ${control.longest}`);
    input.addEventListener("input", (event) => {
      refresh();
      if (!event.isComposing) changed(); // what an input method is still putting together is no text yet
    });
    input.addEventListener("compositionend", changed);
    refresh();
    return { input, shown, read: () => input.value, wide: true };
  },
  toggle(control, value, changed) {
    const input = Object.assign(document.createElement("input"), { type: "checkbox", checked: value });
    input.addEventListener("change", changed);
    return { input, read: () => input.checked };
  },
};

// Fills a form with controls; ``changed`` is called when one is moved. Returns a function that gives their values.
function buildControls(form, controls, values, enabled, changed) {
  form.replaceChildren();
  const readers = controls.map((control) => {
    const built = KINDS[control.kind](control, values[control.name] ?? control.default, changed);
    const id = `control-${control.name}`;
    Object.assign(built.input, { id, disabled: !enabled });
    const label = Object.assign(make("label", word(control.label)), { htmlFor: id });
    const box = make("div", "", `control ${control.kind}${built.wide ? " wide" : ""}`);
    if (built.shown) built.shown.setAttribute("for", id);
    if (control.kind === "toggle") {
      box.append(built.input, label);
    } else {
      const head = make("div", "", "head");
      head.append(label, ...(built.shown ? [built.shown] : []));
      box.append(head, built.input);
    }
    form.append(box);
    return [control.name, built.read];
  });
  return () => Object.fromEntries(readers.map(([name, read]) => [name, read()]));
}
