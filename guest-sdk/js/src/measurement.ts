/** The measurement of a closed window: time, energy, tokens, operations and the state of devices. */

import type { meter } from "#host";
import { type Reading, readingFrom } from "./quantity.js";
import { total } from "./reading.js";
import { snapshot } from "./snapshot.js";
import type { Nanoseconds } from "./time.js";

/** A power domain of a device. */
export interface Domain {
  /** The device's id: `cpu`, `cuda:0`. */
  readonly device: string;
  /** The power domain within it: `package-0`, `dram`, `gpu`. */
  readonly domain: string;
}

/** The energy of one power domain of a device over a window. */
export interface DeviceEnergy extends Domain {
  /** The energy in J. The uncertainty comes from the time between the counter's ticks and the ends of the window. */
  readonly energy: Reading;
}

/** The first, last, lowest, highest and mean value of a device reading over a window. */
export interface Course {
  /** The device's id. */
  readonly device: string;
  /** The quantity that is read: `temperature`, `core-clock`, `utilisation`, `memory-used`. */
  readonly reading: string;
  /** The unit of all values. */
  readonly unit: string;
  /** The value at the beginning of the window. */
  readonly first: number;
  /** The value at the end of the window. */
  readonly last: number;
  /** The lowest value. */
  readonly min: number;
  /** The highest value. */
  readonly max: number;
  /** The mean of the readings. */
  readonly mean: number;
}

/** The reasons why the clocks of a device were throttled. */
export interface Throttling {
  /** The device's id. */
  readonly device: string;
  /** The reasons in NVML's words. */
  readonly reasons: readonly string[];
}

/** The part of a window from one mark to the next. */
export interface Segment {
  /** The label of the mark that the segment begins with. It is empty for the segment before the first mark. */
  readonly label: string;
  /** When the segment began. */
  readonly started: Nanoseconds;
  /** The length of the segment. */
  readonly wallTime: Nanoseconds;
  /** The segment's part of `energyTotal`, in J. The parts of all segments add up to it. */
  readonly energy: Reading;
}

/** The communication time of one rank of a split model in a window. */
export interface RankActivity {
  /** The id of the rank's device. */
  readonly device: string;
  /** The time that the rank spent in communication with other ranks, including waiting for them, in s. */
  readonly communication: Reading;
}

/** The peak memory use of a device in a window. */
export interface MemoryPeak {
  /** The device's id. */
  readonly device: string;
  /** The kind of memory use: `process-resident`, `process-device`, `device` (of all processes on the device). */
  readonly kind: string;
  /** The highest memory use at any moment of the window, in By. */
  readonly peak: Reading;
}

/**
 * The work of the engine while a window was open, summed over all models. A mixed step is a step of a continuous batch
 * that runs prompts and decode together.
 */
export interface Activity {
  /** The number of requests (sequences) that began. */
  readonly requests: number;
  /** The number of prompt tokens that were processed. */
  readonly promptTokens: number;
  /** The number of generated tokens. */
  readonly outputTokens: number;
  /** The time spent in prefill. */
  readonly prefillTime: Nanoseconds;
  /** The time spent in decode. */
  readonly decodeTime: Nanoseconds;
  /** The time spent in mixed steps. */
  readonly mixedTime: Nanoseconds;
  /** The number of prompt tokens in mixed steps. They are included in `promptTokens`. */
  readonly mixedPromptTokens: number;
  /** The number of tokens generated in mixed steps. They are included in `outputTokens`. */
  readonly mixedOutputTokens: number;
  /** The operations that prefill needed, estimated from the model's shape, in FLOP. */
  readonly flopsPrefill: number;
  /** The operations that decode needed, estimated from the model's shape, in FLOP. */
  readonly flopsDecode: number;
  /** The operations that mixed steps needed, estimated from the model's shape, in FLOP. */
  readonly flopsMixed: number;
}

/** The measurement of a closed `Window`. */
export interface Measurement {
  /** The label that the window was opened with. */
  readonly label: string;
  /** When the window opened. */
  readonly started: Nanoseconds;
  /** The time from opening to closing. Both are read after all device work has ended. */
  readonly wallTime: Nanoseconds;
  /** Warnings for a reader of the numbers: a device was throttled, it got warmer, or two sources disagree. */
  readonly warnings: readonly string[];
  /** The energy of each power domain of each device, in J. */
  readonly energy: readonly DeviceEnergy[];
  /**
   * The total energy of the domains in `energyCovers`, in J: of the CPU, and of the devices that held a model while the
   * window was open. It is unavailable if a device that did work is not measured.
   */
  readonly energyTotal: Reading;
  /** The domains that `energyTotal` is the sum of. The CPU is among them if its counters can be read. */
  readonly energyCovers: readonly Domain[];
  /** The energy of the CPU's packages and memory, in J. */
  readonly energyCpu: Reading;
  /** The energy of the accelerators that held a model, in J. */
  readonly energyAccelerators: Reading;
  /**
   * The part of `energyTotal` used by prompt processing, in J. The parts prefill, decode, mixed and outside add up to
   * `energyTotal`.
   */
  readonly energyPrefill: Reading;
  /** The part of `energyTotal` used by steps in which sequences only generated, in J. */
  readonly energyDecode: Reading;
  /** The part of `energyTotal` used by steps of continuous batches that ran prompts and decode together, in J. */
  readonly energyMixed: Reading;
  /** The part of `energyTotal` used outside of steps: between them, and by other work of the script, in J. */
  readonly energyOutside: Reading;
  /** `energyTotal` divided by the number of generated tokens, in J/{token}. */
  readonly energyPerOutputToken: Reading;
  /** `energyTotal` minus the energy that the machine would have used at rest, in J, if a baseline is known. */
  readonly energyAboveIdle: Reading;
  /** The number of devices that held a model, or a part of one, while the window was open. */
  readonly devicesUsed: number;
  /** The highest energy of a device that held a model minus their mean, as a share of the mean. */
  readonly energyImbalance: Reading;
  /** The parts of the window between marks. A window without marks has one segment with an empty label. */
  readonly segments: readonly Segment[];
  /** The work of the engine while the window was open. */
  readonly activity: Activity;
  /** The ranks of split models, in order. Empty if no model is split. */
  readonly ranks: readonly RankActivity[];
  /** The course of each device reading: temperature, clock, utilisation, memory. */
  readonly courses: readonly Course[];
  /** The devices whose clocks were throttled, with the reasons. */
  readonly throttled: readonly Throttling[];
  /** The peak memory use of each device. */
  readonly memoryPeaks: readonly MemoryPeak[];
}

/** Returns the course of the temperature of each device that reports it, in Cel. */
export function temperatures(measurement: Measurement): Course[] {
  return measurement.courses.filter((course) => course.reading === "temperature");
}

/** Returns whether a name is this one, or this one followed by a separator and a number. */
function isOf(name: string, group: string, separator: string): boolean {
  return group === "" || name === group || name.startsWith(group + separator);
}

/**
 * Returns the part of `energyTotal` that some devices used, in J.
 *
 * `device` is an id (`cuda:0`) or a kind (`cpu`, `cuda`). `domain` is a power domain (`package-0`), or what several are
 * called before their number (`package`, `dram`). Without it all domains of the devices count. The energy is unavailable
 * if `energyTotal` has no such domain, or if one of them was not measured.
 */
export function energyOf(measurement: Measurement, device: string, domain = ""): Reading {
  const isCovered = (one: Domain) =>
    measurement.energyCovers.some((covered) => covered.device === one.device && covered.domain === one.domain);
  const found = measurement.energy.filter(
    (one) => isCovered(one) && isOf(one.device, device, ":") && isOf(one.domain, domain, "-"),
  );
  return total(found.map((one) => one.energy), `no energy of ${`${device} ${domain}`.trim()} is part of the total`);
}

/**
 * Returns the peak memory use of a kind in By, summed over devices. `kind` is `process-resident`, `process-device` or
 * `device` (see {@link MemoryPeak}). `device` is an id or a kind of device, as in {@link energyOf}. Without it all devices
 * count.
 */
export function memoryPeak(measurement: Measurement, kind: string, device = ""): Reading {
  const found = measurement.memoryPeaks.filter((one) => one.kind === kind && isOf(one.device, device, ":"));
  return total(found.map((one) => one.peak), `no memory of the kind ${`${kind} ${device}`.trim()} was read`);
}

/** @internal */
export function measurementFrom(from: meter.Measurement): Measurement {
  return {
    ...snapshot(from, ["label", "started", "wallTime", "warnings", "energyCovers", "devicesUsed", "courses", "throttled"]),
    energy: from.energy().map((one) => ({ ...one, energy: readingFrom(one.energy) })),
    energyTotal: readingFrom(from.energyTotal()),
    energyCpu: readingFrom(from.energyCpu()),
    energyAccelerators: readingFrom(from.energyAccelerators()),
    energyPrefill: readingFrom(from.energyPrefill()),
    energyDecode: readingFrom(from.energyDecode()),
    energyMixed: readingFrom(from.energyMixed()),
    energyOutside: readingFrom(from.energyOutside()),
    energyPerOutputToken: readingFrom(from.energyPerOutputToken()),
    energyAboveIdle: readingFrom(from.energyAboveIdle()),
    energyImbalance: readingFrom(from.energyImbalance()),
    segments: from.segments().map((one) => ({ ...one, energy: readingFrom(one.energy) })),
    activity: snapshot(from, [
      "requests",
      "promptTokens",
      "outputTokens",
      "prefillTime",
      "decodeTime",
      "mixedTime",
      "mixedPromptTokens",
      "mixedOutputTokens",
      "flopsPrefill",
      "flopsDecode",
      "flopsMixed",
    ]),
    ranks: from.ranks().map((one) => ({ ...one, communication: readingFrom(one.communication) })),
    memoryPeaks: from.memoryPeaks().map((one) => ({ ...one, peak: readingFrom(one.peak) })),
  };
}
