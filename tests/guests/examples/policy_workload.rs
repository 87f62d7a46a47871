//! Exports a workload policy only.

use llem_sdk::prelude::*;

llem_sdk::workload!(Growing);

#[derive(Default)]
struct Growing;

impl Describe for Growing {
    fn about() -> About {
        About::new("growing", "0.1.0", "Prompts of one to four tokens.")
    }
}

impl WorkloadPolicy for Growing {
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let length = last.map_or(1, |last| last.index + 2);
        let request = || Request::from_tokens(Vec::from_iter(0..length)).label("growing");
        Ok((length <= 4).then(|| request().max_new_tokens(4).ignore_eos()))
    }
}
