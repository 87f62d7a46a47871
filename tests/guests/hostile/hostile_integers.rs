//! Gives the largest and the smallest whole numbers wherever the contract takes one. The host must answer each.

use llem_sdk::{
    engine::{LoadOptions, Parallelism, ScoreRequest},
    flops::{Logits, Shape, estimate},
    prelude::*,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hostile-integers", "0.1.0", "Gives the largest whole numbers.")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    let mut accepted = Vec::new();
    let mut expect = |what: &str, is_accepted: bool| {
        if is_accepted {
            accepted.push(what.to_owned());
        }
    };
    let largest = u32::MAX;
    for [tensor, pipeline, data] in [
        [0, 1, 1],
        [2, 1, 1],
        [1, 2, 1],
        [1, 1, 2],
        [largest, 1, 1],
        [1, 1, largest],
        [largest; 3],
        // 2^64 ranks, which a machine's word would call none.
        [1 << 22, 1 << 21, 1 << 21],
    ] {
        for microbatches in [None, Some(largest)] {
            let split = Parallelism { microbatches, ..Parallelism::of(tensor, pipeline, data) };
            let loaded = Model::load(&LoadOptions {
                source: None,
                dtype: None,
                device: None,
                parallelism: Some(split),
                seed: Some(u64::MAX),
            });
            expect(&format!("{tensor} x {pipeline} x {data} ranks"), loaded.is_ok());
        }
    }
    let most = largest;
    expect("a token", model.generate(&Request::tokens([most])).is_ok());
    expect("no tokens", model.generate(&Request::tokens([])).is_ok());
    expect("no prompts", model.generate(&Request::of([])).is_ok());
    expect("no output", model.generate(&Request::tokens([1]).max_new_tokens(0)).is_ok());
    let score = |context, continuation| model.score(&[ScoreRequest { context, continuation }]);
    expect("a scored token", score(vec![1], vec![most]).is_ok());
    expect("a context", score(vec![most], vec![1]).is_ok());
    expect("a prefix", model.score_rolling(&[vec![1]], most).is_ok());
    expect("a rolled token", model.score_rolling(&[vec![most]], 1).is_ok());
    let batch = model.open_batch(BatchOptions::sequences(1).max_tokens(16))?;
    expect("an arrival", batch.submit(&Request::tokens([1]), Some(u64::MAX)).is_ok());
    expect("a sequence", batch.cancel(u64::MAX).is_ok());
    expect("a sequence's energy", batch.sequence_energy(u64::MAX).is_ok());
    for (sequences, prompt, output) in
        [(most, 1, 1), (1, most, 1), (1, 1, most), (most, most, most)]
    {
        let shape = Shape {
            batch: sequences,
            prompt_tokens: prompt,
            new_tokens: output,
            logits: Logits::All,
            adapter: None,
        };
        if let Ok(estimated) = estimate(&model, &shape) {
            expect("operations", !estimated.needed.total.is_finite());
        }
    }
    // Nothing more than a host that is still there is asked of these.
    for (done, total) in [(u64::MAX, 0), (u64::MAX, 1), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        report::show_progress(done, total, "extremes");
    }
    match accepted.is_empty() {
        true => Ok(()),
        false => Err(Error(format!("accepted: {}", accepted.join(", ")))),
    }
}
