//! Opens a granted file without end, to use up the file descriptors of the host.

use llem_sdk::{inputs::Dataset, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-datasets", "0.1.0", "Opens a file without end.")
        .required_dataset("rows", "what it opens")
}

fn run() -> Result<()> {
    let mut datasets = Vec::new();
    loop {
        datasets.push(Dataset::open("rows")?);
    }
}
