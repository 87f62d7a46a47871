//! Metrics: the sum of all generated tokens' ids, and the time of decode.

wit_bindgen::generate!({ world: "metrics", path: "../../../../wit", generate_all });

use exports::llem::experiment::metrics_policy::Guest;
use llem::experiment::{
    description::About,
    models::Model,
    report::Metric,
    trials::{Session, Trial},
    types::{Error, Quantity},
};
use std::sync::atomic::{AtomicU64, Ordering};

static TOTAL: AtomicU64 = AtomicU64::new(0);
static DECODE: AtomicU64 = AtomicU64::new(0);

struct Metrics;

export!(Metrics);

impl Guest for Metrics {
    fn describe() -> About {
        About::new("sums", "0.1.0", "Sums over all trials.")
    }

    fn observe(trial: &Trial) -> Result<(), Error> {
        for completion in trial.completions() {
            let sum = completion.tokens().into_iter().map(u64::from).sum();
            TOTAL.fetch_add(sum, Ordering::Relaxed);
        }
        let time = trial.generation().map_or(0, |generation| generation.decode_time());
        DECODE.fetch_add(time, Ordering::Relaxed);
        Ok(())
    }

    fn derive(model: &Model, _: &Session) -> Result<Vec<Metric>, Error> {
        let metric = |name: &str, value, unit: &str, source: &str| Metric {
            name: name.to_owned(),
            quantity: Quantity { value, uncertainty: 0.0, unit: unit.to_owned(), source: source.to_owned() },
            labels: vec![("model".to_owned(), model.source())],
        };
        Ok(vec![
            metric("token_sum", TOTAL.load(Ordering::Relaxed) as f64, "{token}", "counted"),
            metric("decode_time", DECODE.load(Ordering::Relaxed) as f64 / 1e9, "s", "derived"),
        ])
    }
}
