//! Does work whose energy the test can compute: requests, batches, and models that are loaded and dropped.

use llem_sdk::{
    ScoreRequest,
    devices::Dtype,
    meter::{self, Baseline},
    prelude::*,
};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("energies", "0.1.0", "Does work whose energy is known to whoever watches.")
        .text(
            "case",
            "request",
            "request, batch, bursts, scores, held, outlives, models, baselines, utilisation",
        )
        .integer("new-tokens", 12, "tokens of each sequence")
}

fn rest(milliseconds: u64) {
    llem_sdk::sleep_for(Duration::from_millis(milliseconds));
}

fn prompt(length: u32) -> Prompt {
    Prompt::Tokens((0..length).map(|index| (index * 7 + length) % 250).collect())
}

fn request(lengths: &[u32]) -> Result<Request> {
    let tokens = parameter("new-tokens")?;
    let prompts = lengths.iter().map(|&length| prompt(length));
    Ok(Request::from_prompts(prompts).label("work").max_new_tokens(tokens).ignore_eos())
}

fn run() -> Result<()> {
    let case: String = parameter("case")?;
    match case.as_str() {
        "request" => {
            let model = Model::load_granted()?;
            rest(700);
            for lengths in [&[400, 30, 5][..], &[200]] {
                model.generate(&request(lengths)?)?;
                rest(100);
            }
            model.generate(&request(&[400])?.max_new_tokens(1))?;
        }
        "batch" => {
            let model = Model::load_granted()?;
            rest(700);
            batch(&model)?;
        }
        "bursts" => {
            let model = Model::load_granted()?;
            let batch = model.open_batch(BatchOptions::new(1).max_tokens(700))?;
            rest(700);
            let mut steps = steps();
            let window = Window::open("bursts")?;
            for _ in 0..12 {
                batch.submit(&request(&[150])?, None)?;
                while batch.status().running > 0 {
                    let done = batch.step()?;
                    steps.points.push((done.started as f64, done.finished as f64));
                }
                rest(170);
            }
            window.close()?;
            report::add_series(&steps)?;
        }
        "scores" => {
            let model = Model::load_granted()?;
            rest(700);
            let context: Vec<u32> = (0..600).map(|index| index % 250).collect();
            for _ in 0..4 {
                let continuation = vec![3];
                model.score(&[ScoreRequest { context: context.clone(), continuation }])?;
            }
        }
        "held" => {
            meter::counter_resolution();
            rest(700);
            let window = Window::open("a model comes and goes")?;
            Model::load_granted()?.generate(&request(&[200])?)?;
            let measured = window.close()?;
            report::add_metric(
                &Quantity::exact(measured.devices_used.into(), "1", Source::Counted)
                    .into_metric("devices"),
            )?;
            let window = Window::open("none is left")?;
            rest(300);
            window.close()?;
        }
        "outlives" => {
            let model = Model::load_granted()?;
            let batch = model.open_batch(BatchOptions::new(2).max_tokens(64))?;
            drop(model);
            rest(700);
            batch.submit(&request(&[20])?, None)?;
            let window = Window::open("a batch outlives its model")?;
            batch.drain()?;
            drop(batch);
            window.close()?;
        }
        "models" => {
            for dtype in [Dtype::F32, Dtype::Bf16] {
                let options = LoadOptions { dtype: Some(dtype), ..LoadOptions::default() };
                let model = Model::load(&options)?;
                model.generate(&request(&[9])?)?;
                let batch = model.open_batch(BatchOptions::new(1).max_tokens(64))?;
                batch.submit(&request(&[9])?, None)?;
                batch.drain()?;
                model.score(&[ScoreRequest { context: vec![1, 2], continuation: vec![3] }])?;
            }
        }
        "baselines" => {
            meter::counter_resolution();
            rest(700);
            Baseline::measure(Duration::from_millis(500))?;
            let model = Model::load_granted()?;
            for name in ["before", "after"] {
                let window = Window::open(name)?;
                model.generate(&request(&[60])?)?;
                window.close()?;
                Baseline::measure(Duration::from_millis(500))?;
            }
            drop(model);
            let window = Window::open("without")?;
            rest(300);
            window.close()?;
        }
        "utilisation" => {
            let model = Model::load_granted()?;
            let peak = Quantity::exact(1e12, "FLOP/s", Source::Datasheet);
            let report_mfu = |name: &str, mfu: Option<Quantity>| match mfu {
                Some(mfu) => report::add_metric(&mfu.into_metric(name)),
                None => Ok(()),
            };
            let alone = model.generate(&request(&[20, 20, 20])?)?.measurement;
            report_mfu("decode_alone", alone.decode_mfu(&peak, 1))?;
            report_mfu("prefill_alone", alone.prefill_mfu(&peak, 1))?;
            model.generate(&request(&[500])?)?;
            let measured = batch(&model)?;
            report_mfu("decode", measured.decode_mfu(&peak, 1))?;
            report_mfu("prefill", measured.prefill_mfu(&peak, 1))?;
            report_mfu("mixed", measured.mixed_mfu(&peak, 1))?;
        }
        other => return Err(format!("no case '{other}'").into()),
    }
    Ok(())
}

/// Lets three sequences generate while the prompt of a fourth runs in chunks of 64, and reports the time of each step.
fn batch(model: &Model) -> Result<Measurement> {
    let batch = model.open_batch(BatchOptions::new(4).max_tokens(700).prefill_chunk(64))?;
    let mut steps = steps();
    let mut energy_of_sequences = 0.0;
    let window = Window::open("steps")?;
    let mut running = 0;
    for step in 0.. {
        if step == 0 {
            running += batch.submit(&request(&[20, 20, 20])?, None)?.len();
        } else if step == 5 {
            running += batch.submit(&request(&[500])?, None)?.len();
        }
        if running == 0 {
            break;
        }
        let done = batch.step()?;
        running -= done.ended.len();
        for ended in &done.ended {
            energy_of_sequences +=
                batch.sequence_energy(ended.sequence)?.map_or(0.0, |energy| energy.value);
        }
        steps.points.push((done.started as f64, done.finished as f64));
    }
    // Nothing of the window's energy is lost between steps.
    rest(60);
    let measured = window.close()?;
    report::add_series(&steps)?;
    report::add_metric(
        &Quantity::exact(energy_of_sequences, "J", Source::Derived).into_metric("told"),
    )?;
    Ok(measured)
}

/// Creates an empty series for the beginnings and ends of steps.
fn steps() -> report::Series {
    let axis = |name: &str| (name.to_owned(), "ns".to_owned());
    report::Series { name: "steps".to_owned(), x: axis("from"), y: axis("to"), points: Vec::new() }
}
