//! Measures what choosing tokens costs.
//!
//! Two ratios are printed: the time of a decode step that draws its token over the time of a greedy one, and the time of
//! late steps with a stop string over their time without.
//!
//! usage: `tests/bench/sampling [STEPS]`, default 200 steps of each variant
//!
//! One process runs a batch for each variant. It runs one step of each batch in turn and in changing order, so that other
//! load on the machine affects all variants alike. Medians are compared. Each ratio is printed beside its limit, if it
//! has one.

use llem_engine::{
    Batch, BatchOptions, DType, Error, LoadOptions, Model, Prompt, Request, Sampling,
};
use std::{env, time::Instant};

const PROMPT: usize = 16;
/// The number of tokens after which it would show if each step decoded the whole text again.
const LONG: usize = 2000;
/// The number of steps at the end of a long run that are compared.
const LAST: usize = 100;

fn main() -> Result<(), Error> {
    // Cargo adds `--bench`.
    let steps = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200);
    let draw = |top_k, top_p, repetition_penalty| {
        let options = Sampling { temperature: 0.8, top_k, top_p, ..Sampling::default() };
        Sampling { repetition_penalty, ..options }
    };
    let variants = [
        ("greedy", Sampling::default(), None),
        ("top-k 50", draw(Some(50), None, 1.0), Some(1.15)),
        ("temperature alone", draw(None, None, 1.0), None),
        ("top-p 0.95", draw(None, Some(0.95), 1.0), None),
        ("top-k 50, top-p 0.95", draw(Some(50), Some(0.95), 1.0), None),
        ("repetition penalty", draw(Some(50), None, 1.1), None),
    ];
    let mut model = load("synthetic:smollm2-135m")?;
    for sequences in [1, 8] {
        let requests: Vec<Request> = variants
            .iter()
            .map(|(_, sampling, _)| request(sequences, steps + 1, sampling, &[]))
            .collect();
        let times = time_steps(&mut model, &requests)?;
        println!("batch {sequences}, step of {:.3} ms when greedy", 1e3 * median(&times[0]));
        for ((name, _, limit), times_of) in variants.iter().zip(&times).skip(1) {
            print_ratio(name, median(times_of) / median(&times[0]), *limit);
        }
    }
    // Every token of the small model has a text.
    for source in ["synthetic:tiny", "synthetic:smollm2-135m"] {
        let mut model = load(source)?;
        let greedy = Sampling::default();
        let requests =
            [&[][..], &["a text that never comes"]].map(|stop| request(1, LONG, &greedy, stop));
        let times = time_steps(&mut model, &requests)?;
        let last = |times: &[f64]| median(&times[times.len() - LAST..]);
        let (without, with) = (last(&times[0]), last(&times[1]));
        println!("{source}, step of {:.3} ms after {LONG} tokens", 1e3 * without);
        print_ratio("stop string", with / without, Some(1.05));
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

/// Runs all requests side by side, and returns the durations of each request's decode steps, in seconds.
fn time_steps(model: &mut Model, requests: &[Request]) -> Result<Vec<Vec<f64>>, Error> {
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
        for offset in 0..batches.len() {
            let index = (offset + round) % batches.len();
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

fn print_ratio(name: &str, ratio: f64, limit: Option<f64>) {
    let verdict = match limit {
        Some(limit) if ratio <= limit => format!("under {limit}"),
        Some(limit) => format!("OVER {limit}"),
        None => String::new(),
    };
    println!("  {name:<24}{ratio:>8.3} {verdict}");
}
