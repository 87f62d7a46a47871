//! Uses a handle that it never had, that it has dropped, or that belongs to another type.

use llem_sdk::{
    bindings::{meter, models},
    prelude::*,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("forges-handles", "0.1.0", "Uses handles that are not its own.").text(
        "handle",
        "forged",
        "forged, zero, largest, dropped or window",
    )
}

fn run() -> Result<()> {
    let handle: String = parameter("handle")?;
    let model = models::Model::load(&models::LoadOptions::new())?;
    let window = meter::Window::open("real")?;
    let handle = match handle.as_str() {
        "zero" => 0,
        "largest" => u32::MAX,
        "dropped" => {
            let handle = model.handle();
            drop(model);
            handle
        }
        "window" => window.handle(),
        _ => 12_345,
    };
    // SAFETY: the number is not a handle of a model. The host must detect that.
    let forged = unsafe { models::Model::from_handle(handle) };
    Err(Error::from(format!("a forged handle is of {}", forged.source())))
}
