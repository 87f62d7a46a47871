//! The metrics that nearly every experiment derives.

use llem_sdk::prelude::*;

/// Computes a metric of one trial.
type TrialMetric = fn(&Trial) -> Option<Quantity>;

/// The metrics of a trial, by name.
const METRICS: [(&str, TrialMetric); 5] = [
    ("ttft", |trial| Quantity::mean(&trial.ttft(), "s")),
    ("itl", |trial| Quantity::mean(&trial.itl(), "s")),
    ("prefill_rate", Trial::prefill_rate),
    ("decode_rate", Trial::decode_rate),
    ("joules_per_output_token", |trial| trial.joules_per_output_token().ok()),
];

/// Derives the means of latencies, rates and energy over the requests of each label. Energy is left out if it is not
/// measured.
#[derive(Default)]
pub(crate) struct StandardMetrics {
    groups: Vec<LabelGroup>,
}

/// The trials of one label: a list of values for each metric.
struct LabelGroup {
    label: String,
    values: [Vec<Quantity>; METRICS.len()],
}

impl Describe for StandardMetrics {
    fn about() -> About {
        let summary = "Latencies, rates and joules per token, where they are measured";
        About::new("usual", env!("CARGO_PKG_VERSION"), summary)
    }
}

impl MetricsPolicy for StandardMetrics {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        let label = &trial.request.label;
        let index = self.groups.iter().position(|group| group.label == *label);
        let index = index.unwrap_or_else(|| {
            self.groups.push(LabelGroup { label: label.clone(), values: Default::default() });
            self.groups.len() - 1
        });
        for (values, (_, metric)) in self.groups[index].values.iter_mut().zip(METRICS) {
            values.extend(metric(&trial));
        }
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, session: &Session) -> Result<Vec<Metric>> {
        let groups = std::mem::take(&mut self.groups).into_iter();
        let by_label = groups.flat_map(|LabelGroup { label, values }| {
            METRICS.into_iter().zip(values).filter_map(move |((name, _), values)| {
                Some(Quantity::mean_of(values)?.into_metric(name).label("request", label.as_str()))
            })
        });
        Ok(by_label.chain(session.measurement.iter().flat_map(session_metrics)).collect())
    }
}

/// Derives the metrics that a continuous batch has only as a whole.
fn session_metrics(measured: &Measurement) -> impl Iterator<Item = Metric> + use<> {
    let seconds = measured.wall_time as f64 * 1e-9;
    let rate = |count: u64, of: &str| {
        Quantity::exact(count as f64, of, Source::Counted).per(seconds, &format!("{of}/s"))
    };
    let quantities = [
        ("session_request_rate", rate(measured.activity.requests, "{request}")),
        ("session_output_rate", rate(measured.activity.output_tokens, "{token}")),
        ("session_joules_per_output_token", measured.energy_per_output_token.clone().ok()),
    ];
    quantities.into_iter().filter_map(|(name, quantity)| Some(quantity?.into_metric(name)))
}
