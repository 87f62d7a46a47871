//! Metrics alone.

use llem_sdk::prelude::*;

llem_sdk::metrics!(Count);

#[derive(Default)]
struct Count;

impl Describe for Count {
    fn about() -> About {
        About::new("count", "0.1.0", "Counts trials and tokens.")
    }
}

impl Metrics for Count {
    fn derive(&mut self, _: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
        let tokens: u64 = trials.iter().map(Trial::output_tokens).sum();
        Ok(vec![
            Quantity::exact(trials.len() as f64, "{request}", Source::Counted).named("trials"),
            Quantity::exact(tokens as f64, "{token}", Source::Counted).named("tokens"),
        ])
    }
}
