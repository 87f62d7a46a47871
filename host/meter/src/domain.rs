//! The power domains of devices, and how finely each is metered.

use llem_quantity::{Reading, Source, Unavailable};
use std::fmt;

/// The domain name that is used for a device of which no domain is measured.
pub(crate) const UNMEASURED: &str = "all";

/// A power domain of a device: the smallest part of the machine that has its own energy reading.
///
/// ```
/// use llem_meter::DomainId;
///
/// assert_eq!(DomainId::new("cuda:0", "gpu").to_string(), "cuda:0 gpu");
/// assert_eq!(DomainId::new("cpu", "all").to_string(), "cpu");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId {
    /// The device's id, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The domain's name within the device, such as `package-0`, `dram-0` or `gpu`; `all` if no domain of the device is
    /// measured.
    pub domain: String,
}

impl DomainId {
    /// Creates the id of a device's domain.
    pub fn new(device: impl Into<String>, domain: impl Into<String>) -> Self {
        Self { device: device.into(), domain: domain.into() }
    }

    /// Creates the id that is used for a device of which no domain is measured.
    pub(crate) fn unmeasured(device: impl Into<String>) -> Self {
        Self::new(device, UNMEASURED)
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain[..] {
            UNMEASURED => f.write_str(&self.device),
            domain => write!(f, "{} {domain}", self.device),
        }
    }
}

/// How finely the energy of a domain is metered.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The domain.
    pub id: DomainId,
    /// What measures the domain's energy, or why nothing does.
    pub source: Result<Source, Unavailable>,
    /// Time between two updates, s: observed (source `sensor`), or nominal for its kind (source `modelled`).
    pub update_period: Reading,
}
