//! Windows of time and energy.

use crate::{Result, bindings::meter, measurement::Measurement, quantity::Quantity};

/// An open window. Windows nest and overlap freely. Dropping one discards it.
#[derive(Debug)]
pub struct Window(meter::Window);

/// One reading of a device's power during a window.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it was read, ns since the run began.
    pub at: u64,
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Power, W: the sensor's, or else the counter's gain over the time since the sample before.
    pub power: Quantity,
}

impl Window {
    /// Waits until the devices are idle, then reads clock and counters and opens.
    pub fn open(label: &str) -> Result<Self> {
        Ok(Self(meter::Window::open(label)?))
    }

    /// Marks this moment: what follows, up to the next mark, is a segment of the measurement. Devices are not waited for.
    /// Fails with `limit-reached` for more than 1,000.
    pub fn mark(&self, label: &str) -> Result<()> {
        Ok(self.0.mark(label)?)
    }

    /// Waits until the devices are idle, reads counters and clock, and closes. The result is recorded under the phase that
    /// is open, as well as returned. Fails where a device has failed; the window is recorded all the same.
    pub fn close(self) -> Result<Measurement> {
        Ok(Measurement::from(&self.close_on_host()?))
    }

    /// The same, with the measurement left on the host.
    pub(crate) fn close_on_host(self) -> Result<meter::Measurement> {
        Ok(meter::Window::close(self.0)?)
    }

    /// Power samples since that time, ns since the run began (0: since the window opened), oldest first: at most the
    /// newest 65,536 of each device's domain.
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
