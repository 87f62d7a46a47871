// Charts of curves and points: distributions, rates, roofs and fronts.

import { axisName, axisStyle, digits, legendHeight, legendStyle, look, tipBox, tooltipStyle } from "./look.js";

// The most curves in the tooltip of an ECDF.
const TIP_ROWS = 14;

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

// Whether each point of a series has a marker, which takes the pointer. Markers of more points would hide the curve.
export function hasMarkers(series) {
  return series.style === "points" || series.points.length <= (series.style === "step" ? 31 : 60);
}

// What an ECDF says at a value: the share of each curve's values at or below it.
function shares(all, value, chart) {
  const rows = all.slice(0, TIP_ROWS).map(({ name, points }) => {
    let share = 0;
    for (const [x, y] of points) if (x <= value) share = y;
    return `${name}: ${digits(share)}`;
  });
  if (all.length > TIP_ROWS) rows.push(`and ${all.length - TIP_ROWS} more`);
  return { head: `Share at or below ${digits(value)} ${chart.x.unit}`, rows };
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
    showSymbol: hasMarkers(series),
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
  // A legend beside the plot hides series; without one, the drawing has its own.
  const all = chart.series.filter((series) => !chart.hidden?.has(series.name));
  const names = chart.hasLegend ? [] : all.map((series) => series.name);
  const top = names.length > 1 ? legendHeight(names, width) + 6 : 14;
  const plotHeight = width < 620 ? 240 : 300;
  const isShare = chart.y.name === "Share of values";
  // Where points have no markers, the pointer's place along the axis counts.
  const isAlong = isShare || !all.every(hasMarkers);
  const y = axisStyle(chart.y, "y");
  if (isShare) Object.assign(y, { min: 0, max: 1 });
  if (!isShare && !chart.y.is_log) y.scale = true;
  const x = { ...axisStyle(chart.x, "x"), scale: true };
  return {
    height: plotHeight + top + 48,
    option: {
      animation: false,
      aria: { enabled: false },
      grid: { left: 70, right: 22, top, bottom: 48, containLabel: false },
      legend: names.length > 1 ? legendStyle(names) : undefined,
      tooltip: {
        ...tooltipStyle(),
        trigger: isAlong ? "axis" : "item",
        formatter: (params) => {
          if (isShare) {
            const { head, rows } = shares(all, params[0]?.axisValue ?? 0, chart);
            return tipBox(head, rows);
          }
          const { seriesName, dataIndex } = isAlong ? params[0] : params;
          const series = all.find((one) => one.name === seriesName);
          const { head, rows } = sentence(series, dataIndex, chart);
          return tipBox(head, rows);
        },
      },
      xAxis: x,
      yAxis: y,
      series: all.flatMap((series) => seriesOf(series, chart)),
    },
    // Which of ECharts' series holds the points of each series of the chart.
    places: all.map((series) => ({ name: series.name, count: series.points.length })),
    say: (place, at) => {
      const { head, rows } = sentence(all[place], at, chart);
      return [head, ...rows].join(", ");
    },
    about: `${axisName(chart.y)} against ${axisName(chart.x)}`,
  };
}
