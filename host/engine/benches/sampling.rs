//! What choosing tokens costs: the time of a decode step when tokens are drawn, over its time when the most likely is
//! taken, and the time of late steps with a stop string over their time without.
//!
//! usage: `tests/bench/sampling [STEPS]`, default 200 steps of each variant
//!
//! One process runs a batch for each variant, one step of each in turn and in changing order, so that whatever else
//! the machine does falls on all alike. Medians are compared; each ratio is printed beside the bar that it must stay
//! under, if it has one.

use llem_engine::{
    Batch, DType, Error, LoadOptions, Model, Prompt, Request, Sampling, batch::BatchOptions,
};
use std::{env, time::Instant};

const PROMPT: usize = 16;
/// Tokens after which a text that is decoded anew at each token would show.
const LONG: usize = 2000;
/// Steps at the end of the long runs that are compared.
const LAST: usize = 100;

fn main() -> Result<(), Error> {
    // Cargo adds `--bench`.
    let steps = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200);
    let drawn = |top_k, top_p, repetition_penalty| {
        let options = Sampling { temperature: 0.8, top_k, top_p, ..Sampling::default() };
        Sampling { repetition_penalty, ..options }
    };
    let variants = [
        ("greedy", Sampling::default(), None),
        ("top-k 50", drawn(Some(50), None, 1.0), Some(1.15)),
        ("temperature alone", drawn(None, None, 1.0), None),
        ("top-p 0.95", drawn(None, Some(0.95), 1.0), None),
        ("top-k 50, top-p 0.95", drawn(Some(50), Some(0.95), 1.0), None),
        ("repetition penalty", drawn(Some(50), None, 1.1), None),
    ];
    let mut model = load("synthetic:smollm2-135m")?;
    for sequences in [1, 8] {
        let requests: Vec<Request> = variants
            .iter()
            .map(|(_, sampling, _)| request(sequences, steps + 1, sampling, &[]))
            .collect();
        let times = in_turn(&mut model, &requests)?;
        println!("batch {sequences}, step of {:.3} ms when greedy", 1e3 * median(&times[0]));
        for ((name, _, bar), times_of) in variants.iter().zip(&times).skip(1) {
            say(name, median(times_of) / median(&times[0]), *bar);
        }
    }
    // Every token of the small model has a text.
    for source in ["synthetic:tiny", "synthetic:smollm2-135m"] {
        let mut model = load(source)?;
        let greedy = Sampling::default();
        let requests =
            [&[][..], &["a text that never comes"]].map(|stop| request(1, LONG, &greedy, stop));
        let times = in_turn(&mut model, &requests)?;
        let last = |times: &[f64]| median(&times[times.len() - LAST..]);
        let (without, with) = (last(&times[0]), last(&times[1]));
        println!("{source}, step of {:.3} ms after {LONG} tokens", 1e3 * without);
        say("stop string", with / without, Some(1.05));
    }
    Ok(())
}

fn load(source: &str) -> Result<Model, Error> {
    let mut options = LoadOptions::new(source.parse()?);
    options.dtype = Some(DType::Bf16);
    Model::load(&options)
}

fn request(sequences: usize, tokens: usize, sampling: &Sampling, stop: &[&str]) -> Request {
    Request {
        prompts: (0..sequences)
            .map(|index| Prompt::Tokens(vec![index as u32 + 1; PROMPT]))
            .collect(),
        max_new_tokens: tokens,
        ignore_eos: true,
        stop: stop.iter().map(|&stop| stop.to_owned()).collect(),
        sampling: sampling.clone(),
        ..Request::default()
    }
}

/// Seconds of each request's decode steps, all requests going on together.
fn in_turn(model: &mut Model, requests: &[Request]) -> Result<Vec<Vec<f64>>, Error> {
    let mut batches = Vec::new();
    for request in requests {
        let max_tokens = Some(PROMPT + request.max_new_tokens);
        let options =
            BatchOptions { max_sequences: request.prompts.len(), max_tokens, ..Default::default() };
        let mut batch = Batch::open(model, options)?;
        batch.submit(model, request, Instant::now(), None)?;
        batch.step(model, &|| false)?;
        batches.push(batch);
    }
    let mut times = vec![Vec::new(); batches.len()];
    let mut round = 0;
    while batches.iter().all(|batch| !batch.is_empty()) {
        for place in 0..batches.len() {
            let index = (place + round) % batches.len();
            let step = batches[index].step(model, &|| false)?;
            times[index].push((step.finished - step.started).as_secs_f64());
        }
        round += 1;
    }
    Ok(times)
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn say(what: &str, ratio: f64, bar: Option<f64>) {
    let verdict = match bar {
        Some(bar) if ratio <= bar => format!("under {bar}"),
        Some(bar) => format!("OVER {bar}"),
        None => String::new(),
    };
    println!("  {what:<24}{ratio:>8.3} {verdict}");
}
