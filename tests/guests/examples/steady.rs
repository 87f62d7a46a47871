//! Measures in steady state: a batch while it is full, and trials that begin at the same temperature.

use llem_sdk::prelude::*;
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("steady", "0.1.0", "Measures in steady state.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let request =
        |index: u32| Request::from_tokens(vec![1 + index % 50; 8]).max_new_tokens(6 + index % 5);
    let options = BatchOptions::new(4).max_tokens(32);
    let saturated = SaturatedBatch { options, length: Duration::from_millis(200), settle_steps: 5 };
    let mut index = 0;
    let steady = saturated.measure(&model, "full", || {
        index += 1;
        Ok(Some(request(index).ignore_eos()))
    })?;
    let tokens = steady.measurement.activity.output_tokens;
    if steady.ran_out || tokens < steady.steps * 3 {
        return Err(
            format!("{tokens} tokens in {} steps of a full batch of 4", steady.steps).into()
        );
    }
    let few = SaturatedBatch { length: Duration::from_secs(60), ..saturated };
    let mut left = 12;
    let ended = few.measure(&model, "ran out", || {
        left -= 1;
        Ok((left >= 0).then(|| request(1).ignore_eos()))
    })?;
    if !ended.ran_out {
        return Err("the requests ran out, but that is not said".into());
    }
    let protocol = ThermalProtocol {
        cooldown: Duration::from_millis(50),
        warmup_runs: 1,
        window: Duration::from_millis(100),
        trials: 3,
        threshold: 10.0,
    };
    let work = || model.generate(&request(0)).map(drop);
    let trials = protocol.run(work)?;
    if trials.iter().any(|trial| trial.runs == 0 || trial.seconds < 0.1) {
        return Err("a trial was shorter than asked".into());
    }
    let lengths = [Duration::from_millis(50), Duration::from_millis(100)];
    let sweep = protocol.sweep(&lengths, &lengths, work)?;
    report::add_metric(
        &Quantity::exact(sweep.protocol.window.as_secs_f64(), "s", Source::Derived)
            .into_metric("window"),
    )?;
    for metric in llem_sdk::joules_per_run(&trials)? {
        report::add_metric(&metric)?;
    }
    Ok(())
}
