// Charts of curves and points: distributions, rates, roofs and fronts.

import { axisName, axisStyle, digits, legendHeight, legendStyle, look, tipBox, tooltipStyle } from "./look.js";

// Draws the standard uncertainty of a point as a cross of two lines.
function errorBar(style) {
  return (params, api) => {
    const [x, y, ux, uy] = [0, 1, 2, 3].map((place) => api.value(place));
    const lines = [
      [[x - ux, y], [x + ux, y], ux],
      [[x, y - uy], [x, y + uy], uy],
    ];
    const children = lines.filter(([, , reach]) => reach > 0).map(([from, to]) => {
      const [x1, y1] = api.coord(from);
      const [x2, y2] = api.coord(to);
      return { type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: style.color, lineWidth: 1.2 } };
    });
    return { type: "group", children, silent: true };
  };
}

function seriesOf(series, chart) {
  const style = look(series.look);
  const isPoints = series.style === "points";
  const isStep = series.style === "step";
  const drawn = {
    type: isPoints ? "scatter" : "line",
    name: series.name,
    data: series.points.map((point, at) => ({ value: point, label: series.labels?.[at] })),
    step: isStep ? "end" : false,
    symbol: style.symbol,
    symbolSize: isPoints ? 10 : 8,
    // Steps with few values show each of them.
    showSymbol: !isStep || series.points.length <= 30,
    showAllSymbol: !isStep,
    itemStyle: { color: style.color },
    lineStyle: { color: style.color, type: style.dash, width: 2 },
    emphasis: { focus: "series" },
    animation: false,
    clip: true,
  };
  if (isStep) drawn.symbolSize = 5;
  if (chart.id === "roofline" && !isPoints) drawn.showSymbol = false;
  if (!series.uncertainties) return [drawn];
  const bars = {
    type: "custom",
    name: series.name,
    silent: true,
    animation: false,
    tooltip: { show: false },
    itemStyle: { color: style.color },
    renderItem: errorBar(style),
    encode: { x: [0, 4, 5], y: [1, 6, 7] },
    data: series.points.map(([x, y], at) => {
      const [ux, uy] = series.uncertainties[at];
      return [x, y, ux, uy, x - ux, x + ux, y - uy, y + uy];
    }),
    z: 1,
  };
  return [drawn, bars];
}

function sentence(series, at, chart) {
  const [x, y] = series.points[at];
  const [ux, uy] = series.uncertainties?.[at] ?? [0, 0];
  const text = (axis, value, reach) =>
    `${axis.name}: ${digits(value)}${reach > 0 ? ` ± ${digits(reach)}` : ""} ${axis.unit}`.trim();
  return {
    head: series.labels?.[at] ?? series.name,
    rows: [
      ...(series.labels?.[at] ? [series.name] : []),
      text(chart.x, x, ux),
      text(chart.y, y, uy),
    ],
  };
}

export function plotOption(chart, width) {
  const names = chart.series.map((series) => series.name);
  const top = names.length > 1 ? legendHeight(names, width) + 6 : 14;
  const isShare = chart.y.name === "Share of values";
  const y = axisStyle(chart.y, "y");
  if (isShare) Object.assign(y, { min: 0, max: 1 });
  if (!isShare && !chart.y.is_log) y.scale = true;
  const x = { ...axisStyle(chart.x, "x"), scale: true };
  return {
    height: 300 + top + 48,
    option: {
      animation: false,
      aria: { enabled: false },
      grid: { left: 70, right: 22, top, bottom: 48, containLabel: false },
      legend: names.length > 1 ? legendStyle(names) : undefined,
      tooltip: {
        ...tooltipStyle(),
        trigger: "item",
        formatter: (params) => {
          const series = chart.series.find((one) => one.name === params.seriesName);
          const { head, rows } = sentence(series, params.dataIndex, chart);
          return tipBox(head, rows);
        },
      },
      xAxis: x,
      yAxis: y,
      series: chart.series.flatMap((series) => seriesOf(series, chart)),
    },
    // Which of ECharts' series holds the points of each series of the chart.
    places: chart.series.map((series) => ({ name: series.name, count: series.points.length })),
    say: (place, at) => {
      const { head, rows } = sentence(chart.series[place], at, chart);
      return [head, ...rows].join(", ");
    },
    about: `${axisName(chart.y)} against ${axisName(chart.x)}`,
  };
}
