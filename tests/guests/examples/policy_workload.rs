//! A workload alone.

use llem_sdk::prelude::*;

llem_sdk::workload!(Growing);

#[derive(Default)]
struct Growing;

impl Describe for Growing {
    fn about() -> About {
        About::new("growing", "0.1.0", "Prompts of one to four tokens.")
    }
}

impl Workload for Growing {
    fn next(&mut self, history: &[Trial]) -> Result<Option<Request>> {
        let tokens: Vec<u32> = (0..=history.len() as u32).collect();
        Ok((tokens.len() <= 4)
            .then(|| Request::tokens(tokens).label("growing").max_new_tokens(4).ignore_eos()))
    }
}
