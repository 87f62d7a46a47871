// Draws each chart when it comes into view, and again when the width or the colours change.

import { barsOption } from "./bars.js";
import { isDark } from "./look.js";
import { plotOption } from "./plot.js";
import { addFilters } from "./tables.js";
import { timelineOption } from "./timeline.js";
import { watchNumbers } from "./tooltip.js";

const charts = JSON.parse(document.getElementById("charts").textContent);
const live = document.getElementById("live");
const drawn = new Map();
const PRINTED = 680;

async function draw(place, width = place.clientWidth) {
  const chart = charts[place.dataset.chart];
  if (!chart || width === 0) return;
  const make = { plot: plotOption, bars: barsOption, timeline: timelineOption }[chart.kind];
  const made = await make(chart, width);
  drawn.get(place)?.instance.dispose();
  place.style.height = `${made.height}px`;
  const renderer = made.renderer ?? "svg";
  const instance = echarts.init(place, null, { renderer, width, height: made.height });
  instance.setOption(made.option);
  drawn.set(place, { instance, made, width, series: 0, at: -1, time: chart.end / 2 });
  if (made.zoomed) watchZoom(place, instance, made, chart);
  place.dataset.drawn = "true";
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
  for (const place of drawn.keys()) draw(place);
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

// Paper is light, and every chart of it is drawn.
async function drawForPrint() {
  const chosen = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  await Promise.all(places.map((place) => draw(place, PRINTED)));
  return () => {
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    drawAllAgain();
  };
}

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
addEventListener("afterprint", async () => (await afterPrint)?.());
watchTheme();
watchNumbers();
addFilters();
document.documentElement.dataset.ready = "true";
