/**
 * Measures a continuous batch while it is full, which is how ML.ENERGY defines steady state (arXiv 2505.06371, section
 * 3.2). The time in which the batch fills or drains is not included.
 *
 * ```text
 * running  ┌───── maxSequences ──────┐
 *       ╱  │                         │╲
 *     ╱    │<------- window -------->│  ╲      each ended sequence is replaced by a new one
 * ```
 */

import type { BatchOptions } from "../batch.js";
import type { Measurement } from "../measurement.js";
import type { Model } from "../model.js";
import type { Request } from "../request.js";
import { type Seconds, nanoseconds } from "../time.js";
import { Window } from "../window.js";

/** Options for measuring a full continuous batch. */
export interface SaturatedBatchOptions {
  /** The options of the batch. It is full when `maxSequences` sequences run. */
  readonly options: BatchOptions;
  /** How long the window is open, in seconds of steps. */
  readonly length: Seconds;
  /** The number of steps with a full batch before the window opens, so that sequences then end at different times. */
  readonly settleSteps: number;
}

/** The measurement of a full batch. */
export interface SteadyState {
  /** The time, energy and tokens of the window. */
  readonly measurement: Measurement;
  /** The number of steps in the window. */
  readonly steps: number;
  /** Whether there were no more requests before the window reached its length. */
  readonly ranOut: boolean;
}

/** Measures a full continuous batch. */
export class SaturatedBatch {
  private readonly given: SaturatedBatchOptions;

  /** Creates a measurement from its options. */
  constructor(given: SaturatedBatchOptions) {
    this.given = given;
  }

  /**
   * Runs requests with one prompt each until the window reaches its length or there are no more. Throws if there are too
   * few requests to fill the batch.
   */
  measure(model: Model, label: string, requests: Iterable<Request>): SteadyState {
    const { options, length, settleSteps } = this.given;
    const source = requests[Symbol.iterator]();
    using batch = model.openBatch(options);
    const fill = (): boolean => {
      const { running, waiting } = batch.status();
      for (let sequences = running + waiting; sequences < options.maxSequences; sequences += 1) {
        const next = source.next();
        if (next.done) return false;
        batch.submit(next.value);
      }
      return true;
    };
    for (let step = 0; step <= settleSteps; step += 1) {
      if (!fill()) throw new Error("the requests run out before the batch has been full");
      batch.step();
    }
    using window = Window.open(label);
    let [elapsed, steps, isFull] = [0, 0, true];
    while (elapsed < nanoseconds(length)) {
      isFull = fill();
      if (!isFull) break;
      const { started, finished } = batch.step();
      elapsed += finished - started;
      steps += 1;
    }
    return { measurement: window.close(), steps, ranOut: !isFull };
  }
}
