/** The host's clock, the resolution of energy counters, and idle power. */

import { meter } from "#host";
import { call } from "./error.js";
import { type Reading, type Source, Unavailable, readingFrom } from "./quantity.js";
import { consume, snapshot } from "./snapshot.js";
import { NS, type Nanoseconds, type Seconds, nanoseconds } from "./time.js";

/** Returns the current time on the host's monotonic clock. */
export function now(): Nanoseconds {
  return meter.now();
}

/** Waits until this time. Returns at once if it has passed. */
export function sleepUntil(time: Nanoseconds): void {
  meter.sleepUntil(time);
}

/** Waits for this long, in seconds. */
export function sleepFor(length: Seconds): void {
  meter.sleepUntil(meter.now() + nanoseconds(length));
}

/**
 * Waits until a device's power changes by less than `watts` within one second, and returns how long that took, in
 * seconds. `device` is a device's id. Without it, it is the device that the run measures. Throws `failed` after
 * `timeout` seconds, and `unsupported` if nothing meters the device.
 */
export function waitUntilPowerSteady(watts: number, timeout: Seconds, device?: string): Seconds {
  return call(() => meter.waitUntilPowerSteady(device ?? null, watts, nanoseconds(timeout))) * NS;
}

/**
 * Waits until a device's temperature changes by less than `kelvin` within ten seconds, and returns how long that took,
 * in seconds. `device` is a device's id. Without it, it is the device that the run measures. Throws `failed` after
 * `timeout` seconds, and `unsupported` if nothing reads the temperature.
 */
export function waitUntilTemperatureSteady(kelvin: number, timeout: Seconds, device?: string): Seconds {
  return call(() => meter.waitUntilTemperatureSteady(device ?? null, kelvin, nanoseconds(timeout))) * NS;
}

/** The time resolution of a power domain's energy counter. */
export interface Resolution {
  /** The device's id. */
  readonly device: string;
  /** The power domain within it. */
  readonly domain: string;
  /** The source of the energy, or the reason why it is not measured. */
  readonly source: Source | Unavailable;
  /** The time between two updates of the counter, in s. */
  readonly updatePeriod: Reading;
}

/** Returns the time resolution of each power domain of this machine. */
export function counterResolution(): Resolution[] {
  return meter.counterResolution().map(({ device, domain, source, updatePeriod }) => ({
    device,
    domain,
    source: source.tag === "ok" ? source.val : new Unavailable(source.val),
    updatePeriod: readingFrom(updatePeriod),
  }));
}

/** The idle power of one power domain of a device. */
export interface IdlePower {
  /** The device's id. */
  readonly device: string;
  /** The power domain within it. */
  readonly domain: string;
  /** The mean power, in W. The uncertainty includes the scatter of the readings. */
  readonly power: Reading;
  /** The reason why the power was not steady: it rose, fell or scattered by more than 5 %. */
  readonly unsteady: string | undefined;
  /** Whether a model was on the device. A loaded model keeps a GPU from its deepest idle state. */
  readonly holdsModel: boolean;
}

/** The idle power of the machine: a separate measurement with a date. */
export interface Baseline {
  /** When the baseline was measured, in seconds since 1970-01-01 UTC. */
  readonly measuredAt: number;
  /** How long the measurement took. */
  readonly wallTime: Nanoseconds;
  /** Whether an earlier run measured the baseline. */
  readonly fromEarlierRun: boolean;
  /** The idle power of each power domain of each device. */
  readonly power: readonly IdlePower[];
}

function baselineFrom(from: meter.Baseline): Baseline {
  const idle = (one: meter.IdlePower): IdlePower => ({
    ...one,
    power: readingFrom(one.power),
    unsteady: one.unsteady ?? undefined,
  });
  return { ...snapshot(from, ["measuredAt", "wallTime", "fromEarlierRun"]), power: from.power().map(idle) };
}

/**
 * Measures idle power for a length, in seconds, from 0.1 s to 10 minutes, and stores it for later runs. From then on
 * `Measurement.energyAboveIdle` uses it. A baseline that was measured with a model on a GPU is used only for windows
 * with a model on it, and the reverse.
 */
export function measureBaseline(length: Seconds): Baseline {
  return consume(call(() => meter.Baseline.measure(nanoseconds(length))), baselineFrom);
}

/**
 * Returns the baseline that an earlier run measured at most `lifetime` seconds ago on these devices, with models on the
 * same devices as now. Otherwise measures one (see {@link measureBaseline}).
 */
export function recallOrMeasureBaseline(length: Seconds, lifetime: Seconds): Baseline {
  const recall = () => meter.Baseline.recallOrMeasure(nanoseconds(length), nanoseconds(lifetime));
  return consume(call(recall), baselineFrom);
}
