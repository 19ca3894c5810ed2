// What is under way: said once it takes longer than PATIENCE, and after LONG with the reason.
"use strict";
const PATIENCE = 150; // milliseconds; a move that waits for the answer to the one before it is told of within twice that
const LONG = 3000;
const underWay = new Map(); // what is shown for each piece of work: nothing yet, or a name in WORDS

function showProgress() {
  const shown = [...underWay.values()].filter(Boolean);
  find("progress").hidden = !shown.length;
  if (shown.length) find("doing").textContent = say(shown.includes("long") ? "long" : "working");
}

// Does some work of which something in the page is the result.
async function during(host, work) {
  const own = {};
  const note = (name) => {
    underWay.set(own, name);
    host.setAttribute("aria-busy", "true");
    showProgress();
  };
  const timers = [setTimeout(note, PATIENCE, "working"), setTimeout(note, LONG, "long")];
  underWay.set(own, null);
  try {
    return await work();
  } finally {
    for (const timer of timers) clearTimeout(timer);
    underWay.delete(own);
    host.setAttribute("aria-busy", "false");
    showProgress();
  }
}
