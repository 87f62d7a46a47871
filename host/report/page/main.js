// Draws each chart when it comes into view, and again when the width or the colours change.

import { barsOption } from "./bars.js";
import { openFolds, watchFolds } from "./folds.js";
import { addLegends } from "./legend.js";
import { isDark } from "./look.js";
import { plotOption } from "./plot.js";
import { addFilters } from "./tables.js";
import { timelineOption, unpackTimeline } from "./timeline.js";
import { watchNumbers } from "./tooltip.js";

const charts = JSON.parse(document.getElementById("charts").textContent);
const live = document.getElementById("live");
const drawn = new Map();

// The width of a chart on paper, px: of one alone, and of one of two. Pixels of a canvas for each of these.
const PRINTED = 680;
const PRINTED_BESIDE = 328;
const PRINTED_PIXELS = 3;

// Draws a chart now. The samples of a timeline must be unpacked before.
function drawNow(place, width, devicePixelRatio) {
  const chart = charts[place.dataset.chart];
  if (!chart || width === 0) return;
  const make = { plot: plotOption, bars: barsOption, timeline: timelineOption }[chart.kind];
  const made = make(chart, width);
  drawn.get(place)?.instance.dispose();
  place.style.height = `${made.height}px`;
  // Nobody zooms on paper.
  if (devicePixelRatio) delete made.option.dataZoom;
  const renderer = made.renderer ?? "svg";
  const instance = echarts.init(place, null, { renderer, width, height: made.height, devicePixelRatio });
  instance.setOption(made.option);
  drawn.set(place, { instance, made, width, series: 0, at: -1, time: chart.end / 2 });
  if (made.zoomed) watchZoom(place, instance, made, chart);
  place.dataset.drawn = "true";
}

async function draw(place) {
  const chart = charts[place.dataset.chart];
  if (chart?.kind === "timeline") await unpackTimeline(chart);
  drawNow(place, place.clientWidth);
}

// Draws the samples of the view again, at most once a frame.
function watchZoom(place, instance, made, chart) {
  let waits = false;
  instance.on("datazoom", () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => {
      waits = false;
      const { start, end } = instance.getOption().dataZoom[0];
      instance.setOption(made.zoomed((start / 100) * chart.end, (end / 100) * chart.end));
    });
  });
}

// Arrow keys go from point to point; up and down go to another series. What is there is shown and spoken.
function step(place, event) {
  const state = drawn.get(place);
  if (!state || !event.key.startsWith("Arrow")) return;
  event.preventDefault();
  const { made, instance } = state;
  if (made.at) {
    const end = charts[place.dataset.chart].end;
    const by = { ArrowLeft: -0.01, ArrowRight: 0.01, ArrowDown: -0.1, ArrowUp: 0.1 }[event.key];
    state.time = Math.max(0, Math.min(end, state.time + by * end));
    const [x, y] = instance.convertToPixel({ gridIndex: 0 }, [state.time, 0]);
    instance.dispatchAction({ type: "showTip", x, y: Math.min(y, instance.getHeight() - 90) });
    const { head, rows } = made.at(state.time);
    live.textContent = [head, ...rows].join(", ");
    return;
  }
  const move = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
  const count = made.places.length;
  if (count === 0) return;
  state.series = (state.series + move + count) % count;
  const points = made.places[state.series].count;
  const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
  state.at = Math.max(0, Math.min(points - 1, state.at + along));
  const names = instance.getOption().series.map((series) => series.name);
  const seriesIndex = made.places[state.series].name === "bars" ? 0 : names.indexOf(made.places[state.series].name);
  instance.dispatchAction({ type: "showTip", seriesIndex, dataIndex: state.at });
  live.textContent = made.say(state.series, state.at);
}

function drawAllAgain() {
  paintLegends();
  for (const [place, { instance }] of drawn) {
    if (place.clientWidth > 0) {
      draw(place);
    } else {
      // A folded chart is drawn when it comes into view.
      instance.dispose();
      drawn.delete(place);
    }
  }
}

function watchTheme() {
  const button = document.getElementById("theme");
  const name = () => {
    button.textContent = isDark() ? "Light colours" : "Dark colours";
  };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    name();
    drawAllAgain();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    name();
    drawAllAgain();
  });
}

// Paper is light and has everything open and drawn. The browser lays the paper out when this returns, so nothing is awaited:
// a timeline is there if it was unpacked, which happens soon after the page has opened.
function drawForPrint() {
  const chosen = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  paintLegends();
  const fold = openFolds();
  for (const place of places) {
    const chart = charts[place.dataset.chart];
    if (chart?.kind === "timeline" && !chart.unpacked) continue;
    const isBeside = place.closest(".plots")?.querySelectorAll(".drawing").length > 1;
    drawNow(place, isBeside ? PRINTED_BESIDE : PRINTED, PRINTED_PIXELS);
  }
  return () => {
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    fold();
    drawAllAgain();
  };
}

// Unpacks one timeline after the other, when the browser has nothing else to do.
async function unpackAll() {
  for (const chart of Object.values(charts).filter(({ kind }) => kind === "timeline")) {
    await new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve));
    await unpackTimeline(chart);
  }
  document.documentElement.dataset.unpacked = "true";
}

const paintLegends = addLegends(charts, (changed) => {
  for (const place of changed) if (drawn.has(place)) draw(place);
});
const places = [...document.querySelectorAll(".drawing")];
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting && !drawn.has(entry.target)) draw(entry.target);
  }
}, { rootMargin: "400px" });
for (const place of places) {
  seen.observe(place);
  place.addEventListener("keydown", (event) => step(place, event));
  place.addEventListener("blur", () => drawn.get(place)?.instance.dispatchAction({ type: "hideTip" }));
}
let waiting = 0;
new ResizeObserver(() => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    for (const [place, { width }] of drawn) if (place.clientWidth !== width) draw(place);
  }, 120);
}).observe(document.getElementById("main"));

let afterPrint = null;
addEventListener("beforeprint", () => {
  afterPrint = drawForPrint();
});
addEventListener("afterprint", () => {
  afterPrint?.();
  afterPrint = null;
});
watchTheme();
watchNumbers();
watchFolds();
addFilters();
unpackAll();
document.documentElement.dataset.ready = "true";
