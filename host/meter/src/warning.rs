//! What a reader of a span's numbers must know.

use std::fmt;

/// Something that makes a span's numbers less than they seem.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// A device was held below its clock.
    Throttled {
        /// The device's id.
        device: String,
        /// In NVML's words.
        reasons: Vec<String>,
    },
    /// The clock of a working device fell.
    ClockDrop {
        /// The device's id.
        device: String,
        /// The highest clock while it worked, MHz.
        from: f64,
        /// The lowest, MHz.
        to: f64,
    },
    /// A device got warmer or cooler, and so leaked more or less.
    TemperatureDrift {
        /// The device's id.
        device: String,
        /// At the beginning, Cel.
        from: f64,
        /// At the end, Cel.
        to: f64,
    },
    /// The energy counter and the power sensor do not tell the same.
    Disagreement {
        /// The device's id.
        device: String,
        /// By the counter, J.
        counted: f64,
        /// By the sensor, J.
        integrated: f64,
    },
    /// The sampler did not come to read.
    Gap {
        /// How long, s.
        length: f64,
    },
}

impl Warning {
    /// What it is about, so that one kind about one device need be told once.
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
