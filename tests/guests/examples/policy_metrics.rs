//! Exports a metrics policy only.

use llem_sdk::prelude::*;

llem_sdk::metrics!(Count);

#[derive(Default)]
struct Count {
    trials: u64,
    tokens: u64,
}

impl Describe for Count {
    fn about() -> About {
        About::new("count", "0.1.0", "Counts trials and tokens.")
    }
}

impl MetricsPolicy for Count {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        self.trials += 1;
        self.tokens += trial.output_tokens();
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, _: &Session) -> Result<Vec<Metric>> {
        let counted = |value, unit, name| {
            Quantity::exact(value as f64, unit, Source::Counted).into_metric(name)
        };
        Ok(vec![
            counted(self.trials, "{request}", "trials"),
            counted(self.tokens, "{token}", "tokens"),
        ])
    }
}
