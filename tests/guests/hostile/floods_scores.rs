//! Scores a single token without end.

use llem_sdk::{ScoreRequest, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-scores", "0.1.0", "Scores without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    loop {
        model.score(&[ScoreRequest { context: vec![1], continuation: vec![2] }])?;
    }
}
