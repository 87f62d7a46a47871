//! A continuous batch while it is full, which is how ML.ENERGY defines steady state (arXiv 2505.06371, section 3.2): what
//! comes before, when it fills, and after, when it drains, is left out.
//!
//! ```text
//! running  ┌───── max-sequences ─────┐
//!       ╱  │                         │╲
//!     ╱    │<------- window -------->│  ╲      each sequence that ends is followed by another
//! ```

use crate::{
    Result,
    batch::{Batch, BatchOptions},
    measurement::Measurement,
    model::Model,
    request::Request,
    rest::nanoseconds,
    window::Window,
};
use std::time::Duration;

/// How to measure a full batch.
#[derive(Clone, Debug)]
pub struct Saturated {
    /// How the batch is run; `max-sequences` is what full means.
    pub options: BatchOptions,
    /// The window is closed once it has been open this long.
    pub length: Duration,
    /// Steps that the batch is kept full before the window opens, so that sequences end at different times.
    pub settle_steps: u32,
}

/// What a full batch did.
#[derive(Clone, Debug)]
pub struct SteadyState {
    /// Time, energy and tokens of the window.
    pub measurement: Measurement,
    /// Steps in it.
    pub steps: u64,
    /// Whether requests ran out before the window was as long as asked.
    pub ran_out: bool,
}

impl Saturated {
    /// Runs requests as `next` gives them, one prompt each, until the window is long enough or there are no more.
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
