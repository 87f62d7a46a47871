//! All three policies in one component.

use llem_sdk::prelude::*;

llem_sdk::warmup!(Both);
llem_sdk::workload!(Both);
llem_sdk::metrics!(Both);

#[derive(Default)]
struct Both;

impl Describe for Both {
    fn about() -> About {
        About::new("policies", "0.1.0", "All three policies in one component.")
    }
}

impl WarmupPolicy for Both {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        FixedCount { runs: 2, max_new_tokens: Some(1) }.next(history)
    }
}

impl Workload for Both {
    fn next(&mut self, history: &[Trial]) -> Result<Option<Request>> {
        Ok((history.len() < 2)
            .then(|| Request::text("again").label("again").max_new_tokens(4).ignore_eos()))
    }
}

impl Metrics for Both {
    fn derive(&mut self, model: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
        let layers = f64::from(model.layers);
        let trials = trials.len() as f64;
        Ok(vec![
            Quantity::exact(layers * trials, "1", Source::Derived).named("layers_times_trials"),
        ])
    }
}
