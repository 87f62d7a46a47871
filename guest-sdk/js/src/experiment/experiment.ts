/**
 * The standard phases of an experiment.
 *
 * ```text
 * begin ──► (idle baseline ──►) warmup: next, generate, ... done ──► measure: next, generate, observe, ... ──► derive
 * ```
 *
 * If the workload's schedule has a continuous batch, all measured requests go into it instead (`batch-run.ts`).
 */

import { recallOrMeasureBaseline, sleepFor } from "../meter.js";
import type { Model } from "../model.js";
import {
  type Derive,
  MetricsFn,
  type MetricsPolicy,
  type WarmupPolicy,
  type WorkloadPolicy,
} from "../policy.js";
import { Phase, addMetric, log, showProgress } from "../report.js";
import { RequestList } from "../request-list.js";
import type { Request } from "../request.js";
import type { Schedule, Session } from "../schedule.js";
import type { Seconds } from "../time.js";
import { Trial } from "../trial.js";
import { FixedCount } from "../warmup/fixed-count.js";
import { measureBatched } from "./batch-run.js";

/**
 * An experiment assembled from a warm-up policy, a workload and metrics.
 *
 * {@link run} runs its phases in order, each as a phase of the run record: `baseline`, `warmup`, `measure`, `derive`.
 *
 * ```ts
 * const request = Request.fromText("Why is the sky blue?", { maxNewTokens: 64 });
 * new Experiment(Model.loadGranted())
 *   .warmup(new CvConvergence())
 *   .workload(new RequestList([request], { rounds: 10 }))
 *   .metrics((_, trials) => {
 *     const rate = Quantity.meanOf(trials.flatMap((trial) => trial.decodeRate() ?? []));
 *     return rate ? [rate.intoMetric("decode_rate")] : [];
 *   })
 *   .run();
 * ```
 */
export class Experiment {
  // The functions that set the policies have the same names, which private names may.
  readonly #model: Model;
  #baseline: { readonly length: Seconds; readonly lifetime: Seconds } | undefined;
  #warmup: WarmupPolicy = new FixedCount();
  #workload: WorkloadPolicy = new RequestList([]);
  #metrics: MetricsPolicy | undefined;

  /**
   * Creates an experiment on this model. It warms up with `FixedCount`, has no requests and derives no metrics until
   * these are set.
   */
  constructor(model: Model) {
    this.#model = model;
  }

  /**
   * Measures idle power for `length` seconds before the warm-up, so that every measurement also has its energy above
   * idle. A baseline that an earlier run measured at most `lifetime` seconds ago is used instead. A length of zero means
   * no baseline.
   */
  baseline(length: Seconds, lifetime: Seconds): this {
    this.#baseline = length > 0 ? { length, lifetime } : undefined;
    return this;
  }

  /** Sets the warm-up policy. */
  warmup(policy: WarmupPolicy): this {
    this.#warmup = policy;
    return this;
  }

  /** Sets the workload: the requests that are measured. */
  workload(workload: WorkloadPolicy): this {
    this.#workload = workload;
    return this;
  }

  /** Sets the metrics as a function of all trials. The trials are kept in memory until the end. */
  metrics(derive: Derive): this {
    return this.metricsPolicy(new MetricsFn(derive));
  }

  /** Sets the metrics as a policy that receives one trial after another. */
  metricsPolicy(metrics: MetricsPolicy): this {
    this.#metrics = metrics;
    return this;
  }

  /** Runs all phases and reports the metrics. Throws if the workload has no request. */
  run(): void {
    const schedule = this.#workload.begin?.(this.#model.info()) ?? {};
    const first = this.#workload.next(undefined);
    if (first === undefined) throw new Error("the workload has no request");
    if (this.#baseline !== undefined) {
      using _ = Phase.begin("baseline");
      recallOrMeasureBaseline(this.#baseline.length, this.#baseline.lifetime);
    }
    this.warmUp(first);
    const session = this.measure(schedule, first);
    this.derive(session);
  }

  private warmUp(first: Request): void {
    using _ = Phase.begin("warmup");
    const history: Trial[] = [];
    for (;;) {
      const next = this.#warmup.next(history);
      if (next.step === "wait") {
        sleepFor(next.length);
      } else if (next.step === "run") {
        const request = next.request ?? first;
        const maxNewTokens = Math.min(next.maxNewTokens ?? request.maxNewTokens, request.maxNewTokens);
        history.push(this.trial(history.length, request.with({ maxNewTokens })));
      } else {
        log("info", `warm: ${next.reason}`);
        return;
      }
    }
  }

  private measure(schedule: Schedule, first: Request): Session {
    using _ = Phase.begin("measure");
    if (schedule.batch !== undefined) {
      using batch = this.#model.openBatch(schedule.batch);
      const measurement = measureBatched(batch, schedule, first, this.#workload, this.#metrics);
      return { measurement };
    }
    const total = this.#workload.total?.() ?? 0;
    let next: Request | undefined = first;
    for (let index = 0; next !== undefined; index += 1) {
      showProgress(index, total, next.label);
      const trial = this.trial(index, next);
      next = this.#workload.next(trial);
      this.#metrics?.observe(trial);
    }
    return {};
  }

  private derive(session: Session): void {
    if (this.#metrics === undefined) return;
    using _ = Phase.begin("derive");
    for (const metric of this.#metrics.derive(this.#model.info(), session)) addMetric(metric);
  }

  private trial(index: number, request: Request): Trial {
    return Trial.fromGeneration(index, request, this.#model.generate(request));
  }
}
