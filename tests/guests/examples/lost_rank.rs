//! Opens a window, generates, and closes the window after the time in the parameter `rest`, even if a rank of the model
//! has been lost by then.

use llem_sdk::{prelude::*, sleep_for};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("lost-rank", "0.1.0", "Closes a window late.").integer(
        "rest",
        3,
        "seconds before it closes",
    )
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let _phase = Phase::begin("measure")?;
    let window = Window::open("whole")?;
    model.generate(&Request::from_tokens([1, 2, 3]).max_new_tokens(4).ignore_eos())?;
    sleep_for(Duration::from_secs(parameter("rest")?));
    let closed = Window::close(window).map(|measurement| measurement.label);
    report::log(Level::Info, &format!("closed: {closed:?}"));
    Ok(())
}
