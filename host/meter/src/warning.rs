//! Warnings: what a reader of a window's numbers must know.

use std::fmt;

/// Something that makes the numbers of a window less reliable than they look.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// A device was held below the clock that it was set to.
    Throttled {
        /// The device's id.
        device: String,
        /// The reasons, in NVML's words.
        reasons: Vec<String>,
    },
    /// The clock of a working device fell.
    ClockDrop {
        /// The device's id.
        device: String,
        /// The highest clock while the device worked, MHz.
        from: f64,
        /// The lowest clock while the device worked, MHz.
        to: f64,
    },
    /// A device got warmer or cooler, so that its leakage power changed.
    TemperatureDrift {
        /// The device's id.
        device: String,
        /// Temperature at the beginning, Cel.
        from: f64,
        /// Temperature at the end, Cel.
        to: f64,
    },
    /// The energy counter and the integrated power of a device differ by more than their uncertainties.
    Disagreement {
        /// The device's id.
        device: String,
        /// Energy by the counter, J.
        counted: f64,
        /// Energy by the sensor, J.
        integrated: f64,
    },
    /// The sampling thread did not read anything for a while.
    Gap {
        /// How long nothing was read, s.
        length: f64,
    },
}

impl Warning {
    /// Returns the kind of the warning and the device's id, so that a caller can report each pair only once.
    pub fn subject(&self) -> (&'static str, &str) {
        match self {
            Self::Throttled { device, .. } => ("throttled", device),
            Self::ClockDrop { device, .. } => ("clock-drop", device),
            Self::TemperatureDrift { device, .. } => ("temperature-drift", device),
            Self::Disagreement { device, .. } => ("disagreement", device),
            Self::Gap { .. } => ("gap", ""),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttled { device, reasons } => {
                write!(f, "{device} was held below its clock: {}", reasons.join(", "))
            }
            Self::ClockDrop { device, from, to } => {
                write!(
                    f,
                    "the clock of {device} fell from {from:.0} to {to:.0} MHz while it worked"
                )
            }
            Self::TemperatureDrift { device, from, to } => write!(
                f,
                "{device} went from {from:.0} to {to:.0} °C, and leakage with it: warm up longer"
            ),
            Self::Disagreement { device, counted, integrated } => write!(
                f,
                "the energy counter of {device} gained {counted:.1} J where its power adds up to {integrated:.1} J, \
                 more apart than both are uncertain"
            ),
            Self::Gap { length } => write!(
                f,
                "nothing was sampled for {:.0} ms: the machine was busy or asleep",
                length * 1e3
            ),
        }
    }
}
