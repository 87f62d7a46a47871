//! Calls itself until the stack is full.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("recurses", "0.1.0", "Calls itself without end.")
}

fn run() -> Result<()> {
    Err(Error::from(deeper(1).to_string()))
}

#[allow(unconditional_recursion, reason = "it is what this guest is for")]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + 1
}
