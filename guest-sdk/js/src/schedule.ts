/** How a workload is run, and the measurement of all its requests together. */

import { trials } from "#host";
import { type BatchOptions, batchOptionsToHost } from "./batch.js";
import { whole } from "./error.js";
import { type Measurement, measurementFrom } from "./measurement.js";
import { consume } from "./snapshot.js";
import { type Seconds, nanoseconds } from "./time.js";

/** How the runner runs the requests of a workload: one after another, or in a continuous batch. */
export interface Schedule {
  /**
   * The options of the continuous batch that all requests run in. Without it each request runs alone, in order, and the
   * other fields have no effect.
   */
  readonly batch?: BatchOptions;
  /**
   * The maximum number of submitted requests that have not ended, at least 1 (a closed loop). Without it every request
   * is submitted at its arrival, or at once.
   */
  readonly concurrency?: number;
  /** How long requests are sent, in seconds. Without it until the workload ends. */
  readonly length?: Seconds;
}

/** The measurement of all requests of a workload together. */
export interface Session {
  /** The time and energy of all measured requests and of the time between them. Absent if each request ran alone. */
  readonly measurement?: Measurement;
}

/** @internal */
export function scheduleToHost(from: Schedule): trials.Schedule {
  const schedule = new trials.Schedule();
  schedule.setBatch(from.batch === undefined ? null : batchOptionsToHost(from.batch));
  schedule.setConcurrency(from.concurrency === undefined ? null : whole("concurrency", from.concurrency));
  schedule.setLength(from.length === undefined ? null : nanoseconds(from.length));
  return schedule;
}

/** @internal */
export function sessionFrom(session: trials.Session): Session {
  const measurement = session.measurement();
  return measurement === null ? {} : { measurement: consume(measurement, measurementFrom) };
}
