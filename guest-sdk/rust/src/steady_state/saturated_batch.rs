//! Measures a continuous batch while it is full, which is how ML.ENERGY defines steady state (arXiv 2505.06371, section
//! 3.2). The time in which the batch fills or drains is not included.
//!
//! ```text
//! running  ┌───── max-sequences ─────┐
//!       ╱  │                         │╲
//!     ╱    │<------- window -------->│  ╲      each ended sequence is replaced by a new one
//! ```

use crate::{
    Result,
    batch::{Batch, BatchOptions},
    measurement::Measurement,
    model::Model,
    request::Request,
    wait::nanoseconds,
    window::Window,
};
use std::time::Duration;

/// Options for measuring a full continuous batch.
#[derive(Clone, Debug)]
pub struct SaturatedBatch {
    /// The options of the batch. It is full when `max_sequences` sequences run.
    pub options: BatchOptions,
    /// How long the window is open.
    pub length: Duration,
    /// The number of steps with a full batch before the window opens, so that sequences then end at different times.
    pub settle_steps: u32,
}

/// The measurement of a full batch.
#[derive(Clone, Debug)]
pub struct SteadyState {
    /// The time, energy and tokens of the window.
    pub measurement: Measurement,
    /// The number of steps in the window.
    pub steps: u64,
    /// Whether there were no more requests before the window reached its length.
    pub ran_out: bool,
}

impl SaturatedBatch {
    /// Runs the requests that `next` returns, with one prompt each, until the window reaches its length or there are no
    /// more. Fails if there are too few requests to fill the batch.
    pub fn measure(
        &self,
        model: &Model,
        label: &str,
        mut next: impl FnMut() -> Result<Option<Request>>,
    ) -> Result<SteadyState> {
        let batch = model.open_batch(self.options)?;
        let full = self.options.max_sequences;
        let mut fill = |batch: &Batch| -> Result<bool> {
            let status = batch.status();
            for _ in status.running + status.waiting..full {
                match next()? {
                    Some(request) => batch.submit(&request, None)?,
                    None => return Ok(false),
                };
            }
            Ok(true)
        };
        for _ in 0..=self.settle_steps {
            if !fill(&batch)? {
                return Err("the requests run out before the batch has been full".into());
            }
            batch.step()?;
        }
        let window = Window::open(label)?;
        let (mut elapsed, mut steps, mut is_full) = (0, 0, true);
        while elapsed < nanoseconds(self.length) {
            is_full = fill(&batch)?;
            if !is_full {
                break;
            }
            let step = batch.step()?;
            elapsed += step.finished - step.started;
            steps += 1;
        }
        let measurement = window.close()?;
        Ok(SteadyState { measurement, steps, ran_out: !is_full })
    }
}
