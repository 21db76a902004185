"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (name) => document.getElementById(name);
const SVG = "http://www.w3.org/2000/svg";
// Text goes in as text, never as markup: names of files and types come from anywhere.
const make = (tag, attributes, text, space) => {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const shown = (value) => {
  if (value === null) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(3) : String(+value.toPrecision(5));
};

// Frames that can be stepped through.
const frames = data.frames;
let current = 0, timer = null;
// Small frames are shown at most this many times as large, large ones as wide as the page.
const MOST_ENLARGED = 6;
// Numbers of particles, above all outlines: right of their boxes, or left where the frame ends.
// `unit` is the length of a pixel of the screen in pixels of the frame, in which the layer is drawn.
const drawNumbers = (frame, layer, unit) => {
  const size = 11 * unit, rim = { stroke: "#000", "stroke-width": 3 * unit, "stroke-linejoin": "round", "paint-order": "stroke" };
  for (const found of frame.found) {
    if (found.particle === null) continue;
    const [left, top, right] = found.box, highest = size, lowest = frame.height - 3 * unit;
    const y = Math.max(highest, Math.min(lowest, top + 4 * unit));
    const text = make("text", { x: right + 2 * unit, y, fill: "#ff0", "font-size": size, ...rim }, String(found.particle), SVG);
    layer.append(text);
    const width = text.getComputedTextLength() + 2 * unit, last = frame.width - width;
    if (right + 2 * unit > last) text.setAttribute("x", Math.max(2 * unit, Math.min(last, left - width)));
  }
};
const drawFrame = () => {
  const frame = frames[current], stage = byId("stage");
  stage.replaceChildren();
  for (const name of ["stage", "legend"]) byId(name).style.maxWidth = `${MOST_ENLARGED * frame.width}px`;
  if (frame.image) stage.append(make("img", { src: frame.image, alt: "frame " + frame.frame }));
  else stage.style.aspectRatio = frame.width + " / " + frame.height;
  const layer = make("svg", { viewBox: `0 0 ${frame.width} ${frame.height}` }, undefined, SVG);
  const dark = frame.unseen.map((rim) => "M" + rim.join(" ") + "Z").join("");
  if (dark) {
    const part = make("path", { d: dark, "fill-rule": "evenodd", fill: "#000", "fill-opacity": .5 }, undefined, SVG);
    part.append(make("title", {}, "not looked at", SVG));
    layer.append(part);
  }
  for (const found of byId("outlines").checked ? frame.found : []) {
    const style = { fill: "none", stroke: data.colours[found.type], "stroke-width": 1.5, "vector-effect": "non-scaling-stroke",
      "stroke-dasharray": found.origin === "interpolated" ? "4 3" : "none" };
    const shape = found.line !== null
      ? make("polyline", { points: found.line.join(" "), ...style }, undefined, SVG)
      : found.major === null
      ? make("rect", { x: found.box[0], y: found.box[1], width: found.box[2] - found.box[0], height: found.box[3] - found.box[1], ...style }, undefined, SVG)
      : make("ellipse", { cx: found.x, cy: found.y, rx: found.major / 2, ry: found.minor / 2, transform: `rotate(${-found.angle} ${found.x} ${found.y})`, ...style }, undefined, SVG);
    const number = found.particle === null ? "" : `particle ${found.particle}, `;
    shape.append(make("title", {}, `${number}${data.types[found.type]}, ${found.origin}`, SVG));
    layer.append(shape);
  }
  stage.append(layer);
  if (byId("names").checked) drawNumbers(frame, layer, frame.width / (stage.clientWidth || frame.width));
  byId("slider").value = current;
  const at = (frame.time_s === null ? "" : `, ${frame.time_s.toFixed(2)} s`)
    + (frame.dose_dpa === null ? "" : `, ${frame.dose_dpa.toFixed(3)} dpa`);
  const tracked = frame.tracked === null ? "" : `, ${frame.tracked} tracked`;
  byId("caption").textContent = `frame ${frame.frame}, ${frame.source}${at}: ${frame.count} found${tracked}`;
  explain(frame);
};
// What colours and dark parts mean, and a bar as long as it is in the frame above.
const explain = (frame) => {
  const legend = byId("legend");
  legend.replaceChildren();
  const entry = (colour, words) => {
    const item = make("span");
    item.append(make("i", { style: `background: ${colour}` }), words);
    legend.append(item);
  };
  data.types.forEach((title, k) => entry(data.colours[k], title));
  if (frame.unseen.length) entry("#000a", "not looked at");
  if (frame.bar === null) return;
  const bar = make("div", { id: "bar", style: `width: ${(100 * frame.bar.px) / frame.width}%` });
  bar.append(make("span", {}, frame.bar.text));
  legend.append(bar);
};
const step = (by) => { current = (current + by + frames.length) % frames.length; drawFrame(); };
if (frames.length) {
  byId("viewer").hidden = false;
  byId("slider").max = frames.length - 1;
  byId("slider").addEventListener("input", (event) => { current = +event.target.value; drawFrame(); });
  byId("before").addEventListener("click", () => step(-1));
  byId("after").addEventListener("click", () => step(1));
  for (const name of ["outlines", "names"]) byId(name).addEventListener("change", drawFrame);
  byId("play").addEventListener("click", () => {
    if (timer) { clearInterval(timer); timer = null; } else timer = setInterval(() => step(1), 250);
    byId("play").textContent = timer ? "stop" : "play";
  });
  // Numbers are as large on the screen whatever the width of the page.
  window.addEventListener("resize", drawFrame);
  drawFrame();
}

// Particles that can be sorted, and the history of one.
const columns = data.columns, rows = data.particles, MOST_ROWS = 1000;
let order = { column: -1, up: true };
const history = (row) => {
  const own = data.histories[String(row[0])], box = byId("history");
  box.replaceChildren();
  if (!own) {
    box.append(make("p", { class: "note" }, `Particle ${row[0]}: history left out (too many rows)`));
    return;
  }
  const W = 640, H = 240, L = 56, B = 36, T = 24;
  const plot = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" }, undefined, SVG);
  const known = own.size.filter((v) => v !== null);
  const x0 = Math.min(...own.at), x1 = Math.max(...own.at), top = 1.1 * Math.max(...known, 1e-9);
  const px = (v) => L + (x1 > x0 ? (v - x0) / (x1 - x0) : 0.5) * (W - L - 12), py = (v) => H - B - (v / top) * (H - B - T);
  const text = (x, y, words, anchor) => plot.append(make("text", { x, y, "text-anchor": anchor, "font-size": 12, fill: "currentColor" }, words, SVG));
  plot.append(make("path", { d: `M${L} ${T} V${H - B} H${W - 8}`, fill: "none", stroke: "currentColor" }, undefined, SVG));
  own.at.forEach((at, k) => {
    if (own.size[k] === null) return;
    plot.append(make("circle", { cx: px(at), cy: py(own.size[k]), r: 2.4, fill: own.seen[k] ? "#0072b2" : "none", stroke: "#0072b2" }, undefined, SVG));
  });
  text(L, H - B + 16, shown(x0), "start"); text(W - 12, H - B + 16, shown(x1), "end");
  text((L + W) / 2, H - 6, data.axis, "middle"); text(L - 6, T + 8, shown(top), "end"); text(L - 6, H - B, "0", "end");
  text(L, 14, `Particle ${row[0]}: ${data.size} (hollow: filled in)`, "start");
  if (!known.length) text(W / 2, H / 2, "sizes are unknown", "middle");
  box.append(plot);
};
const fill = () => {
  const words = byId("filter").value.trim().toLowerCase();
  const wanted = rows.filter((row) => !words || row.some((v) => shown(v).toLowerCase().includes(words)));
  if (order.column >= 0) {
    const sign = order.up ? 1 : -1;
    wanted.sort((a, b) => {
      const [p, q] = [a[order.column], b[order.column]];
      if (p === null || q === null) return (p === null) - (q === null);
      return sign * (typeof p === "number" && typeof q === "number" ? p - q : String(p).localeCompare(String(q)));
    });
  }
  const body = make("tbody");
  byId("rows").textContent = wanted.length > MOST_ROWS
    ? `${MOST_ROWS} of ${wanted.length} shown; filter or sort` : "";
  for (const row of wanted.slice(0, MOST_ROWS)) {
    const line = make("tr", { tabindex: 0 });
    row.forEach((v) => line.append(make("td", typeof v === "string" ? { class: "text" } : {}, shown(v))));
    const choose = () => {
      for (const other of body.querySelectorAll(".chosen")) other.classList.remove("chosen");
      line.classList.add("chosen");
      history(row);
    };
    line.addEventListener("click", choose);
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
    body.append(line);
  }
  byId("table").querySelector("tbody").replaceWith(body);
};
if (rows.length) {
  byId("particles").hidden = false;
  const line = make("tr");
  columns.forEach((name, k) => {
    const cell = make("th", { "aria-sort": "none" }), button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      order = { column: k, up: order.column === k ? !order.up : true };
      for (const other of line.children) other.setAttribute("aria-sort", "none");
      cell.setAttribute("aria-sort", order.up ? "ascending" : "descending");
      fill();
    });
    cell.append(button);
    line.append(cell);
  });
  byId("table").querySelector("thead").append(line);
  byId("filter").addEventListener("input", fill);
  fill();
}
