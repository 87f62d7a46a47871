//! Derives percentiles of the inter-token latency for the requests of each label.

use llem_sdk::prelude::*;
use llem_sdk::statistics::percentile;
use std::collections::BTreeMap;

llem_sdk::metrics!(ItlPercentiles);

/// The percentiles that are derived, with the names of their metrics.
const PERCENTILES: [(&str, f64); 2] = [("itl_p50", 50.0), ("itl_p99", 99.0)];

/// The inter-token latencies of each label, in s.
#[derive(Default)]
struct ItlPercentiles {
    latencies: BTreeMap<String, Vec<f64>>,
}

impl Describe for ItlPercentiles {
    fn about() -> About {
        About::new(
            "first-metrics",
            "0.1.0",
            "Percentiles of the inter-token latency",
        )
    }
}

impl MetricsPolicy for ItlPercentiles {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        let latencies = self
            .latencies
            .entry(trial.request.label.clone())
            .or_default();
        latencies.extend(trial.itl());
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, _: &Session) -> Result<Vec<Metric>> {
        let mut metrics = Vec::new();
        for (label, latencies) in &self.latencies {
            for (name, p) in PERCENTILES {
                let quantity = |value| Quantity::exact(value, "s", Source::Derived);
                let metric =
                    percentile(latencies, p).map(|value| quantity(value).into_metric(name));
                metrics.extend(metric.map(|metric| metric.label("request", label)));
            }
        }
        Ok(metrics)
    }
}
