//! Passes of a known length: a synthetic model whose `config.json` holds
//!
//! ```json
//! "llem_latency": { "prefill_ms": 50, "decode_ms": 7 }
//! ```
//!
//! runs its (small) passes and then waits until each has taken so long. Whoever measures it knows what must come out:
//! the preset `synthetic:fixed-latency` checks an experiment's arithmetic, and llem's own.

use crate::{Error, Result, cpu::parallel::check_stop, layers::Segment};
use llem_checkpoint::text_file;
use serde::Deserialize;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long passes take.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FixedLatency {
    /// A pass that runs any prompt, ms. A last piece of a single token counts as decode.
    prefill_ms: f64,
    /// Any other, ms.
    decode_ms: f64,
}

/// A sleeping thread may be woken this much too late; the rest of a wait is spent asking the clock.
const LATE: Duration = Duration::from_millis(2);

/// How long it sleeps before it asks whether to stop.
const ASK_AFTER: Duration = Duration::from_millis(20);

/// Longest latency, ms: a minute.
const LONGEST: f64 = 60_000.0;

impl FixedLatency {
    /// What a config says; none where it says nothing. `path` is for messages.
    ///
    /// # Errors
    /// It says something else than two times of at most a minute.
    pub fn of_config(text: &str, path: &Path) -> Result<Option<Self>> {
        let bad = |reason: String| Error::file(path, format!("llem_latency: {reason}"));
        let mut json: serde_json::Value = text_file::parse(text, path)?;
        let Some(latency) = json.get_mut("llem_latency").map(serde_json::Value::take) else {
            return Ok(None);
        };
        let latency: Self =
            serde_json::from_value(latency).map_err(|error| bad(error.to_string()))?;
        let is_sane = |ms: f64| (0.0..=LONGEST).contains(&ms);
        if !(is_sane(latency.prefill_ms) && is_sane(latency.decode_ms)) {
            return Err(bad(format!("times must be from 0 to {LONGEST} ms")));
        }
        Ok(Some(latency))
    }

    /// Waits until a pass that began at `began` has taken its time.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if it is asked to stop.
    pub fn wait(self, began: Instant, segments: &[Segment<'_>]) -> Result<()> {
        let is_prompt = |segment: &Segment<'_>| segment.past == 0 || segment.tokens.len() > 1;
        let ms = if segments.iter().any(is_prompt) { self.prefill_ms } else { self.decode_ms };
        let end = began + Duration::from_secs_f64(ms * 1e-3);
        loop {
            check_stop()?;
            let left = end.saturating_duration_since(Instant::now()).saturating_sub(LATE);
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(ASK_AFTER));
        }
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        Ok(())
    }
}
