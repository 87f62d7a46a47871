//! Measures idle power for 30 years, then for as long as is allowed, without end.

use llem_sdk::{meter::Baseline, prelude::*};
use std::time::Duration;

llem_sdk::experiment!(about, run);

const YEARS: Duration = Duration::from_secs(1_000_000_000);
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn about() -> About {
    About::new("measures-for-ever", "0.1.0", "Measures idle power for ever.")
}

fn run() -> Result<()> {
    for length in [Duration::ZERO, YEARS, Duration::MAX] {
        if Baseline::measure(length).is_ok()
            || Baseline::recall_or_measure(length, Duration::MAX).is_ok()
        {
            return Err(Error::from(format!("measured for {length:?}")));
        }
    }
    loop {
        Baseline::measure(TEN_MINUTES)?;
    }
}
