//! Forward passes of a fixed length. A synthetic model whose `config.json` contains
//!
//! ```json
//! "llem_latency": { "prefill_ms": 50, "decode_ms": 7 }
//! ```
//!
//! runs its (small) passes and then waits until each has taken that long. A measurement of such a model has a known
//! result, so the preset `synthetic:fixed-latency` checks the arithmetic of an experiment and of llem itself.

use crate::{Error, Result, cpu::threads::check_stop, layers::PassSegment};
use llem_checkpoint::text_file;
use serde::Deserialize;
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long the passes of a model take.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedLatency {
    /// Milliseconds of a pass that runs a part of a prompt. A last part of one token counts as decode.
    prefill_ms: f64,
    /// Milliseconds of any other pass.
    decode_ms: f64,
}

/// A sleeping thread may be woken this much too late. The rest of a wait is spent polling the clock.
const WAKE_UP_DELAY: Duration = Duration::from_millis(2);

/// How long a waiting pass sleeps before it checks again whether to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The longest latency that a config may set, in ms: one minute.
const LONGEST: f64 = 60_000.0;

impl FixedLatency {
    /// Reads `llem_latency` from a config. Returns `None` if the config does not set it. `path` is used in messages.
    ///
    /// # Errors
    /// `llem_latency` is not two times of at most a minute.
    pub(crate) fn from_config(text: &str, path: &Path) -> Result<Option<Self>> {
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
    /// [`Error::Interrupted`] if the work is asked to stop.
    pub(crate) fn wait(self, began: Instant, segments: &[PassSegment<'_>]) -> Result<()> {
        let is_prompt = |segment: &PassSegment<'_>| segment.past == 0 || segment.tokens.len() > 1;
        let ms = if segments.iter().any(is_prompt) { self.prefill_ms } else { self.decode_ms };
        let end = began + Duration::from_secs_f64(ms * 1e-3);
        loop {
            check_stop()?;
            let left = end.saturating_duration_since(Instant::now()).saturating_sub(WAKE_UP_DELAY);
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(STOP_CHECK_INTERVAL));
        }
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        Ok(())
    }
}
