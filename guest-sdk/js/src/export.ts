/**
 * Functions that turn a module into a component.
 *
 * The host lends policies its resources for one call. They are copied first, and dropped before the call returns.
 */

import type { description, models, report as hostReport, requests, trials } from "#host";
import { type About, aboutToHost } from "./about.js";
import { beginCall } from "./determinism.js";
import { LlemError } from "./error.js";
import { metricToHost } from "./metric.js";
import { modelInfoFrom } from "./model-info.js";
import type { MetricsPolicy, WarmupPolicy, WorkloadPolicy } from "./policy.js";
import { log } from "./report.js";
import { requestToHost } from "./request.js";
import { scheduleToHost, sessionFrom } from "./schedule.js";
import { consume } from "./snapshot.js";
import { summary, trace } from "./stack.js";
import { nanoseconds } from "./time.js";
import { Trial, trialFrom } from "./trial.js";

/** What a module exports to the host. Only the host calls it. */
export type Exported = object;

/** Calls `describe`. What it throws is logged before the component ends. */
function describe(about: () => About): description.About {
  beginCall(false);
  try {
    return aboutToHost(about());
  } catch (thrown) {
    log("error", trace(thrown));
    throw thrown;
  }
}

/** Calls a function of a run. What it throws is logged, and becomes the contract's error. */
function during<T>(body: () => T): T {
  beginCall(true);
  try {
    return body();
  } catch (thrown) {
    const isOurs = thrown instanceof LlemError;
    log(isOurs ? "debug" : "error", trace(thrown));
    throw isOurs ? { code: thrown.code, message: thrown.message } : { code: "failed", message: summary(thrown) };
  }
}

/**
 * Makes the module an experiment, from a function that describes it and a function that runs it:
 * `export const script = experiment({ about, run })`.
 *
 * `run` is synchronous, because calls of the host are. A function that returns a promise is refused.
 */
export function experiment({ about, run }: { readonly about: () => About; readonly run: () => void }): Exported {
  return {
    describe: () => describe(about),
    run: () =>
      during(() => {
        const returned: unknown = run();
        if (returned instanceof Promise) {
          throw new LlemError("failed", "run returned a promise: calls of the host are synchronous, so it is not async");
        }
      }),
  };
}

/** A class of policies: it has a static function `about`, and a constructor without arguments. */
export interface PolicyClass<P> {
  new (): P;
  /** Returns the description of the policy. */
  about(): About;
}

/** Returns a function that creates a policy at its first call, because the constructor may call the host. */
function once<P>(policy: PolicyClass<P>): () => P {
  let created: P | undefined;
  return () => (created ??= new policy());
}

/** Makes the module a warm-up policy: `export const warmupPolicy = warmup(Policy)`. */
export function warmup(policy: PolicyClass<WarmupPolicy>): Exported {
  const instance = once(policy);
  const history: Trial[] = [];
  return {
    describe: () => describe(() => policy.about()),
    next: (last: trials.Trial | null) =>
      during(() => {
        if (last !== null) history.push(consume(last, trialFrom));
        const next = instance().next(history);
        if (next.step === "wait") return { tag: "wait", val: nanoseconds(next.length) };
        if (next.step === "done") return { tag: "done", val: next.reason };
        const request = next.request === undefined ? null : requestToHost(next.request);
        return { tag: "run", val: { request, maxNewTokens: next.maxNewTokens ?? null } };
      }),
  };
}

/** Makes the module a workload policy: `export const workloadPolicy = workload(Policy)`. */
export function workload(policy: PolicyClass<WorkloadPolicy>): Exported {
  const instance = once(policy);
  return {
    describe: () => describe(() => policy.about()),
    begin: (model: models.Model): trials.Schedule =>
      during(() => {
        const info = consume(model, modelInfoFrom);
        return scheduleToHost(instance().begin?.(info) ?? {});
      }),
    next: (last: trials.Trial | null): requests.Request | null =>
      during(() => {
        const next = instance().next(last === null ? undefined : consume(last, trialFrom));
        return next === undefined ? null : requestToHost(next);
      }),
  };
}

/** Makes the module a metrics policy: `export const metricsPolicy = metrics(Policy)`. */
export function metrics(policy: PolicyClass<MetricsPolicy>): Exported {
  const instance = once(policy);
  return {
    describe: () => describe(() => policy.about()),
    observe: (trial: trials.Trial): void => during(() => instance().observe(consume(trial, trialFrom))),
    derive: (model: models.Model, session: trials.Session): hostReport.Metric[] =>
      during(() => {
        const [info, given] = [consume(model, modelInfoFrom), consume(session, sessionFrom)];
        return instance().derive(info, given).map(metricToHost);
      }),
  };
}
