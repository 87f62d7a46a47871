// Colours, dashes and markers of series. Each series differs from the others in more than its colour.

// Okabe and Ito's colours, which people with each kind of colour blindness tell apart; darker or lighter by theme.
const LIGHT = ["#0072b2", "#c04a00", "#00795a", "#a8457f", "#8a6100", "#2a7fb8", "#5b3fa0", "#444444"];
const DARK = ["#56b4e9", "#f0894a", "#2fc59b", "#e59ac6", "#e6b450", "#8fd0ff", "#b39ddb", "#c8c8c8"];
const DASHES = ["solid", [7, 4], [2, 3], [9, 3, 2, 3]];
const SQUARE = "path://M0,0 L10,0 L10,10 L0,10 Z";
const SYMBOLS = ["circle", SQUARE, "triangle", "diamond", "emptyCircle", "emptyTriangle", "emptyDiamond"];

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// The look of the series with this number: colour, dash and marker repeat at different lengths, so that 56 differ.
export function look(number) {
  const colours = isDark() ? DARK : LIGHT;
  return {
    color: colours[number % colours.length],
    dash: DASHES[(number + Math.floor(number / colours.length)) % DASHES.length],
    symbol: SYMBOLS[number % SYMBOLS.length],
  };
}

// Colours of everything that is no series.
export function inks() {
  return isDark()
    ? { text: "#e6e6e6", soft: "#a9adb3", line: "#4a4f57", grid: "#2d3138", back: "#16181c", card: "#1d2026" }
    : { text: "#1c1e21", soft: "#5a5f66", line: "#b9bec5", grid: "#e7e9ec", back: "#ffffff", card: "#ffffff" };
}

export const FONT = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Helvetica, Arial, sans-serif";

// A text that fits: its middle gives way, because names of runs differ at both ends.
export function shorten(text, most) {
  if (text.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return text.slice(0, most - 1 - half) + "…" + text.slice(text.length - half);
}

// Four digits, as the host shows numbers without an uncertainty.
export function digits(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(3);
  return size >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

export function axisName(axis) {
  return axis.unit ? `${axis.name} / ${axis.unit}` : axis.name;
}

// The parts that both axes of each chart share.
export function axisStyle(axis, place) {
  const ink = inks();
  return {
    type: axis.is_log ? "log" : "value",
    name: axisName(axis),
    nameLocation: "middle",
    nameGap: place === "x" ? 30 : 52,
    nameTextStyle: { color: ink.soft, fontFamily: FONT, fontSize: 12.5 },
    axisLine: { show: true, lineStyle: { color: ink.line } },
    axisTick: { show: true, lineStyle: { color: ink.line } },
    axisLabel: { color: ink.soft, fontFamily: FONT, fontSize: 12, hideOverlap: true, formatter: digits },
    splitLine: { lineStyle: { color: ink.grid } },
    minorSplitLine: { show: false },
  };
}

export function legendStyle(names) {
  const ink = inks();
  return {
    type: "plain",
    top: 0,
    left: 0,
    right: 0,
    icon: undefined,
    itemWidth: 30,
    itemHeight: 10,
    itemGap: 14,
    data: names,
    textStyle: { color: ink.text, fontFamily: FONT, fontSize: 12.5 },
    formatter: (name) => shorten(name, 44),
  };
}

// The rows that a legend needs in a width, by an estimate of each entry's width.
export function legendHeight(names, width) {
  let rows = 1;
  let used = 0;
  for (const name of names) {
    const own = 34 + 19 + Math.min(name.length, 44) * 7;
    if (used > 0 && used + own > width) {
      rows += 1;
      used = 0;
    }
    used += own;
  }
  return rows * 24 + 6;
}

// What a tooltip of a chart holds: elements with text, so that no name of a record becomes markup.
export function tipBox(head, rows) {
  const box = document.createElement("div");
  const title = document.createElement("strong");
  title.textContent = head;
  box.append(title);
  for (const row of rows) {
    const line = document.createElement("div");
    line.textContent = row;
    box.append(line);
  }
  return box;
}

export function tooltipStyle() {
  const ink = inks();
  return {
    confine: true,
    backgroundColor: ink.card,
    borderColor: ink.line,
    textStyle: { color: ink.text, fontFamily: FONT, fontSize: 13 },
    extraCssText: "max-width: min(26rem, 85vw); white-space: normal; overflow-wrap: anywhere;",
  };
}
