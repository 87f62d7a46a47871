/**
 * Measures trials that all begin at the same temperature, as `zeus.profile` does. Leakage power follows temperature, so
 * trials without a pause would each take more energy than the previous one until the chip has settled.
 *
 * ```text
 * |<-- cooldown -->|        |<------- window ------->|
 * +----- idle -----+-warmup-+ run, run, ..., run     +      one trial; repeated to see the spread
 * ```
 *
 * The necessary lengths of cooldown and window depend on chip and cooling. {@link ThermalProtocol.sweep} finds the
 * shortest ones whose trials agree.
 */

import { LlemError } from "../error.js";
import { temperatures } from "../measurement.js";
import { now, sleepFor } from "../meter.js";
import type { Metric } from "../metric.js";
import { Quantity, type Reading, Unavailable } from "../quantity.js";
import { Phase } from "../report.js";
import { coefficientOfVariation } from "../statistics.js";
import { NS, type Seconds, nanoseconds } from "../time.js";
import { Window } from "../window.js";

/** The lengths and counts by which trials are run. */
export interface ThermalProtocolOptions {
  /** The idle time before each trial, in seconds, 10 by default. */
  readonly cooldown?: Seconds;
  /** The number of runs before the window of each trial, 10 by default. */
  readonly warmupRuns?: number;
  /** The minimum length of the window, in seconds, 10 by default. */
  readonly window?: Seconds;
  /** The number of trials, 10 by default. */
  readonly trials?: number;
  /** The relative standard deviation of the trials' energies below which they count as steady, 0.01 by default. */
  readonly threshold?: number;
}

/** The result of one trial. */
export interface ThermalTrial {
  /** The energy of a run, in J, or the reason why it is not known. */
  readonly energyPerRun: Reading;
  /** The number of runs in the window. */
  readonly runs: number;
  /** The length of the window, in s. */
  readonly seconds: number;
  /** The temperatures of each device at the beginning and end of the window, in Cel. */
  readonly temperatures: ReadonlyArray<readonly [device: string, first: number, last: number]>;
}

/** The result of a sweep over windows and cooldowns. */
export interface ThermalSweep {
  /** The protocol with the shortest window and cooldown whose trials were steady. */
  readonly protocol: ThermalProtocol;
  /** Whether any trials were steady. If not, `protocol` has the longest window and cooldown. */
  readonly isSteady: boolean;
  /** Every tried setting, and the relative standard deviation of its trials. */
  readonly tried: ReadonlyArray<readonly [cooldown: Seconds, window: Seconds, deviation: number]>;
}

/** Runs trials that all begin at the same temperature. By default with zeus.profile's longest cooldown and window. */
export class ThermalProtocol {
  /** The lengths and counts. */
  readonly options: Required<ThermalProtocolOptions>;

  /** Creates a protocol. */
  constructor(options: ThermalProtocolOptions = {}) {
    this.options = { cooldown: 10, warmupRuns: 10, window: 10, trials: 10, threshold: 0.01, ...options };
  }

  /** Runs the trials. `work` is one run. Cooldown, warm-up and window of each trial are phases of the record. */
  run(work: () => void): ThermalTrial[] {
    return Array.from({ length: this.options.trials }, () => this.trial(work));
  }

  private trial(work: () => void): ThermalTrial {
    const { cooldown, warmupRuns } = this.options;
    {
      using _ = Phase.begin("cooldown");
      if (cooldown > 0) sleepFor(cooldown);
    }
    {
      using _ = Phase.begin("warmup");
      for (let run = 0; run < warmupRuns; run += 1) work();
    }
    using _ = Phase.begin("trial");
    using window = Window.open("trial");
    const end = now() + nanoseconds(this.options.window);
    let runs = 0;
    while (runs === 0 || now() < end) {
      work();
      runs += 1;
    }
    const measurement = window.close();
    const energy = measurement.energyTotal;
    return {
      energyPerRun:
        energy instanceof Unavailable ? energy : (energy.per(runs, "J") ?? new Unavailable("nothing ran")),
      runs,
      seconds: measurement.wallTime * NS,
      temperatures: temperatures(measurement).map(({ device, first, last }) => [device, first, last]),
    };
  }

  /**
   * Finds the shortest steady window and cooldown. It tries windows with the longest cooldown first, then cooldowns with
   * the window that was found, each from the shortest. Throws if `windows` or `cooldowns` is empty.
   */
  sweep(windows: readonly Seconds[], cooldowns: readonly Seconds[], work: () => void): ThermalSweep {
    if (windows.length === 0 || cooldowns.length === 0) throw new Error("nothing to sweep over");
    const tried: Array<readonly [Seconds, Seconds, number]> = [];
    const isSteady = ({ options }: ThermalProtocol): boolean => {
      const deviation = relativeDeviation(new ThermalProtocol(options).run(work));
      tried.push([options.cooldown, options.window, deviation]);
      return deviation < options.threshold;
    };
    const sorted = (all: readonly Seconds[]) => [...all].sort((one, other) => one - other);
    const longest = { window: Math.max(...windows), cooldown: Math.max(...cooldowns) };
    const candidates = (changes: ThermalProtocolOptions[]) =>
      changes.map((change) => new ThermalProtocol({ ...this.options, ...longest, ...change }));
    const steady = candidates(sorted(windows).map((window) => ({ window }))).find(isSteady);
    if (steady === undefined) {
      return { protocol: new ThermalProtocol({ ...this.options, ...longest }), isSteady: false, tried };
    }
    const { window } = steady.options;
    const shortest = candidates(sorted(cooldowns).map((cooldown) => ({ window, cooldown }))).find(
      (candidate) => candidate.options.cooldown === longest.cooldown || isSteady(candidate),
    );
    return { protocol: shortest ?? steady, isSteady: true, tried };
  }
}

/** Returns the energies of a run. Throws the reason if one is not known. */
function energies(trials: readonly ThermalTrial[]): Quantity[] {
  return trials.map(({ energyPerRun }) => {
    if (energyPerRun instanceof Unavailable) throw new LlemError("failed", energyPerRun.reason);
    return energyPerRun;
  });
}

/**
 * Returns the mean energy of a run as the metric `joules_per_run`. Throws the reason if the energy of a trial is not
 * known.
 */
export function joulesPerRun(trials: readonly ThermalTrial[]): Metric[] {
  const mean = Quantity.meanOf(energies(trials));
  return mean === undefined ? [] : [mean.intoMetric("joules_per_run")];
}

/** Returns the standard deviation of the trials' energies divided by their mean. */
function relativeDeviation(trials: readonly ThermalTrial[]): number {
  if (trials.length === 0) throw new Error("no trial was run");
  return coefficientOfVariation(energies(trials).map(({ value }) => value)) ?? Infinity;
}
