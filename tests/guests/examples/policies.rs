//! Exports all three policies from one component.

use llem_sdk::prelude::*;

llem_sdk::warmup!(Both);
llem_sdk::workload!(Both);
llem_sdk::metrics!(Both);

#[derive(Default)]
struct Both {
    trials: u32,
}

impl Describe for Both {
    fn about() -> About {
        About::new("policies", "0.1.0", "All three policies in one component.")
    }
}

impl WarmupPolicy for Both {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        FixedCount { runs: 2, max_new_tokens: Some(1) }.next(history)
    }
}

impl WorkloadPolicy for Both {
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let index = last.map_or(0, |last| last.index + 1);
        Ok((index < 2)
            .then(|| Request::from_text("again").label("again").max_new_tokens(4).ignore_eos()))
    }
}

impl MetricsPolicy for Both {
    fn observe(&mut self, _: Trial) -> Result<()> {
        self.trials += 1;
        Ok(())
    }

    fn derive(&mut self, model: &ModelInfo, _: &Session) -> Result<Vec<Metric>> {
        let product = f64::from(model.layers * self.trials);
        Ok(vec![Quantity::exact(product, "1", Source::Derived).into_metric("layers_times_trials")])
    }
}
