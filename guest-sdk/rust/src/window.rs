//! Windows: spans of a run whose time and energy are measured.

use crate::{Result, bindings::meter, measurement::Measurement, quantity::Quantity};

/// An open window, which measures time and energy until [`Self::close`]. Windows may nest and overlap. A window that is
/// dropped without closing is discarded.
///
/// ```no_run
/// # use llem_sdk::prelude::*;
/// # fn run(model: &Model, request: &Request) -> Result<()> {
/// let window = Window::open("ten requests")?;
/// for _ in 0..10 {
///     model.generate(request)?;
/// }
/// let measurement = window.close()?;
/// if let Ok(energy) = measurement.energy_total {
///     report::add_metric(&energy.into_metric("energy_of_ten_requests"))?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Window(meter::Window);

/// One reading of the power of a device's power domain.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the power was read, in ns since the run began.
    pub at: u64,
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// The power in W: the sensor's reading or, without a sensor, the counter's increase since the previous sample
    /// divided by the time.
    pub power: Quantity,
}

impl Window {
    /// Opens a window. The host waits until all device work has ended, then reads clock and counters.
    pub fn open(label: &str) -> Result<Self> {
        Ok(Self(meter::Window::open(label)?))
    }

    /// Begins a new segment of the measurement. The host does not wait for device work. Fails with `limit-reached`
    /// after 1,000 marks.
    pub fn mark(&self, label: &str) -> Result<()> {
        Ok(self.0.mark(label)?)
    }

    /// Closes the window. The host waits until all device work has ended, reads counters and clock, and writes the
    /// measurement to the record under the open phase. Fails if a device has failed. The window is recorded in that
    /// case too.
    pub fn close(self) -> Result<Measurement> {
        Ok(Measurement::from(&self.close_as_resource()?))
    }

    /// Closes the window and returns the host's resource of its measurement.
    pub(crate) fn close_as_resource(self) -> Result<meter::Measurement> {
        Ok(meter::Window::close(self.0)?)
    }

    /// Returns the power samples since a time in ns since the run began, the oldest first. 0 means since the window
    /// opened. At most the newest 65,536 samples of each power domain are returned.
    pub fn timeline(&self, since: u64) -> Vec<Sample> {
        let sample = |one: meter::Sample| Sample {
            at: one.at,
            device: one.device,
            domain: one.domain,
            power: one.power.into(),
        };
        self.0.timeline(since).into_iter().map(sample).collect()
    }
}
