// Writes a run whose script tried to break the page: 10,000 metrics, texts of 1 MB, markup, marks that reverse text, and thousands of
// groups, phases and windows.
//
//   node tests/browser/hostile.mjs RUN OUT     RUN is a run of quickstart
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [run, out] = process.argv.slice(2);
const MARKUP = "</script><script>window.hostile = 1</script><img src=x onerror='window.hostile = 1'><!--\" onfocus=\"window.hostile = 1";
const REVERSED = "\u202e\u2066gnp.exe\u0000\u001b[2J\u200b";
const LONG = "1 MB of text ".repeat(80_000);
const SOLID = "w".repeat(1_000_000);

cpSync(run, out, { recursive: true });
const record = JSON.parse(readFileSync(join(run, "run.json"), "utf8"));
const text = (number) => `${MARKUP} ${REVERSED} ${number}`;
const many = (count, make) => Array.from({ length: count }, (_, number) => make(number));
const long = (number) => ({ 10: LONG, 20: SOLID, 30: LONG + MARKUP })[number];

const [metric] = record.metrics;
record.metrics = many(10_000, (number) => ({
  ...metric,
  name: long(number) ?? text(number),
  labels: { [text(number)]: long(number - 1) ?? REVERSED, solid: number === 40 ? SOLID : MARKUP },
  quantity: { ...metric.quantity, value: 10 ** ((number % 600) - 300), unit: number === 50 ? SOLID : "{<b>}/s" },
}));
record.id = text("id");
record.warnings = [...many(2_000, (number) => text(number)), `the script: ${LONG}`, SOLID];
record.parameters = { ...record.parameters, [MARKUP]: LONG, solid: SOLID };
record.command = [...record.command, MARKUP, "it's"];
record.phases = [...record.phases, ...many(3_000, (number) => ({ phase: `measure/${text(number)}`, started_ns: number * 1e6, wall_ns: 5e5 }))];
record.series = many(40, (number) => ({
  name: long(number) ?? text(number),
  x: [MARKUP, "s"],
  y: [SOLID, REVERSED],
  points: many(5_000, (at) => [at, Math.sin(at / 50) * number]),
  source: "script",
}));
record.tables = many(20, (number) => ({
  name: text(number),
  columns: many(200, (column) => (column === 3 ? SOLID : text(column))),
  rows: many(number === 0 ? 300 : 5, (row) => many(200, (column) => (number + row === 0 && column === 1 ? LONG : MARKUP))),
  source: "script",
}));
const [group] = record.groups.slice(-1);
record.groups = [...record.groups, ...many(1_000, (number) => ({ ...group, label: number === 0 ? SOLID : text(number) }))];
writeFileSync(join(out, "run.json"), JSON.stringify(record));

// The journal has requests of the first thirty of these groups.
const lines = readFileSync(join(run, "events.jsonl"), "utf8").trim().split("\n");
const generation = JSON.parse(lines.filter((line) => line.includes('"event":"generation"')).pop());
const added = many(30, (number) => {
  const label = number === 0 ? SOLID : text(number);
  return JSON.stringify({ ...generation, window: { ...generation.window, label } });
});
writeFileSync(join(out, "events.jsonl"), [...lines, ...added, "{torn", ""].join("\n"));
