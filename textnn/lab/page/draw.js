// Panels as pictures: a function for each kind (textnn/lab/panels.py), none for an exhibit.
"use strict";
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function drawPanels(host, panels) {
  while (host.children.length > panels.length) host.lastChild.remove();
  panels.forEach((panel, place) => {
    const figure = host.children[place] ?? host.appendChild(document.createElement("figure"));
    figure.replaceChildren();
    figure.dataset.kind = panel.kind;
    figure.append(make("figcaption", word(panel.title)));
    DRAW[panel.kind](figure, panel, Math.max(figure.clientWidth - 30, 220));
    if (word(panel.note)) figure.append(make("p", word(panel.note), "quiet"));
  });
}

function addPicture(figure, panel, width, height, summary = "") {
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  picture.setAttribute("aria-label", [word(panel.title), summary].filter(Boolean).join(". "));
  const plot = make("div", "", "plot");
  plot.append(picture);
  figure.append(plot);
  return picture;
}

function addReadout(figure) {
  const readout = make("p", say("numbers"), "readout");
  readout.setAttribute("role", "status");
  figure.append(readout);
  return readout;
}

function addLegend(figure, names, swatch) {
  if (!names.some((name) => word(name))) return;
  const list = make("ul", "", "legend");
  names.forEach((name, place) => {
    if (!word(name)) return;
    const item = make("li");
    item.append(svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, swatch(place)), word(name));
    list.append(item);
  });
  figure.append(list);
}

function drawAxes(picture, x, y, panel, box, grid = true) {
  for (const value of y.ticks) {
    const height = y.place(value);
    if (grid) picture.append(svg("line", { x1: box.left, x2: box.right, y1: height, y2: height, class: "grid" }));
    picture.append(svg("text", { x: box.left - 6, y: height + 4, "text-anchor": "end", class: "faint" }, tickText(value, panel.y.log)));
  }
  for (const value of x?.ticks ?? []) {
    picture.append(svg("line", { x1: x.place(value), x2: x.place(value), y1: box.bottom, y2: box.bottom + 4, class: "frame" }));
    picture.append(svg("text", { x: x.place(value), y: box.bottom + 17, "text-anchor": "middle", class: "faint" }, tickText(value, panel.x.log)));
  }
  picture.append(svg("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top, class: "frame" }));
  picture.append(svg("text", { x: box.left, y: 12, class: "faint" }, word(panel.y.label)));
  if (x) picture.append(svg("text", { x: box.right, y: box.bottom + 34, "text-anchor": "end", class: "faint" }, word(panel.x.label)));
}

function drawLines(figure, panel, width) {
  const colour = (place) => (panel.series[place].colour ?? place) % 8;
  const look = { line: "curve", dashed: "curve dashed", dotted: "curve dotted" };
  addLegend(figure, panel.series.map((one) => one.name), (place) => {
    const { style } = panel.series[place];
    if (style === "points") return svg("circle", { cx: 13, cy: 5, r: 3.5, class: `filled c${colour(place)}` });
    return svg("path", { d: "M0 5H26", class: `${look[style]} stroked c${colour(place)}` });
  });
  const height = clamp(width * 0.5, 230, 360);
  const box = { left: 58, right: width - 10, top: 22, bottom: height - 40 };
  const x = makeScale(panel.x, panel.series.flatMap((one) => one.x), box.left, box.right, clamp(width / 80, 3, 10));
  const y = makeScale(panel.y, panel.series.flatMap((one) => one.y), box.bottom, box.top, 6);
  const last = (one) => `${word(one.name)}: ${show(one.y[0])} → ${show(one.y.at(-1))}`;
  const picture = addPicture(figure, panel, width, height, panel.series.map(last).join("; "));
  drawAxes(picture, x, y, panel, box);
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  picture.append(svg("clipPath", { id: clip }, svg("rect", { x: box.left, y: box.top - 2, width: box.right - box.left, height: box.bottom - box.top + 4 })));
  const inside = picture.appendChild(svg("g", { "clip-path": `url(#${clip})` }));
  panel.series.forEach((one, place) => {
    const kept = one.x.map((value, step) => [value, one.y[step]]);
    if (one.style === "points") {
      for (const [a, b] of kept) if (x.has(a) && y.has(b)) inside.append(svg("circle", { cx: x.place(a), cy: y.place(b), r: 4, class: `point filled c${colour(place)}` }));
      return;
    }
    let path = "";
    let pen = "M";
    for (const [a, b] of kept) {
      const here = x.has(a) && y.has(b);
      if (here) path += `${pen}${x.place(a).toFixed(1)} ${y.place(b).toFixed(1)}`;
      pen = here ? "L" : "M";
    }
    inside.append(svg("path", { d: path, class: `${look[one.style]} stroked c${colour(place)}` }));
  });
  readCurves(figure, picture, panel, x, box);
}

function readCurves(figure, picture, panel, x, box) {
  const places = [...new Set(panel.series.flatMap((one) => one.x))].filter(x.has).sort((a, b) => a - b);
  if (!places.length) return;
  const cursor = picture.appendChild(svg("line", { y1: box.top, y2: box.bottom, x1: -9, x2: -9, class: "cursor" }));
  const nearest = (pixel) => places.reduce((best, one, place) => (Math.abs(x.place(one) - pixel) < Math.abs(x.place(places[best]) - pixel) ? place : best), 0);
  makeReadable(picture, addReadout(figure), {
    at: (left) => [nearest(left)],
    move: ([place], dx) => [clamp(place + dx, 0, places.length - 1)],
    mark([place]) {
      const value = places[place];
      for (const name of ["x1", "x2"]) cursor.setAttribute(name, x.place(value));
      const here = panel.series.filter((one) => one.x.includes(value)).map((one) => `${word(one.name)} ${show(one.y[one.x.indexOf(value)])}`.trim());
      return `${word(panel.x.label)} = ${show(value)}: ${here.join(" · ")}`;
    },
  });
}

// A value as a colour over the card's own: how much of it, and of which of the two.
function shade(value, low, high, middle) {
  if (value === null) return { class: "plus", "fill-opacity": 0 };
  const far = value >= middle ? (high - middle || 1) : (middle - low || 1);
  return { class: value >= middle ? "plus" : "minus", "fill-opacity": clamp(Math.abs(value - middle) / far, 0, 1).toFixed(3) };
}

// Which colour is which number.
function addScale(figure, panel, middle) {
  const [cells, size] = [12, 12];
  const bar = svg("svg", { width: cells * size, height: 10, "aria-hidden": "true" });
  for (let place = 0; place < cells; place += 1) {
    const value = panel.low + ((panel.high - panel.low) * place) / (cells - 1);
    bar.append(svg("rect", { x: place * size, width: size, height: 10, ...shade(value, panel.low, panel.high, middle) }));
  }
  const scale = make("p", "", "scale quiet");
  scale.append(show(panel.low), bar, show(panel.high));
  figure.append(scale);
}

function drawHeat(figure, panel, width) {
  const middle = panel.low < 0 && panel.high > 0 ? 0 : panel.low;
  addScale(figure, panel, middle);
  const rows = panel.rows.map(word);
  const columns = panel.columns.map(word);
  const left = clamp(Math.max(0, ...rows.map(widthOf)) + 10, 24, 150);
  const cell = Math.max((width - left - 4) / Math.max(columns.length, 1), 15);
  const widest = Math.max(0, ...columns.map(widthOf));
  const turned = widest > cell - 2;
  const top = turned ? Math.min(widest, 110) + 12 : 20;
  const line = clamp(360 / Math.max(rows.length, 1), 9, 26);
  const picture = addPicture(figure, panel, Math.ceil(left + cell * columns.length + 4), Math.ceil(top + line * rows.length + 4));
  columns.forEach((name, place) => {
    const middle = left + (place + 0.5) * cell;
    const more = turned ? { transform: `rotate(-90 ${middle + 4} ${top - 6})`, x: middle + 4 } : { x: middle, "text-anchor": "middle" };
    picture.append(svg("text", { y: top - 6, class: "faint", ...more }, name));
  });
  const every = Math.ceil(13 / line);
  rows.forEach((name, place) => {
    if (place % every === 0) picture.append(svg("text", { x: left - 5, y: top + (place + 0.5) * line + 4, "text-anchor": "end", class: "faint" }, name));
  });
  panel.values.forEach((values, row) =>
    values.forEach((value, column) => {
      const place = { x: left + column * cell, y: top + row * line, width: cell, height: line };
      picture.append(svg("rect", { ...place, ...shade(value, panel.low, panel.high, middle), "shape-rendering": "crispEdges" }));
    }),
  );
  picture.append(svg("rect", { x: left, y: top, width: cell * columns.length, height: line * rows.length, class: "frame" }));
  const cursor = picture.appendChild(svg("rect", { width: cell, height: line, x: -99, y: -99, class: "cursor" }));
  makeReadable(picture, addReadout(figure), {
    at: (x, y) => [clamp(Math.floor((x - left) / cell), 0, columns.length - 1), clamp(Math.floor((y - top) / line), 0, rows.length - 1)],
    move: ([column, row], dx, dy) => [clamp(column + dx, 0, columns.length - 1), clamp(row + dy, 0, rows.length - 1)],
    mark([column, row]) {
      cursor.setAttribute("x", left + column * cell);
      cursor.setAttribute("y", top + row * line);
      return `${rows[row]} · ${columns[column]}: ${show(panel.values[row]?.[column])}`;
    },
  });
}

function drawBars(figure, panel, width) {
  addLegend(figure, panel.series.map((one) => one.name), (place) => svg("rect", { width: 12, height: 10, x: 6, class: `filled c${place % 8}` }));
  const labels = panel.labels.map(word);
  const box = { left: 58, right: width - 10, top: 22, bottom: 220 };
  const all = panel.series.flatMap((one) => one.values);
  const room = (box.right - box.left) / Math.max(labels.length, 1);
  const turned = Math.max(0, ...labels.map(widthOf)) > room - 4;
  const below = turned ? Math.min(Math.max(...labels.map(widthOf)), 120) + 12 : 24;
  const picture = addPicture(figure, panel, width, box.bottom + below, labels.map((name, place) => `${name}: ${panel.series.map((one) => show(one.values[place])).join(", ")}`).join("; "));
  const y = makeScale(panel.y.log ? panel.y : { ...panel.y, low: panel.y.low ?? Math.min(0, ...all) }, all, box.bottom, box.top, 5);
  drawAxes(picture, null, y, panel, box);
  const ground = y.place(panel.y.log ? y.low : clamp(0, y.low, y.high));
  const thick = (room * 0.8) / panel.series.length;
  labels.forEach((name, place) => {
    const middle = box.left + (place + 0.5) * room;
    const more = turned ? { transform: `rotate(-90 ${middle + 4} ${box.bottom + 8})`, x: middle + 4, y: box.bottom + 8, "text-anchor": "end" } : { x: middle, y: box.bottom + 16, "text-anchor": "middle" };
    picture.append(svg("text", { class: "faint", ...more }, name));
    panel.series.forEach((one, group) => {
      const value = one.values[place];
      if (!y.has(value)) return;
      const end = y.place(value);
      const shape = { x: middle - room * 0.4 + group * thick, width: thick, y: Math.min(end, ground), height: Math.abs(end - ground) };
      picture.append(svg("rect", { ...shape, class: `filled c${group % 8}` }, svg("title", {}, `${name} ${word(one.name)} ${show(value)}`)));
    });
  });
}

function drawSurface(figure, panel, width) {
  const side = Math.min(width, 440);
  const box = { left: 44, right: side - 8, top: 22, bottom: side - 44 };
  const picture = addPicture(figure, panel, side, side);
  const x = makeScale(panel.x, [], box.left, box.right, 5);
  const y = makeScale(panel.y, [], box.bottom, box.top, 5);
  const rows = panel.values.length;
  const middle = (panel.low + panel.high) / 2;
  panel.values.forEach((values, row) => {
    // Cells end at whole pixels: where two see-through ones met between pixels, a line would be seen.
    const [up, across] = [(box.bottom - box.top) / rows, (box.right - box.left) / values.length];
    const [top, bottom] = [Math.round(box.bottom - (row + 1) * up), Math.round(box.bottom - row * up)];
    values.forEach((value, column) => {
      const { class: name, "fill-opacity": opacity } = shade(value, panel.low, panel.high, middle);
      const [left, right] = [Math.round(box.left + column * across), Math.round(box.left + (column + 1) * across)];
      const place = { x: left, y: top, width: right - left, height: bottom - top, "shape-rendering": "crispEdges" };
      picture.append(svg("rect", { ...place, class: name, "fill-opacity": opacity * 0.65 }));
    });
  });
  drawAxes(picture, x, y, panel, box, rows === 0);
  panel.points.forEach(([across, up], place) => {
    const kind = panel.classes[place] ? "plus" : "minus";
    const shape = { class: `point ${kind}` };
    const [cx, cy] = [x.place(across), y.place(up)];
    picture.append(panel.classes[place] ? svg("circle", { cx, cy, r: 3.4, ...shape }) : svg("rect", { x: cx - 3, y: cy - 3, width: 6, height: 6, ...shape }));
  });
}

const boxOf = (node) => widthOf(word(node.label)) + 16;

// How wide columns have to be for neighbours in a row, with the names of arrows between them, and for what stands at the ends.
function columnWidths(panel) {
  const rowOf = new Map(panel.nodes.map((node) => [node.id, node.y]));
  const level = panel.edges.filter((one) => rowOf.get(one.from) === rowOf.get(one.to));
  const between = Math.max(20, ...level.map((one) => widthOf(word(one.label))));
  const ends = ["min", "max"].map((which) => Math[which](...panel.nodes.map((node) => node.x)));
  return panel.nodes.flatMap((node) => {
    const after = panel.nodes.filter((one) => one.y === node.y && one.x > node.x);
    const gaps = after.map((one) => ((boxOf(node) + boxOf(one)) / 2 + between) / (one.x - node.x));
    return ends.includes(node.x) ? [...gaps, boxOf(node)] : gaps;
  });
}

function drawGraph(figure, panel, width) {
  const [across, down] = ["x", "y"].map((name) => panel.nodes.map((node) => node[name]));
  const [left, top] = [Math.min(...across), Math.min(...down)];
  const columns = Math.max(...across) - left + 1;
  const wide = Math.max(width / columns, ...columnWidths(panel));
  const high = 74;
  const picture = addPicture(figure, panel, wide * columns, high * (Math.max(...down) - top + 1), panel.nodes.map((node) => word(node.label)).join(", "));
  const places = new Map(panel.nodes.map((node) => [node.id, { node, x: (node.x - left + 0.5) * wide, y: (node.y - top + 0.5) * high, half: boxOf(node) / 2 }]));
  const slants = (one) => word(one.label) && ["x", "y"].every((name) => places.get(one.from)[name] !== places.get(one.to)[name]);
  const names = panel.edges.map((edge) => {
    const crowded = panel.edges.filter((one) => one.to === edge.to && slants(one)).length > 1;
    return drawEdge(picture, edge, places.get(edge.from), places.get(edge.to), crowded);
  });
  picture.append(...names.filter(Boolean)); // above all arrows
  for (const { node, x, y, half } of places.values()) {
    picture.append(svg("rect", { x: x - half, y: y - 13, width: half * 2, height: 26, rx: 8, class: `node ${node.kind}` }));
    picture.append(svg("text", { x, y: y + 4, "text-anchor": "middle" }, word(node.label)));
  }
}

// Returns its name, if it has one. That of a slanting arrow stands near its tip, or, where several with names end, near its beginning.
function drawEdge(picture, edge, from, to, crowded) {
  const text = word(edge.label);
  if (from === to) {
    picture.append(svg("path", { d: `M${from.x - 8} ${from.y - 13}c-14 -26 30 -26 16 0`, class: `arrow ${edge.kind}` }));
    return text && svg("text", { x: from.x, y: from.y - 24, "text-anchor": "middle", class: "faint on" }, text);
  }
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  // Arrows end where they meet the boxes.
  const reach = (half) => Math.min(half / Math.abs(dx || 1e-9), 13 / Math.abs(dy || 1e-9), 0.45);
  const [start, end] = [reach(from.half), 1 - reach(to.half)];
  const [x1, y1, x2, y2] = [from.x + dx * start, from.y + dy * start, from.x + dx * end, from.y + dy * end];
  picture.append(svg("line", { x1, y1, x2, y2, class: `arrow ${edge.kind}` }));
  const angle = (Math.atan2(dy, dx) * 180) / Math.PI;
  picture.append(svg("path", { d: "M0 0L-8 -3.5L-8 3.5Z", transform: `translate(${x2} ${y2}) rotate(${angle})`, class: `tip ${edge.kind}` }));
  if (!text) return null;
  const near = Math.min(0.5, 27 / Math.abs(dy));
  const upright = Math.abs(dy) > 100 ? 0.75 : 0.5; // there may be a box in the middle
  const along = dx && dy ? (crowded ? near : 1 - near) : upright;
  const [x, y] = [from.x + dx * along, from.y + dy * along];
  const place = dx ? { x: dy ? x : (x1 + x2) / 2, y: dy ? y + 4 : y - 5, "text-anchor": "middle" } : { x: x + 6, y: y + 4 };
  return svg("text", { ...place, class: "faint on" }, text);
}

function drawTable(figure, panel) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of panel.columns) head.append(Object.assign(make("th", word(name)), { scope: "col" }));
  const body = table.createTBody();
  panel.rows.forEach((values, place) => {
    const row = body.insertRow();
    if (panel.chosen.includes(place)) row.className = "chosen";
    for (const value of values) row.append(make("td", value === null || typeof value === "number" ? show(value) : word(value)));
  });
  const plot = make("div", "", "plot");
  plot.tabIndex = 0;
  plot.append(table);
  figure.append(plot);
}

function drawMarked(figure, panel) {
  const text = make("p", "", "marked");
  for (const one of panel.spans) {
    const piece = make("span", "", one.chosen ? "chosen" : "");
    piece.append(make("span", one.text));
    const note = word(one.note);
    if (note) piece.append(make("small", note));
    const percent = Math.round(clamp(Math.abs(one.value ?? 0), 0, 1) * 55);
    piece.style.background = percent ? `color-mix(in srgb, var(--${one.value > 0 ? "plus" : "minus"}) ${percent}%, transparent)` : "";
    text.append(piece);
  }
  figure.append(text);
}

const DRAW = { lines: drawLines, heat: drawHeat, bars: drawBars, surface: drawSurface, graph: drawGraph, table: drawTable, marked: drawMarked };
