// A legend beside plots that stand together: each series once for all of them. A box of a series hides it in each plot, and a
// field keeps those whose name contains a text.

import { look } from "./look.js";
import { hasMarkers } from "./plot.js";

// Names from which there is a field.
const SEARCHED = 8;

const SHAPES = {
  circle: "M13.5,6 a3.5,3.5 0 1,0 7,0 a3.5,3.5 0 1,0 -7,0 Z",
  triangle: "M17,2 L21,9.5 L13,9.5 Z",
  diamond: "M17,1.5 L21,6 L17,10.5 L13,6 Z",
  square: "M13.5,2.5 L20.5,2.5 L20.5,9.5 L13.5,9.5 Z",
};

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// A picture of a series' line and marker.
function swatch(series) {
  const { color, dash, symbol } = look(series.look);
  const picture = svgElement("svg", { width: 34, height: 12, viewBox: "0 0 34 12", "aria-hidden": "true" });
  if (series.style !== "points") {
    const dashes = dash === "solid" ? "none" : dash.join(" ");
    picture.append(svgElement("path", { d: "M1,6 L33,6", stroke: color, "stroke-width": 2, "stroke-dasharray": dashes }));
  }
  if (series.hasMarker) {
    const shape = symbol.startsWith("path") ? "square" : symbol.replace("empty", "").toLowerCase();
    const fill = symbol.startsWith("empty") ? "var(--back)" : color;
    picture.append(svgElement("path", { d: SHAPES[shape], fill, stroke: color, "stroke-width": 1.5 }));
  }
  return picture;
}

// The series of plots by name, or null if a legend would say nothing or two things of one name.
function sharedSeries(charts) {
  const found = new Map();
  for (const chart of charts) {
    for (const { name, look: number, style, points } of chart.series) {
      const same = found.get(name);
      if (same && (same.look !== number || same.style !== style)) return null;
      const hasMarker = chart.id !== "roofline" || style === "points";
      if (!same) found.set(name, { name, look: number, style, hasMarker: hasMarker && hasMarkers({ style, points }) });
    }
  }
  return found.size > 1 ? [...found.values()] : null;
}

function entry(series, hidden, changed) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  const name = document.createElement("bdi");
  name.textContent = series.name;
  label.append(box, swatch(series), name);
  box.addEventListener("change", () => {
    if (box.checked) hidden.delete(series.name);
    else hidden.add(series.name);
    changed();
  });
  return { series, label, box };
}

function searchField(entries, hidden, changed) {
  const label = document.createElement("label");
  label.className = "filter";
  label.textContent = "Only curves with ";
  const field = document.createElement("input");
  field.type = "search";
  label.append(field);
  field.addEventListener("input", () => {
    const sought = field.value.toLowerCase();
    for (const { series, box } of entries) {
      box.checked = series.name.toLowerCase().includes(sought);
      if (box.checked) hidden.delete(series.name);
      else hidden.add(series.name);
    }
    changed();
  });
  return label;
}

// Adds the legends of all plots. `changed` is called with the places of the plots whose series have changed. Returns a function
// that paints the legends again when the colours have changed.
export function addLegends(charts, changed) {
  const all = [];
  for (const plots of document.querySelectorAll(".plots")) {
    const places = [...plots.querySelectorAll(".drawing")];
    const own = places.map((place) => charts[place.dataset.chart]);
    const series = sharedSeries(own);
    if (!series) continue;
    const hidden = new Set();
    const redraw = () => changed(places);
    const box = document.createElement("fieldset");
    box.className = "legend";
    const title = document.createElement("legend");
    title.className = "aside";
    title.textContent = "Series that are drawn";
    const entries = series.map((one) => entry(one, hidden, redraw));
    box.append(title, ...entries.map(({ label }) => label));
    if (series.length >= SEARCHED) title.after(searchField(entries, hidden, redraw));
    plots.prepend(box);
    all.push(...entries);
    for (const chart of own) Object.assign(chart, { hidden, hasLegend: true });
  }
  return () => {
    for (const { series, label } of all) label.querySelector("svg").replaceWith(swatch(series));
  };
}
