//! Exports metrics that declare a parameter of another policy with another default.

use llem_sdk::prelude::*;

llem_sdk::metrics!(Contradicts);

#[derive(Default)]
struct Contradicts;

impl Describe for Contradicts {
    fn about() -> About {
        About::new("contradicts", "0.1.0", "Declares what others declare.").integer(
            "warmup-runs",
            7,
            "not how many",
        )
    }
}

impl MetricsPolicy for Contradicts {
    fn observe(&mut self, _: Trial) -> Result<()> {
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, _: &Session) -> Result<Vec<Metric>> {
        Ok(Vec::new())
    }
}
