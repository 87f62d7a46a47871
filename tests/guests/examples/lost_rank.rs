//! Opens a window, generates, and closes it when told time has passed, whatever has become of its model's ranks.

use llem_sdk::{prelude::*, rest::rest};
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
    let model = Model::granted()?;
    let _phase = Phase::begin("measure")?;
    let window = Window::open("whole")?;
    model.generate(&Request::tokens([1, 2, 3]).max_new_tokens(4).ignore_eos())?;
    rest(Duration::from_secs(parameter("rest")?));
    let closed = Window::close(window).map(|measurement| measurement.label);
    report::log(Level::Info, &format!("closed: {closed:?}"));
    Ok(())
}
