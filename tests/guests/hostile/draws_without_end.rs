//! Draws random numbers without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("draws-without-end", "0.1.0", "Draws random numbers without end.")
}

fn run() -> Result<()> {
    let random = Random::new("numbers");
    loop {
        std::hint::black_box(random.next_u64());
    }
}
