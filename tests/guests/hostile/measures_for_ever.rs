//! Measures idle power for 30 years, then for as long as is allowed, without end.

use llem_sdk::{
    meter::{idle_baseline, measure_baseline},
    prelude::*,
};

llem_sdk::experiment!(about, run);

const YEARS: u64 = 1_000_000_000_000_000_000;
const TEN_MINUTES: u64 = 600_000_000_000;

fn about() -> About {
    About::new("measures-for-ever", "0.1.0", "Measures idle power for ever.")
}

fn run() -> Result<()> {
    for length in [0, YEARS, u64::MAX] {
        if measure_baseline(length).is_ok() || idle_baseline(length, u64::MAX).is_ok() {
            return Err(Error(format!("measured for {length} ns")));
        }
    }
    loop {
        measure_baseline(TEN_MINUTES)?;
    }
}
