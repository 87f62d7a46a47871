/** Derives percentiles of the inter-token latency for the requests of each label. */

import { About, type Metric, type MetricsPolicy, Quantity, type Trial, metrics } from "@llem/sdk";
import { percentile } from "@llem/sdk/statistics";

/** The percentiles that are derived, with the names of their metrics. */
const PERCENTILES = [["itl_p50", 50], ["itl_p99", 99]] as const;

class ItlPercentiles implements MetricsPolicy {
  /** The inter-token latencies of each label, in s. */
  private readonly latencies = new Map<string, number[]>();

  static about(): About {
    return new About("first-metrics", "0.1.0", "Percentiles of the inter-token latency");
  }

  observe(trial: Trial): void {
    const latencies = this.latencies.get(trial.request.label) ?? [];
    latencies.push(...trial.itl());
    this.latencies.set(trial.request.label, latencies);
  }

  derive(): Metric[] {
    const labels = [...this.latencies.keys()].sort();
    return labels.flatMap((label) =>
      PERCENTILES.flatMap(([name, p]) => {
        const value = percentile(this.latencies.get(label) ?? [], p);
        if (value === undefined) return [];
        return Quantity.exact(value, "s", "derived").intoMetric(name).label("request", label);
      }),
    );
  }
}

export const metricsPolicy = metrics(ItlPercentiles);
