/** Named results of an experiment. */

import type { report } from "#host";
import type { Quantity } from "./quantity.js";

/**
 * A named result of the experiment.
 *
 * ```ts
 * Quantity.exact(12, "{token}/s", "derived").intoMetric("decode_rate").label("batch", "8");
 * ```
 */
export class Metric {
  /** The name in snake case: `joules_per_output_token`. */
  readonly name: string;
  /** The value of the metric. The record marks its source as the script's claim. */
  readonly quantity: Quantity;
  /** Names and values of labels, which distinguish metrics of one name. */
  readonly labels: ReadonlyArray<readonly [name: string, value: string]>;

  /** Creates a metric. */
  constructor(name: string, quantity: Quantity, labels: Iterable<readonly [string, string]> = []) {
    this.name = name;
    this.quantity = quantity;
    this.labels = [...labels];
  }

  /** Returns a copy with one more label. */
  label(name: string, value: string): Metric {
    return new Metric(this.name, this.quantity, [...this.labels, [name, value]]);
  }
}

/** @internal */
export function metricToHost(metric: Metric): report.Metric {
  const { value, uncertainty, unit, source } = metric.quantity;
  const labels = metric.labels.map(([name, value]): [string, string] => [name, value]);
  return { name: metric.name, quantity: { value, uncertainty, unit, source }, labels };
}
