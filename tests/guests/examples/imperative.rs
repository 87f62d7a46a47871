//! Makes every kind of call itself, without the SDK's `Experiment`.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("imperative", "0.1.0", "Makes every kind of call by itself.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let info = model.info();
    let tokens = model.tokenize("hello")?;
    let phase = Phase::begin("outer")?;
    let window = Window::open("both")?;
    let generation = model.generate(
        &Request::from_tokens(tokens.clone()).label("first").max_new_tokens(8).ignore_eos(),
    )?;
    let inner = Phase::begin("inner")?;
    model.generate(
        &Request::from_tokens(tokens.clone()).label("second").max_new_tokens(8).ignore_eos(),
    )?;
    Phase::end(inner)?;
    let measurement = window.close()?;
    Phase::end(phase)?;
    if measurement.activity.output_tokens != 16 {
        return Err(format!("the window saw {} tokens", measurement.activity.output_tokens).into());
    }
    let scores = model.score(&[llem_sdk::ScoreRequest {
        context: tokens.clone(),
        continuation: generation.completions[0].tokens.clone(),
    }])?;
    if !scores.scores[0].is_greedy {
        return Err("greedy tokens do not score as greedy".into());
    }
    let shape = llem_sdk::flops::Shape::new(1, tokens.len() as u32, 8);
    let count = llem_sdk::flops::estimate(&model, &shape)?;
    report::add_metric(
        &Quantity::exact(count.needed.total(), "FLOP", Source::Analytic).into_metric("flops"),
    )?;
    let random = Random::new("test");
    let draws = [random.next_u64() as f64 / 2f64.powi(64), random.next_f64()];
    report::add_series(&report::Series {
        name: "draws".to_owned(),
        x: ("index".to_owned(), String::new()),
        y: ("draw".to_owned(), String::new()),
        points: vec![(0.0, draws[0]), (1.0, draws[1])],
    })?;
    report::add_table(&report::Table {
        name: "shape".to_owned(),
        columns: vec!["layers".to_owned(), "hidden".to_owned()],
        rows: vec![vec![info.layers.to_string(), info.hidden_size.to_string()]],
    })?;
    report::write_artifact(
        "text.txt",
        generation.completions[0].text.clone().unwrap_or_default().as_bytes(),
    )?;
    report::warn("this run is a test");
    for device in llem_sdk::devices::list_devices() {
        llem_sdk::devices::read_state(&device.id)?;
    }
    if model.attach_adapter("none/at-all").is_ok() {
        return Err("an adapter that was not granted must be refused".into());
    }
    Ok(())
}
