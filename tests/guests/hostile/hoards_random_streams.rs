//! Opens random streams without end, each with a name of a kilobyte.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-random-streams", "0.1.0", "Makes random streams without end.")
}

fn run() -> Result<()> {
    let name = "r".repeat(1000);
    let mut streams = Vec::new();
    loop {
        streams.push(Random::new(&name));
    }
}
