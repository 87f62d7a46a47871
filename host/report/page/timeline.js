// The timeline of a run: panels of power, temperature and clocks over one time axis, below lanes of phases and windows.

import { FONT, axisStyle, digits, inks, legendStyle, legendHeight, look, shorten, tipBox, tooltipStyle } from "./look.js";
import { placeOf, unpack, view } from "./samples.js";

// The height of a panel, px. On paper and on narrow screens all six fit on a page.
const PANEL = 118;
const LOW_PANEL = 84;
const LANE = 20;
const LEFT = 70;
const RIGHT = 18;

// Lays spans in lanes: phases by how deep they are nested, then windows, then times in which a device was held back.
function lanes(spans) {
  const found = new Map();
  for (const span of spans) {
    const depth = span.kind === "phase" ? span.name.split("/").length - 1 : 0;
    const key = `${span.kind} ${depth}`;
    if (!found.has(key)) found.set(key, { kind: span.kind, depth, spans: [] });
    found.get(key).spans.push(span);
  }
  const order = ["phase", "window", "throttled"];
  return [...found.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || a.depth - b.depth);
}

function laneName(lane) {
  return { phase: "phases", window: "windows", throttled: "held back" }[lane.kind];
}

// Draws a span as a box with its name, if the name fits.
function spanBox(all) {
  return (params, api) => {
    const span = all[params.dataIndex];
    const [x1, y] = api.coord([span.from, span.lane]);
    const [x2] = api.coord([span.to, span.lane]);
    const area = params.coordSys;
    const left = Math.max(x1, area.x);
    const right = Math.min(Math.max(x2, x1 + 1), area.x + area.width);
    if (right < area.x || left > area.x + area.width) return null;
    const style = look({ phase: 0, window: 2, throttled: 1 }[span.kind]);
    const name = span.name.split("/").pop();
    const fits = Math.floor((right - left - 8) / 6.6);
    const children = [
      {
        type: "rect",
        shape: { x: left, y: y - 8, width: Math.max(1, right - left), height: 16 },
        style: { fill: style.color, opacity: span.odd ? 0.3 : 0.18, stroke: style.color, lineWidth: 1 },
      },
    ];
    if (fits >= Math.min(5, name.length)) {
      children.push({
        type: "text",
        style: { x: left + 4, y, text: shorten(name, fits), fill: inks().text, font: `11.5px ${FONT}`, textVerticalAlign: "middle" },
      });
    }
    return { type: "group", children };
  };
}

// Shades every second phase through a panel.
function phaseAreas(spans) {
  const top = spans.filter((span) => span.kind === "phase" && !span.name.includes("/"));
  const ordered = [...top].sort((a, b) => a.from - b.from);
  return {
    silent: true,
    itemStyle: { color: look(0).color, opacity: 0.07 },
    data: ordered.filter((span, at) => at % 2 === 0).map((span) => [{ xAxis: span.from }, { xAxis: span.to }]),
  };
}

// Unpacks the samples of a timeline, once.
export function unpackTimeline(chart) {
  chart.unpacking ??= Promise.all(chart.panels.map((panel) => Promise.all(panel.lines.map(unpack)))).then((unpacked) => {
    chart.unpacked = unpacked;
  });
  return chart.unpacking;
}

// The timeline's samples must be unpacked before.
export function timelineOption(chart, width) {
  const names = [...new Set(chart.panels.flatMap((panel) => panel.lines.map((line) => line.name)))];
  const looks = new Map();
  for (const line of chart.panels.flatMap((panel) => panel.lines)) {
    if (!looks.has(line.name)) looks.set(line.name, look(line.look));
  }
  const ink = inks();
  const legend = legendHeight(names, width);
  const laneList = lanes(chart.spans);
  const spans = laneList.flatMap((lane, at) => lane.spans.map((span, odd) => ({ ...span, lane: at, odd: odd % 2 })));
  const lanesTop = legend + 4;
  const lanesHeight = Math.max(laneList.length, 0) * LANE;
  const first = lanesTop + lanesHeight + (lanesHeight ? 34 : 26);
  const panelHeight = width <= 700 ? LOW_PANEL : PANEL;
  const step = panelHeight + 42;
  const bottom = first + chart.panels.length * step;
  const timeAxis = (grid, isLast) => ({
    ...axisStyle({ name: isLast ? "Time since the run began" : "", unit: isLast ? "s" : "" }, "x"),
    gridIndex: grid,
    min: 0,
    max: chart.end,
    axisPointer: { show: true, snap: false, label: { show: false }, lineStyle: { color: ink.soft } },
    ...(isLast ? {} : { axisLabel: { show: false } }),
  });
  const grids = chart.panels.map((panel, at) => ({ left: LEFT, right: RIGHT, top: first + at * step, height: panelHeight }));
  const xAxes = chart.panels.map((panel, at) => timeAxis(at, at === chart.panels.length - 1));
  const yAxes = chart.panels.map((panel, at) => ({
    ...axisStyle({ name: `${panel.name} / ${panel.unit}`, unit: "" }, "y"),
    name: `${panel.name} / ${panel.unit}`,
    nameLocation: "end",
    nameGap: 13,
    nameTextStyle: { color: ink.text, fontFamily: FONT, fontSize: 12.5, fontWeight: 600, align: "left", padding: [0, 0, 0, -LEFT + 14] },
    gridIndex: at,
    splitNumber: 3,
    scale: true,
  }));
  const lineSeries = (from, to) => chart.panels.flatMap((panel, at) =>
    panel.lines.map((line, number) => {
      const style = looks.get(line.name);
      const columns = Math.max(100, Math.floor((width - LEFT - RIGHT)));
      return {
        id: `${at}-${number}`,
        type: "line",
        name: line.name,
        xAxisIndex: at,
        yAxisIndex: at,
        showSymbol: false,
        symbol: style.symbol,
        animation: false,
        lineStyle: { color: style.color, width: 1.4, type: style.dash },
        itemStyle: { color: style.color },
        data: view(chart.unpacked[at][number], from, to, columns),
        markArea: number === 0 ? phaseAreas(chart.spans) : undefined,
      };
    }));
  if (laneList.length) {
    const grid = grids.length;
    grids.push({ left: LEFT, right: RIGHT, top: lanesTop, height: lanesHeight });
    xAxes.push({ ...timeAxis(grid, false), axisLine: { show: false }, axisTick: { show: false }, splitLine: { show: false }, name: "" });
    yAxes.push({
      type: "category",
      gridIndex: grid,
      inverse: true,
      data: laneList.map(laneName),
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: { show: false },
      axisLabel: { color: ink.soft, fontFamily: FONT, fontSize: 11.5, interval: 0 },
    });
  }
  const laneSeries = laneList.length
    ? [{
      id: "lanes",
      type: "custom",
      xAxisIndex: chart.panels.length,
      yAxisIndex: chart.panels.length,
      animation: false,
      clip: true,
      renderItem: spanBox(spans),
      encode: { x: [0, 1], y: [2] },
      data: spans.map((span) => [span.from, span.to, span.lane]),
      tooltip: { show: false },
    }]
    : [];
  // What all lines are at a time, from the samples rather than from the reduced points.
  const at = (time) => {
    const rows = chart.panels.flatMap((panel, place) => panel.lines.map((line, number) => {
      const { times, values } = chart.unpacked[place][number];
      const next = placeOf(times, time);
      const near = next > 0 && (next === times.length || time - times[next - 1] < times[next] - time) ? next - 1 : next;
      return `${panel.name} of ${line.name}: ${digits(values[near])} ${panel.unit}`;
    }));
    const inside = chart.spans.filter((span) => span.from <= time && time <= span.to);
    const names = inside.slice(0, 5).map((span) => `${{ phase: "phase", window: "window", throttled: "held back" }[span.kind]} ${span.name}`);
    return { head: `${digits(time)} s`, rows: [...rows, ...names] };
  };
  return {
    height: bottom + 46,
    renderer: "canvas",
    option: {
      animation: false,
      grid: grids,
      xAxis: xAxes,
      yAxis: yAxes,
      legend: legendStyle(names),
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      tooltip: {
        ...tooltipStyle(),
        trigger: "axis",
        formatter: (all) => {
          const { head, rows } = at(all[0]?.axisValue ?? 0);
          return tipBox(head, rows);
        },
      },
      dataZoom: [
        { type: "inside", xAxisIndex: xAxes.map((_, place) => place), filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false },
        {
          type: "slider",
          xAxisIndex: xAxes.map((_, place) => place),
          filterMode: "none",
          left: LEFT,
          right: RIGHT,
          bottom: 6,
          height: 18,
          showDataShadow: false,
          brushSelect: false,
          labelFormatter: (value) => `${digits(value)} s`,
          textStyle: { color: ink.soft, fontFamily: FONT, fontSize: 11 },
          borderColor: ink.line,
        },
      ],
      series: [...lineSeries(0, chart.end), ...laneSeries],
    },
    zoomed: (from, to) => ({ series: lineSeries(from, to).map(({ id, data }) => ({ id, data })) }),
    at,
    places: [],
  };
}
