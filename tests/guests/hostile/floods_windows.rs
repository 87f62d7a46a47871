//! Opens and closes windows with empty labels without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-windows", "0.1.0", "Opens and closes windows without end.")
}

fn run() -> Result<()> {
    loop {
        Window::close(Window::open("")?)?;
    }
}
