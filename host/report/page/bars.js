// Charts of stacked horizontal bars: energy by configuration, shares of a batch.

import { FONT, axisStyle, digits, inks, legendHeight, legendStyle, look, shorten, tipBox, tooltipStyle } from "./look.js";

// Draws the standard uncertainty of a bar's end as a whisker.
function whisker(params, api) {
  const [at, total, reach] = [0, 1, 2].map((place) => api.value(place));
  const [x1, y] = api.coord([total - reach, at]);
  const [x2] = api.coord([total + reach, at]);
  const line = (shape) => ({ type: "line", shape, style: { stroke: inks().text, lineWidth: 1.2 } });
  return {
    type: "group",
    silent: true,
    children: [
      line({ x1, y1: y, x2, y2: y }),
      line({ x1, y1: y - 4, x2: x1, y2: y + 4 }),
      line({ x1: x2, y1: y - 4, x2, y2: y + 4 }),
    ],
  };
}

const DECALS = [
  undefined,
  { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: -Math.PI / 4, color: "rgba(255,255,255,0.45)" },
  { symbol: "circle", dashArrayX: [[6, 6], [0, 6, 6, 0]], dashArrayY: [5, 0], symbolSize: 0.6, color: "rgba(255,255,255,0.5)" },
];

function rows(chart, at) {
  const unit = chart.x.unit;
  const parts = chart.series
    .filter((series) => series.values[at] !== null)
    .map((series) => `${series.name}: ${digits(series.values[at])} ${unit}`);
  const total = chart.totals[at];
  if (total) parts.push(`together: ${digits(total[0])} ± ${digits(total[1])} ${unit}`);
  return parts;
}

export function barsOption(chart, width) {
  const names = chart.series.map((series) => series.name);
  const top = legendHeight(names, width) + 4;
  const label = width < 560 ? 16 : 40;
  const longest = Math.max(...chart.categories.map((name) => Math.min(name.length, label)));
  const left = Math.min(longest * 7 + 16, width * 0.45);
  const ink = inks();
  const count = chart.categories.length;
  const order = chart.categories.map((name, at) => at);
  const thin = count > 24 ? 16 : 30;
  return {
    height: top + count * thin + 62,
    option: {
      animation: false,
      grid: { left, right: 26, top, bottom: 50 },
      legend: legendStyle(names),
      tooltip: {
        ...tooltipStyle(),
        trigger: "axis",
        axisPointer: { type: "shadow" },
        formatter: (all) => tipBox(chart.categories[all[0].dataIndex], rows(chart, all[0].dataIndex)),
      },
      xAxis: { ...axisStyle(chart.x, "x"), min: 0 },
      yAxis: {
        type: "category",
        inverse: true,
        data: order,
        axisLine: { lineStyle: { color: ink.line } },
        axisTick: { show: false },
        axisLabel: {
          color: ink.text,
          fontFamily: FONT,
          fontSize: 12,
          interval: 0,
          formatter: (at) => shorten(chart.categories[at], label),
        },
      },
      series: [
        ...chart.series.map((series) => ({
          type: "bar",
          name: series.name,
          stack: "all",
          barMaxWidth: 20,
          data: series.values,
          itemStyle: { color: look(series.look).color, decal: DECALS[series.look % DECALS.length] },
        })),
        {
          type: "custom",
          name: "uncertainty",
          silent: true,
          renderItem: whisker,
          encode: { x: [1], y: [0] },
          data: chart.totals.flatMap((total, at) => (total ? [[at, ...total]] : [])),
          z: 5,
        },
      ],
    },
    places: [{ name: "bars", count }],
    say: (place, at) => [chart.categories[at], ...rows(chart, at)].join(", "),
    about: chart.x.name,
  };
}
