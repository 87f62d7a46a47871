// Components of the templates and of test/guests, run by the llem that the environment variable LLEM names.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const { LLEM: llem } = process.env;
const options = { skip: llem ? false : "LLEM names no llem" };
const folder = mkdtempSync(join(tmpdir(), "llem-js-"));
after(() => rmSync(folder, { recursive: true }));

/** Builds a component and returns its path. */
function build(source, name, world = "experiment") {
  const component = join(folder, `${name}.wasm`);
  const given = ["node_modules/@llem/sdk/build.mjs", source, "--world", world, "-o", component];
  const { status, stderr } = spawnSync(process.execPath, given, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return component;
}

let runs = 0;

/** Runs llem exec and returns its exit status, record, and events of the journal. */
function exec(...given) {
  runs += 1;
  const out = join(folder, `run-${runs}`);
  const { status, stderr } = spawnSync(llem, ["exec", ...given, "--seed", "7", "--out", out], { encoding: "utf8" });
  const read = (name) => readFileSync(join(out, name), "utf8");
  const events = read("events.jsonl").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const log = events.filter(({ event }) => event === "log");
  return { status, stderr, record: JSON.parse(read("run.json")), events, log };
}

/** Returns the label, prompt length and tokens of each generated sequence. */
function sequences({ events }) {
  return events
    .filter(({ event }) => event === "generation")
    .flatMap(({ window, sequences }) => sequences.map((one) => [window.label, one.prompt_tokens, one.tokens]));
}

test("both languages make the same requests and tokens of one seed", options, () => {
  const run = (source, name) => exec(build(source, name), "-p", "prompts=3", "-p", "new-tokens=4");
  const [plain, typed] = [
    run("template/experiment/first_experiment.js", "plain"),
    run("template-ts/experiment/first_experiment.ts", "typed"),
  ];
  assert.equal(plain.record.status, "completed", plain.stderr);
  assert.equal(sequences(plain).length, 5 + 3);
  assert.deepEqual(sequences(plain), sequences(typed));
  assert.deepEqual(plain.record.metrics.map(({ name }) => name).slice(0, 3), ["ttft_mean", "ttft_p90", "decode_rate"]);
});

test("policies of the templates make one run", options, () => {
  const policies = ["warmup", "workload", "metrics"].flatMap((kind) => {
    return [`--${kind}`, build(`template-ts/${kind}/first_${kind}.ts`, kind, kind)];
  });
  const { record, stderr } = exec(...policies, "-p", "requests=3", "-p", "new-tokens=4", "-p", "max-runs=4");
  assert.equal(record.status, "completed", stderr);
  assert.deepEqual(record.metrics.map(({ name }) => name), ["itl_p50", "itl_p99"]);
});

test("random numbers and clocks are the same for every build, and come from the seed", options, () => {
  const said = [1, 2].map((count) => {
    const component = build("test/guests/clocks.ts", `clocks-${count}`);
    assert.ok(!readFileSync(component).includes(process.cwd()), "the component names no folder of this machine");
    const { log, record } = exec(component);
    assert.equal(record.status, "completed");
    return log.map(({ level, message }) => [level, message]);
  });
  assert.deepEqual(said[0], said[1]);
  const { random, stream, now, zone, locale } = JSON.parse(said[0][0][1]);
  assert.deepEqual(random, stream);
  assert.deepEqual([now, zone, locale], [[0, "1970-01-01T00:00:00.000Z"], 0, "1234567.891"]);
  assert.deepEqual(said[0][1], ["warn", 'values 1n [["a",1]] [1,"NaN"] undefined {"deep":{"er":true}}']);
});

/** For each way to fail: the exit status, the message of the record, and what the log has. */
const FAILURES = {
  error: [1, /^Error: it fails \(.*failing\.ts:17\)$/, /at error \(.*failing\.ts:17:\d+\)\n {4}at run \(.*failing\.ts:\d+/],
  type: [1, /^TypeError: cannot read property 'value' of undefined \(.*failing\.ts:21\)$/, /at type \(.*failing\.ts:21/],
  text: [1, /^only a text \(thrown without a stack: throw an Error to have one\)$/, /^only a text/],
  cause: [1, /^Error: outer/, /^Error: outer[^]*\ncaused by: RangeError: inner\n {4}at cause/],
  own: [2, /^there is no such thing$/, /^LlemError: there is no such thing\n {4}at own/],
  host: [2, /^parameter 'undeclared' was not declared/, /at host \(.*failing\.ts/],
  argument: [2, /^count is -1, which is no whole number from 0/, /at argument \(.*failing\.ts/],
  promise: [1, /^run returned a promise: calls of the host are synchronous/, /at run/],
  recursion: [1, /call stack exhausted/],
  memory: [1, /asked for \d+ MiB of memory and the limit is \d+ MiB/],
};

test("errors name their place in the author's file", options, () => {
  const component = build("test/guests/failing.ts", "failing");
  for (const [way, [expected, error, logged]] of Object.entries(FAILURES)) {
    const { status, record, log, stderr } = exec(component, "-p", `way=${way}`);
    assert.equal(status, expected, `${way}: ${stderr}`);
    assert.match(record.error, error, way);
    if (logged) assert.ok(log.some(({ message }) => logged.test(message)), `${way}: ${JSON.stringify(log)}`);
  }
});
