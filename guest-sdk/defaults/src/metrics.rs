//! What nearly every experiment derives.

use llem_sdk::prelude::*;

/// How a metric is read off a trial.
type Read = fn(&Trial) -> Option<Quantity>;

/// The metrics by name.
const METRICS: [(&str, Read); 5] = [
    ("ttft", |trial| Quantity::mean(&trial.ttft(), "s")),
    ("itl", |trial| Quantity::mean(&trial.itl(), "s")),
    ("prefill_rate", Trial::prefill_rate),
    ("decode_rate", Trial::decode_rate),
    ("joules_per_output_token", |trial| trial.joules_per_output_token().ok()),
];

/// The mean over the requests of one label of latencies, rates, and energy where it is measured.
#[derive(Default)]
pub struct Usual {
    groups: Vec<Group>,
}

/// What was read of the trials of one label: a list for each metric.
struct Group {
    label: String,
    values: [Vec<Quantity>; METRICS.len()],
}

impl Describe for Usual {
    fn about() -> About {
        let summary = "Latencies, rates and joules per token, where they are measured";
        About::new("usual", env!("CARGO_PKG_VERSION"), summary)
    }
}

impl Metrics for Usual {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        let label = &trial.request.label;
        let place = self.groups.iter().position(|group| group.label == *label);
        let place = place.unwrap_or_else(|| {
            self.groups.push(Group { label: label.clone(), values: Default::default() });
            self.groups.len() - 1
        });
        for (values, (_, read)) in self.groups[place].values.iter_mut().zip(METRICS) {
            values.extend(read(&trial));
        }
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, session: &Session) -> Result<Vec<Metric>> {
        let groups = std::mem::take(&mut self.groups).into_iter();
        let by_label = groups.flat_map(|Group { label, values }| {
            METRICS.into_iter().zip(values).filter_map(move |((name, _), values)| {
                Some(Quantity::mean_of(values)?.named(name).label("request", label.as_str()))
            })
        });
        Ok(by_label.chain(session.measurement.iter().flat_map(of_session)).collect())
    }
}

/// What is known of a continuous batch only as a whole.
fn of_session(measured: &Measurement) -> impl Iterator<Item = Metric> + use<> {
    let seconds = measured.wall_time as f64 * 1e-9;
    let rate = |count: u64, of: &str| {
        Quantity::exact(count as f64, of, Source::Counted).per(seconds, &format!("{of}/s"))
    };
    let quantities = [
        ("session_request_rate", rate(measured.activity.requests, "{request}")),
        ("session_output_rate", rate(measured.activity.output_tokens, "{token}")),
        ("session_joules_per_output_token", measured.energy_per_output_token.clone().ok()),
    ];
    quantities.into_iter().filter_map(|(name, quantity)| Some(quantity?.named(name)))
}
