// Policies, trials and derived figures on given trials, without a host.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  ColdStart,
  Completion,
  CountThenFloor,
  CvConvergence,
  ElectricitySupply,
  FixedCount,
  Goodput,
  LlemError,
  Model,
  Quantity,
  Request,
  RequestList,
  Row,
  TemperaturePlateau,
  TimeFloor,
  Trial,
  Unavailable,
  areMetBy,
  efficiency,
  energyOf,
  groupByLabel,
  known,
  memoryPeak,
  reading,
  stepTimes,
} from "@llem/sdk";

import { within } from "../node_modules/@llem/sdk/dist/inputs.js";

const request = Request.fromTokens([0]);
const unknown = new Unavailable("no meter in this test");

/** Creates a static batch of sequences with these numbers of tokens, from its beginning and length in ns. */
function generation(started, wallTime, tokens = [1], measured = {}) {
  const completions = tokens.map((count) => {
    return Completion.fromTokenTimes(0, new Array(count).fill(0), { promptTokens: 10 });
  });
  const activity = { promptTokens: 10, prefillTime: 0, decodeTime: wallTime, flopsPrefill: 0, flopsDecode: 0 };
  const energies = { energyTotal: unknown, energyPrefill: unknown, energyDecode: unknown };
  const measurement = { label: "", started, wallTime, courses: [], ...energies, activity, ...measured };
  return { completions, prefillTime: 0, decodeTime: wallTime, measurement };
}

/** Creates trials of these lengths in seconds, one right after the other. */
function trialsLasting(seconds, courses = () => []) {
  let now = 1_000;
  return seconds.map((length, index) => {
    const trial = Trial.fromGeneration(index, request, generation(now, length * 1e9, [1], { courses: courses(index) }));
    now += length * 1e9;
    return trial;
  });
}

/** Creates trials of 10 s, with a GPU that has these temperatures in Cel at their ends. */
function trialsHeating(temperatures) {
  return trialsLasting(temperatures.map(() => 10), (index) => {
    const [first, last] = [temperatures[Math.max(index - 1, 0)], temperatures[index]];
    const [min, max] = [Math.min(first, last), Math.max(first, last)];
    return [{ device: "cuda:0", reading: "temperature", unit: "Cel", first, last, min, max, mean: (min + max) / 2 }];
  });
}

/** Returns after how many of the given trials a policy is done. */
function runsUntilDone(policy, trials) {
  const runs = [...trials, undefined].findIndex((_, runs) => policy.next(trials.slice(0, runs)).step === "done");
  return runs < 0 ? undefined : runs;
}

test("warm-ups by count run five times two tokens by default", () => {
  const trials = trialsLasting(new Array(9).fill(0.1));
  assert.equal(runsUntilDone(new FixedCount(), trials), 5);
  assert.deepEqual(new FixedCount().next([]), { step: "run", maxNewTokens: 2 });
  assert.equal(new FixedCount({ maxNewTokens: undefined }).next([]).maxNewTokens, undefined);
  assert.equal(runsUntilDone(new ColdStart(), []), 0);
});

test("warm-ups by time run until the time has passed", () => {
  const trials = trialsLasting(new Array(9).fill(0.3));
  const floor = new TimeFloor({ floor: 1 });
  assert.equal(runsUntilDone(floor, trials), 4);
  assert.equal(runsUntilDone(new CountThenFloor({ count: new FixedCount({ runs: 6 }), floor }), trials), 6);
  assert.equal(runsUntilDone(new CountThenFloor({ count: new FixedCount({ runs: 2 }), floor }), trials), 4);
});

test("falling latencies converge once they are flat, and jumping ones never", () => {
  const latencies = [3, 2, 1.5, 1.2, 1, 1, 1, 1, 1, 1];
  assert.equal(runsUntilDone(new CvConvergence(), trialsLasting(latencies)), 9);
  const jumping = Array.from({ length: 60 }, (_, run) => 1 + (run % 2));
  assert.equal(runsUntilDone(new CvConvergence(), trialsLasting(jumping)), 50);
});

test("the temperature plateau lasts until the temperature is steady", () => {
  // 30 s hold three trials of 10 s: 62, 62 and 62 are reached with the seventh, which began at 62.
  assert.equal(runsUntilDone(new TemperaturePlateau(), trialsHeating([40, 50, 57, 61, 62, 62, 62, 62, 62])), 7);
  const restless = Array.from({ length: 80 }, (_, run) => 40 + (run % 9));
  assert.equal(runsUntilDone(new TemperaturePlateau(), trialsHeating(restless)), 60);
  assert.equal(runsUntilDone(new TemperaturePlateau(), trialsLasting(new Array(9).fill(10))), 3);
});

test("a list of requests is run in rounds", () => {
  const labels = ["short", "long"];
  const workload = new RequestList(labels.map((label) => Request.fromText("hello", { label })), { rounds: 2 });
  const returned = [];
  for (let next = workload.next(); next !== undefined; next = workload.next()) returned.push(next.label);
  assert.deepEqual(returned, [...labels, ...labels]);
  const trials = returned.map((label, index) => Trial.fromCompletions(index, request.with({ label }), []));
  assert.deepEqual([...groupByLabel(trials)].map(([label, group]) => [label, group.length]), [["short", 2], ["long", 2]]);
});

test("a batched request has its own latencies but no energy", () => {
  const trial = Trial.fromCompletions(7, request, [Completion.fromTokenTimes(1_000, [2_000, 5_000, 6_000])]);
  assert.deepEqual([trial.began(), trial.ended()], [1_000, 6_000]);
  assert.ok(Math.abs(trial.ttft()[0] - 1e-6) < 1e-15 && trial.itl().length === 2);
  const [one] = trial.completions();
  assert.ok(Math.abs(one.tpot() - 2e-6) < 1e-15 && Math.abs(one.e2el() - 5e-6) < 1e-15);
  assert.equal(known(trial.joulesPerOutputToken()), undefined);
  assert.equal(trial.decodeRate(), undefined);
  assert.throws(() => trial.generation(), LlemError);
});

test("a sequence without tokens does not change the decode rate", () => {
  const energyDecode = Quantity.exact(8, "J", "derived");
  const trial = Trial.fromGeneration(0, request, generation(0, 2e9, [5, 0, 0], { energyDecode }));
  assert.equal(trial.decodeJoulesPerToken().value, 2);
  assert.equal(trial.decodeRate().value, 2);
});

test("half the peak rate is an MFU of one half, and decode reads weights and cache", () => {
  const trial = Trial.fromGeneration(0, request, generation(0, 2e9, [3]));
  const measurement = trial.generation().measurement;
  measurement.activity.flopsDecode = 1e12;
  const peak = Quantity.exact(1e12, "FLOP/s", "datasheet");
  assert.equal(efficiency.decodeMfu(measurement, peak).value, 0.5);
  assert.equal(efficiency.decodeMfu(measurement, peak, 2).value, 0.25);
  assert.equal(efficiency.prefillMfu(measurement, peak), undefined);
  // Two steps after prefill: 900 bytes of weights twice, and 10 for each of 11 and 12 tokens. 2030 bytes in 2 s.
  const model = { experts: 0, decodeWeightBytes: 900, kvBytesPerToken: 10, ranks: [{}] };
  const bandwidth = Quantity.exact(2030, "By/s", "datasheet");
  assert.equal(efficiency.decodeMbu(trial, model, bandwidth).value, 0.5);
  assert.equal(efficiency.decodeMbu(trial, { ...model, experts: 8 }, bandwidth), undefined);
});

test("goodput counts sequences that meet all levels over the whole time", () => {
  const served = (submitted, tokens, fields) => {
    return Completion.fromTokenTimes(submitted * 1e6, tokens.map((at) => at * 1e6), fields);
  };
  const levels = { ttft: 10, tpot: 5, e2el: 20 };
  assert.ok(areMetBy(levels, served(0, [10, 15, 20])) && areMetBy(levels, served(0, [10])));
  for (const tokens of [[11, 15, 20], [8, 20], [10, 15, 20, 25], []]) assert.ok(!areMetBy(levels, served(0, tokens)));
  assert.ok(!areMetBy(levels, served(0, [1], { finish: "cancelled" })));
  const goodput = new Goodput({ ttft: 10 });
  assert.equal(goodput.rate(), undefined);
  for (const [submitted, tokens] of [[100, [105, 110]], [300, [311, 320]], [500, [510, 600]]]) {
    goodput.observe(Trial.fromCompletions(0, request, [served(submitted, tokens)]));
  }
  // Two of three, from 100 ms to 600 ms.
  assert.ok(Math.abs(goodput.rate().value - 4) < 1e-12);
});

test("emissions and cost follow from energy, PUE and intensity", () => {
  const supply = new ElectricitySupply(400, 1.5, { perKwh: 0.3, currency: "EUR" });
  const energy = new Quantity(3.6e6, 3.6e4, "J", "nvml-counter");
  const carbon = supply.carbon(energy);
  assert.ok(Math.abs(carbon.value - 600) < 1e-9 && Math.abs(carbon.uncertainty - 6) < 1e-9);
  assert.deepEqual([carbon.unit, carbon.source], ["g", "modelled"]);
  assert.ok(Math.abs(supply.cost(energy).value - 0.45) < 1e-12);
  assert.equal(supply.carbon(Quantity.exact(1, "W", "sensor")), undefined);
});

test("a cell is converted to the requested type, and an error names its row and column", () => {
  const cell = (value) => new Row(3, [["cell", value]]);
  assert.equal(cell("007").get("cell", String), "007");
  assert.equal(cell("007").get("cell", Number), 7);
  assert.equal(cell("1e5").get("cell", Number), 1e5);
  assert.equal(cell("True").get("cell", Boolean), true);
  for (const text of ["nan", "inf", "", "0x10"]) assert.throws(() => cell(text).get("cell", Number), LlemError);
  assert.throws(() => cell(7).get("cell", String), /row 3: field 'cell' is 7, which is not text/);
});

test("a call of the host fails where there is no host", () => {
  assert.throws(() => Model.loadGranted(), /there is no host outside of a component/);
});

test("energies and memory peaks are summed over the devices and domains of a kind", () => {
  const joules = (value) => new Quantity(value, 0.5, "J", "rapl");
  const bytes = (value) => Quantity.exact(value, "By", "counted");
  const energy = [
    { device: "cpu", domain: "package-0", energy: joules(10) },
    { device: "cpu", domain: "package-1", energy: joules(20) },
    { device: "cpu", domain: "dram-0", energy: joules(3) },
    { device: "cuda:0", domain: "gpu", energy: joules(100) },
    { device: "cuda:1", domain: "gpu", energy: new Unavailable("the window was too short") },
    { device: "cuda:2", domain: "gpu", energy: joules(7) },
  ];
  const memoryPeaks = [
    { device: "cpu", kind: "process-resident", peak: bytes(5e6) },
    { device: "cpu", kind: "device", peak: bytes(9e6) },
    { device: "cuda:0", kind: "device", peak: bytes(1e6) },
    { device: "cuda:1", kind: "device", peak: bytes(2e6) },
  ];
  const measurement = { energy, energyCovers: energy.slice(0, 5), memoryPeaks };
  assert.equal(reading.value(energyOf(measurement, "cpu")), 33);
  assert.equal(reading.value(energyOf(measurement, "cpu", "package")), 30);
  assert.equal(reading.value(energyOf(measurement, "cpu", "package-1")), 20);
  assert.equal(reading.value(energyOf(measurement, "cuda:0")), 100);
  assert.deepEqual(energyOf(measurement, "cuda"), new Unavailable("the window was too short"));
  assert.deepEqual(energyOf(measurement, "cuda:2"), new Unavailable("no energy of cuda:2 is part of the total"));
  assert.deepEqual(energyOf(measurement, "cpu", "pack"), new Unavailable("no energy of cpu pack is part of the total"));
  assert.equal(reading.value(memoryPeak(measurement, "device", "cuda")), 3e6);
  assert.equal(reading.value(memoryPeak(measurement, "device")), 12e6);
  const reason = "no memory of the kind process-device cuda was read";
  assert.deepEqual(memoryPeak(measurement, "process-device", "cuda"), new Unavailable(reason));
});

test("a step is over when its last sequence has its token", () => {
  const completions = [Completion.fromTokenTimes(10, [30, 45, 60]), Completion.fromTokenTimes(11, [31, 44])];
  assert.deepEqual(stepTimes({ ...generation(5, 100), completions }), [10, 31, 45, 60]);
  assert.deepEqual(stepTimes({ ...generation(5, 100), completions: [] }), [5]);
});

test("a number out of its range is refused with the range", () => {
  assert.equal(within("rounds", 3, 1, 3), 3);
  assert.throws(() => within("rounds", 0, 1, Infinity), /^LlemError: rounds is 0: set it to 1 or more with -p rounds=NUMBER$/);
  assert.throws(() => within("share", 1.5, 0, 1), /share is 1.5: set it to a number from 0 to 1 with -p share=NUMBER/);
  assert.throws(() => within("rate", NaN, 0, Infinity), LlemError);
});
