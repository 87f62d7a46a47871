//! Warns, logs, shows progress, and generates for a second and a half.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("speaks", "0.1.0", "Says what it does.")
}

fn run() -> Result<()> {
    report::warn("a warning \u{1b}[35m");
    report::log(Level::Info, "a log line \u{1b}[35m");
    report::log(Level::Error, "an error");
    let model = Model::load_granted()?;
    let _phase = Phase::begin("measure")?;
    let began = llem_sdk::meter::now();
    let mut done = 0;
    while llem_sdk::meter::now() - began < 1_500_000_000 {
        report::show_progress(done, 0, "requests \u{1b}[35m");
        let request = Request::from_tokens([1, 2, 3]).label("spoken").max_new_tokens(200);
        model.generate(&request.ignore_eos())?;
        done += 1;
    }
    Ok(())
}
