/** Arrival processes: open loops of several kinds, a closed loop, or all requests at once. */

import type { BatchOptions } from "../batch.js";
import { LlemError } from "../error.js";
import { rows } from "../inputs.js";
import type { ModelInfo } from "../model-info.js";
import type { WorkloadPolicy } from "../policy.js";
import { Random } from "../random.js";
import type { Request } from "../request.js";
import type { Schedule } from "../schedule.js";
import type { Seconds } from "../time.js";
import type { Trial } from "../trial.js";
import { type ArrivalProcess, type ArrivalRate, ArrivalTimes } from "./arrival-times.js";

/** Options of every arrival process. */
export interface ArrivalOptions {
  /**
   * The maximum number of submitted requests that have not ended. Other requests wait, and their latencies count from
   * their arrival. No limit by default.
   */
  readonly concurrency?: number;
  /** How long requests are sent, in seconds. By default until the workload ends. */
  readonly length?: Seconds;
  /** The shape of the gamma distribution of drawn gaps. It changes no other process. */
  readonly burstiness?: number;
  /** The name of the random stream that gaps are drawn from, `arrivals` by default. */
  readonly stream?: string;
}

/**
 * When the requests of a workload arrive. Arrival times are drawn in advance, and the host submits each request at its
 * time. The load of the model therefore does not change when requests arrive.
 *
 * ```ts
 * // 20 requests a second on average, at most 64 sequences at a time, for as long as there are requests.
 * const workload = Arrivals.poisson(20).applyTo(requests, { maxSequences: 64 });
 * ```
 */
export class Arrivals {
  private readonly process: ArrivalProcess;
  private readonly options: ArrivalOptions;

  private constructor(process: ArrivalProcess, options: ArrivalOptions) {
    const { burstiness } = options;
    this.process = process.kind === "drawn" && burstiness !== undefined ? { ...process, burstiness } : process;
    this.options = options;
  }

  /** Creates a Poisson process of `rate` requests a second: gaps are exponential with a mean of `1 / rate` seconds. */
  static poisson(rate: number, options: ArrivalOptions = {}): Arrivals {
    return Arrivals.drawn({ ramp: "none", from: rate, to: rate, requests: 1 }, 1, options);
  }

  /**
   * Creates a process whose gaps follow a gamma distribution of shape `burstiness` and scale
   * `1 / (rate * burstiness)`, as `vllm bench serve` draws them. A burstiness of 1 is a Poisson process. A lower one
   * gives bursts, a higher one more even gaps.
   *
   * vLLM stretches all times so that the last one equals the number of requests over the rate. Here they stay as drawn.
   */
  static gamma(rate: number, burstiness: number, options: ArrivalOptions = {}): Arrivals {
    return Arrivals.drawn({ ramp: "none", from: rate, to: rate, requests: 1 }, burstiness, options);
  }

  /** Creates a process with equal gaps of `1 / rate` seconds. */
  static constant(rate: number, options: ArrivalOptions = {}): Arrivals {
    return Arrivals.drawn({ ramp: "none", from: rate, to: rate, requests: 1 }, Infinity, options);
  }

  /**
   * Creates exponential gaps whose rate rises (or falls) linearly over the first `requests` requests and then stays:
   * `from + (to - from) * p`, where p is the request's position among them, from 0 to 1. This is vLLM's `linear`
   * ramp-up.
   */
  static linearRamp(from: number, to: number, requests: number, options: ArrivalOptions = {}): Arrivals {
    return Arrivals.drawn({ ramp: "linear", from, to, requests }, 1, options);
  }

  /**
   * Creates exponential gaps whose rate changes over the first `requests` requests by `from * (to / from)^p`, where p is
   * the request's position among them, from 0 to 1. This is vLLM's `exponential` ramp-up.
   */
  static exponentialRamp(from: number, to: number, requests: number, options: ArrivalOptions = {}): Arrivals {
    return Arrivals.drawn({ ramp: "exponential", from, to, requests }, 1, options);
  }

  /**
   * Uses these times, in seconds from the beginning of the measurement. They must not decrease. The workload ends after
   * the last of them.
   */
  static trace(offsets: Iterable<Seconds>, options: ArrivalOptions = {}): Arrivals {
    return new Arrivals({ kind: "trace", offsets: [...offsets] }, options);
  }

  /** Reads the times from a column of a dataset, in seconds from the beginning of the measurement. */
  static traceFromDataset(dataset: string, column: string, options: ArrivalOptions = {}): Arrivals {
    const offsets = Array.from(rows(dataset), (row) => {
      const seconds = row.get(column, Number);
      if (seconds >= 0) return seconds;
      throw LlemError.invalidArgument(`dataset '${dataset}': '${column}' is ${seconds} s: it is negative`);
    });
    return Arrivals.trace(offsets, options);
  }

  /** Makes all requests arrive at the beginning. */
  static atOnce(options: ArrivalOptions = {}): Arrivals {
    return new Arrivals({ kind: "at-once" }, options);
  }

  /** Creates a closed loop: a request is sent as soon as fewer than `concurrency` requests are running or waiting. */
  static closedLoop(concurrency: number, options: ArrivalOptions = {}): Arrivals {
    return new Arrivals({ kind: "closed-loop" }, { ...options, concurrency });
  }

  /** Sends the requests of a workload at these times, in a continuous batch. */
  applyTo(workload: WorkloadPolicy, options: BatchOptions): WorkloadPolicy {
    return new TimedWorkload(this, this.options, workload, options);
  }

  /**
   * Returns the generator of the times. Throws `invalid-argument` if a rate or the burstiness is not a number above 0,
   * or if a trace decreases.
   */
  times(): ArrivalTimes {
    return new ArrivalTimes(this.process);
  }

  private static drawn(rate: ArrivalRate, burstiness: number, options: ArrivalOptions): Arrivals {
    return new Arrivals({ kind: "drawn", rate, burstiness }, options);
  }
}

/** A workload whose requests arrive at given times. */
class TimedWorkload implements WorkloadPolicy {
  /** The generator of the times and its random numbers. `undefined` before the workload begins. */
  private drawn: { readonly times: ArrivalTimes; readonly random: Random } | undefined;

  constructor(
    private readonly arrivals: Arrivals,
    private readonly options: ArrivalOptions,
    private readonly workload: WorkloadPolicy,
    private readonly batch: BatchOptions,
  ) {}

  begin(model: ModelInfo): Schedule {
    this.workload.begin?.(model);
    this.drawn = { times: this.arrivals.times(), random: new Random(this.options.stream ?? "arrivals") };
    const { concurrency, length } = this.options;
    return {
      batch: this.batch,
      ...(concurrency !== undefined && { concurrency }),
      ...(length !== undefined && { length }),
    };
  }

  next(last: Trial | undefined): Request | undefined {
    const request = this.workload.next(last);
    if (request === undefined) return undefined;
    if (this.drawn === undefined) throw new Error("a workload is asked for requests before it has begun");
    const arrival = this.drawn.times.draw(this.drawn.random);
    if (arrival === undefined) return undefined;
    return arrival === null ? request : request.with({ arrival });
  }

  total(): number | undefined {
    return this.workload.total?.();
  }
}
