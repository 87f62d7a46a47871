//! Where a number came from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a number came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A monotonic clock of the host.
    Clock,
    /// Counted exactly.
    Counted,
    /// NVML's cumulative energy counter.
    NvmlCounter,
    /// NVML's power field, integrated over time.
    NvmlPower,
    /// RAPL's cumulative energy counter, read through the kernel's powercap files.
    Rapl,
    /// An instantaneous reading of a device's sensor.
    Sensor,
    /// Computed from the model's shape, not observed.
    Analytic,
    /// Computed from other quantities, all of which were measured.
    Derived,
    /// Computed by a declared power model, or a nominal value of this kind of device.
    Modelled,
    /// Printed in a vendor's datasheet.
    Datasheet,
    /// Given for a synthetic host, or read from files or a library that imitate the hardware's.
    Simulated,
    /// Reported by a script. The host does not know what the number was made of.
    Script,
}

impl Source {
    const ALL: [Self; 12] = [
        Self::Clock,
        Self::Counted,
        Self::NvmlCounter,
        Self::NvmlPower,
        Self::Rapl,
        Self::Sensor,
        Self::Analytic,
        Self::Derived,
        Self::Modelled,
        Self::Datasheet,
        Self::Simulated,
        Self::Script,
    ];

    /// Returns the name that records and the WIT contract use, such as `nvml-counter`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Counted => "counted",
            Self::NvmlCounter => "nvml-counter",
            Self::NvmlPower => "nvml-power",
            Self::Rapl => "rapl",
            Self::Sensor => "sensor",
            Self::Analytic => "analytic",
            Self::Derived => "derived",
            Self::Modelled => "modelled",
            Self::Datasheet => "datasheet",
            Self::Simulated => "simulated",
            Self::Script => "script",
        }
    }

    /// Returns the source with this name, or `None` if no source has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Returns the source of a product or ratio of two quantities. A number that rests on a script's word, a simulation
    /// or a model is not a measurement, so the result keeps that source. Otherwise it is [`Source::Derived`].
    pub(crate) fn from_product(one: Self, other: Self) -> Self {
        let not_measured = [Self::Script, Self::Simulated, Self::Modelled];
        let kept = not_measured.into_iter().find(|source| [one, other].contains(source));
        kept.unwrap_or(Self::Derived)
    }

    /// Returns the source of a sum or difference: the common source if both quantities have the same one, otherwise as
    /// [`Source::from_product`].
    pub(crate) fn from_sum(one: Self, other: Self) -> Self {
        if one == other { one } else { Self::from_product(one, other) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
