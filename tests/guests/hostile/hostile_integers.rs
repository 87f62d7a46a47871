//! Passes the largest and the smallest whole number for every one in the contract. The host must answer each call.

use llem_sdk::{
    Parallelism, ScoreRequest,
    flops::{Shape, estimate},
    prelude::*,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hostile-integers", "0.1.0", "Gives the largest whole numbers.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
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
        // The product is 2^64 ranks, which overflows to 0 in 64 bits.
        [1 << 22, 1 << 21, 1 << 21],
    ] {
        for microbatches in [None, Some(largest)] {
            let loaded = Model::load(&LoadOptions {
                parallelism: Some(Parallelism::new(tensor, pipeline, data)),
                microbatches,
                seed: Some(u64::MAX),
                ..LoadOptions::default()
            });
            expect(&format!("{tensor} x {pipeline} x {data} ranks"), loaded.is_ok());
        }
    }
    let most = largest;
    expect("a token", model.generate(&Request::from_tokens([most])).is_ok());
    expect("no tokens", model.generate(&Request::from_tokens([])).is_ok());
    expect("no prompts", model.generate(&Request::from_prompts([])).is_ok());
    let threads = LoadOptions { threads: Some(largest), ..LoadOptions::default() };
    expect("threads", Model::load(&threads).is_ok());
    let fewer = Request { min_new_tokens: most, ..Request::from_tokens([1]) };
    expect("more tokens than the most", model.generate(&fewer).is_ok());
    let stop = Request { stop_tokens: vec![most], ..Request::from_tokens([1]) };
    expect("a stop token", model.generate(&stop).is_ok());
    let given =
        Request { given_tokens: vec![vec![most]], ..Request::from_tokens([1]).max_new_tokens(1) };
    expect("a given token", model.generate(&given).is_ok());
    let likely = Request::from_tokens([1]).log_probabilities(most);
    expect("log-probabilities", model.generate(&likely).is_ok());
    let bias = Sampling { logit_bias: vec![(most, 1.0)], ..Sampling::greedy() };
    expect("a biased token", model.generate(&Request::from_tokens([1]).sampling(bias)).is_ok());
    let random = Random::new("extremes");
    expect("random numbers", random.many_u64(most).is_ok() || random.many_f64(most).is_ok());
    expect("random tokens", random.tokens(most, 1).is_ok() || random.tokens(1, 0).is_ok());
    let score = |context, continuation| model.score(&[ScoreRequest { context, continuation }]);
    expect("a scored token", score(vec![1], vec![most]).is_ok());
    expect("a context", score(vec![most], vec![1]).is_ok());
    expect("a prefix", model.score_rolling(&[vec![1]], most).is_ok());
    expect("a rolled token", model.score_rolling(&[vec![most]], 1).is_ok());
    let batch = model.open_batch(BatchOptions::new(1).max_tokens(16))?;
    expect("a held sequence", batch.release(u64::MAX).is_ok());
    let after = batch.submit_after(u64::MAX, true, &Request::from_tokens([1]), None);
    expect("a sequence to follow", after.is_ok());
    expect("logits", batch.logits(u64::MAX).is_ok());
    expect("a choice", batch.choose(u64::MAX, most).is_ok());
    expect("a sequence", batch.cancel(u64::MAX).is_ok());
    expect("a sequence's energy", batch.sequence_energy(u64::MAX).is_ok());
    for (sequences, prompt, output) in
        [(most, 1, 1), (1, most, 1), (1, 1, most), (most, most, most)]
    {
        let shape = Shape { all_logits: true, ..Shape::new(sequences, prompt, output) };
        if let Ok(estimated) = estimate(&model, &shape) {
            expect("operations", !estimated.needed.total().is_finite());
        }
    }
    // The results do not matter. The host only has to survive these calls.
    for (done, total) in [(u64::MAX, 0), (u64::MAX, 1), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        report::show_progress(done, total, "extremes");
    }
    match accepted.is_empty() {
        true => Ok(()),
        false => Err(Error::from(format!("accepted: {}", accepted.join(", ")))),
    }
}
