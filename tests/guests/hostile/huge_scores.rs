//! Scores many continuations in one call. A parameter sets their number.

use llem_sdk::{ScoreRequest, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-scores", "0.1.0", "Scores many continuations.").integer(
        "continuations",
        1_000_000,
        "how many",
    )
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let one = || ScoreRequest { context: vec![1], continuation: vec![2] };
    let requests: Vec<_> = (0..parameter("continuations")?).map(|_: usize| one()).collect();
    loop {
        model.score(&requests)?;
    }
}
