/** Energies in Wh, apart for GPUs, CPU and memory. The score is about the GPUs. */

import { Quantity, Unavailable, known } from "@llem/sdk";

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
  return eachPart((part) => {
    const [from, less] = [known(one[part]), known(other[part])];
    return from && less ? from.minus(less) : from ? other[part] : one[part];
  });
}

/** Adds energies part by part. A part that is missing in one of them is missing. */
export function plus(one, other) {
  return eachPart((part) => addReadings(one[part], other[part]));
}

/** Returns the mean of repeated energies, part by part. */
export function meanOf(all) {
  return eachPart((part) => {
    const readings = all.map((one) => one[part]);
    return readings.find((reading) => !known(reading)) ?? Quantity.meanOf(readings);
  });
}

/** Scales a reading to 1,000 queries. */
export function perThousand(reading, queries) {
  return known(reading)?.per(queries / 1000, WH) ?? reading;
}

/** Returns the value of a reading, or null if it is missing. `factor` converts the unit. */
export function valueOf(reading, factor = 1) {
  const quantity = known(reading);
  return quantity ? quantity.value * factor : null;
}

/** Returns energies as optimum-benchmark's report has them, in kWh. */
export function inReport(energies) {
  return { unit: "kWh", ...Object.fromEntries(PARTS.map((part) => [part, valueOf(energies[part], 1e-3)])) };
}

function eachPart(reading) {
  return Object.fromEntries(PARTS.map((part) => [part, reading(part)]));
}

function sum(energies, otherwise) {
  const readings = energies.map(({ energy }) => energy);
  return inWh(readings.length > 0 ? readings.reduce(addReadings) : new Unavailable(otherwise));
}

function addReadings(one, other) {
  const [first, second] = [known(one), known(other)];
  return first && second ? first.plus(second) : first ? other : one;
}

/** Returns why a reading is missing, or `undefined` if it is not. */
function reasonOf(reading) {
  return reading instanceof Unavailable ? reading.reason : undefined;
}

function inWh(joules) {
  return known(joules)?.per(JOULES_PER_WH, WH) ?? joules;
}
