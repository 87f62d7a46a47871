//! Opens windows without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-resources", "0.1.0", "Opens windows without end.")
}

fn run() -> Result<()> {
    let mut windows = Vec::new();
    loop {
        windows.push(Window::open("again")?);
    }
}
