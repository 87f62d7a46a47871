/** Energies in Wh, apart for GPUs, CPU and memory. The score is about the GPUs. */

import { Unavailable, reading } from "@llem/sdk";

const JOULES_PER_WH = 3600;

/** Wh in UCUM's spelling. */
export const WH = "W.h";

/** The parts of an energy, in the order of the report. `total` is the sum of all that is measured. */
export const PARTS = ["cpu", "ram", "gpu", "total"];

/** Returns the energies of a window by part, each a reading in Wh. */
export function energiesOf(measurement) {
  const covered = measurement.energyCovers.map(({ device, domain }) => `${device} ${domain}`);
  const used = measurement.energy.filter(({ device, domain }) => covered.includes(`${device} ${domain}`));
  const isMemory = ({ domain }) => domain.startsWith("dram");
  const ofCpu = used.filter(({ device }) => device === "cpu");
  const isOnGpu = used.some(({ device }) => device !== "cpu");
  return {
    cpu: sum(ofCpu.filter((one) => !isMemory(one)), reasonOf(measurement.energyCpu) ?? "the CPU is not measured"),
    ram: sum(ofCpu.filter(isMemory), "no counter of the CPU's memory can be read"),
    gpu: isOnGpu ? inWh(measurement.energyAccelerators) : new Unavailable("no GPU held the model"),
    total: inWh(measurement.energyTotal),
  };
}

/** Subtracts energies part by part. A part that is missing in one of them is missing. */
export function minus(one, other) {
  return eachPart((part) => reading.minus(one[part], other[part]));
}

/** Adds energies part by part. A part that is missing in one of them is missing. */
export function plus(one, other) {
  return eachPart((part) => reading.plus(one[part], other[part]));
}

/** Returns the mean of repeated energies, part by part. */
export function meanOf(all) {
  return eachPart((part) => reading.mean(all.map((one) => one[part]), "nothing was run"));
}

/** Scales a reading to 1,000 queries. */
export function perThousand(energy, queries) {
  return reading.per(energy, queries / 1000, WH);
}

/** Returns the value of a reading, or null if it is missing. `factor` converts the unit. */
export function valueOf(energy, factor = 1) {
  const value = reading.value(energy);
  return value === undefined ? null : value * factor;
}

/** Returns energies as optimum-benchmark's report has them, in kWh. */
export function inReport(energies) {
  return { unit: "kWh", ...Object.fromEntries(PARTS.map((part) => [part, valueOf(energies[part], 1e-3)])) };
}

function eachPart(make) {
  return Object.fromEntries(PARTS.map((part) => [part, make(part)]));
}

function sum(energies, otherwise) {
  return inWh(reading.total(energies.map(({ energy }) => energy), otherwise));
}

/** Returns why a reading is missing, or `undefined` if it is not. */
function reasonOf(reading) {
  return reading instanceof Unavailable ? reading.reason : undefined;
}

function inWh(joules) {
  return reading.per(joules, JOULES_PER_WH, WH);
}
