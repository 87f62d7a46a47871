//! Runs two sequences of a continuous batch for some steps, and then ends in the way that its parameter says.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("open-batch", "0.1.0", "Ends while sequences of its batch still run.")
        .text("end", "return", "return, raise, panic, drop, spin, step, or drain")
        .integer("steps", 30, "steps before that")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let batch = model.open_batch(BatchOptions::new(2).max_tokens(8000))?;
    let request = Request::from_text("On and on.").label("open").max_new_tokens(7000).ignore_eos();
    batch.submit(&request, None)?;
    batch.submit(&request, None)?;
    for _ in 0..parameter::<u32>("steps")? {
        batch.step()?;
    }
    report::log(Level::Info, "the steps are done");
    match parameter::<String>("end")?.as_str() {
        "return" => Ok(()),
        "raise" => Err(Error::from("raised by the script".to_owned())),
        "panic" => panic!("the script panics"),
        "drop" => {
            drop(batch);
            Ok(())
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "step" => loop {
            batch.step()?;
        },
        "drain" => Ok(batch.drain().map(drop)?),
        other => Err(Error::from(format!("no way to end is called {other}"))),
    }
}
