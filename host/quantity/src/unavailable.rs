//! Why a number is absent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of reason for which a number is absent, so that a study can count causes and code never reads a sentence to
/// decide. Records write it in kebab case: `no-permission`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// The driver or the kernel's interface is missing: it is not loaded, or a virtual machine or container hides it.
    NoDriver,
    /// This user may not read it.
    NoPermission,
    /// The device, its driver or the kernel does not offer this reading.
    NotSupported,
    /// The device exists, but this process is not shown it, for example by `CUDA_VISIBLE_DEVICES` or a container.
    NotVisible,
    /// The device or its counter worked before and has stopped.
    Lost,
    /// The counter was set back between two readings.
    CounterReset,
    /// A reading failed, or returned something that is not a valid number.
    Unreadable,
    /// The window is too short for a counter that is updated so seldom.
    TooShort,
    /// Nobody asked for it, or it was not read yet.
    NotAsked,
    /// There was no work, or no device, that the number could describe.
    NoWork,
    /// The number exists only for several parts together, such as both halves of a split card.
    NotSeparable,
    /// Another reason, which only the sentence tells. Causes that a later version of llem adds are read as this one.
    #[serde(other)]
    Other,
}

/// Why a number is absent: a cause for programs, and a sentence for people that ends with the remedy where there is one.
///
/// ```
/// use llem_quantity::{Cause, Unavailable};
///
/// let reason = Unavailable::new(Cause::NoPermission, "energy_uj is readable by root only: run as root");
/// assert_eq!(reason.cause, Cause::NoPermission);
/// assert_eq!(reason.to_string(), "energy_uj is readable by root only: run as root");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The kind of reason.
    pub cause: Cause,
    /// The whole sentence, which names the file, field or flag. `Display` prints it unchanged.
    pub detail: String,
}

impl Unavailable {
    /// Creates a reason from its cause and its sentence.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// Puts the name of what the number belongs to in front of the sentence, as `name: sentence`.
    #[must_use]
    pub fn prefixed(&self, name: impl fmt::Display) -> Self {
        Self { cause: self.cause, detail: format!("{name}: {}", self.detail) }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Unavailable {}

/// A sentence without a cause of its own is [`Cause::Other`].
impl From<String> for Unavailable {
    fn from(detail: String) -> Self {
        Self::new(Cause::Other, detail)
    }
}

/// A sentence without a cause of its own is [`Cause::Other`].
impl From<&str> for Unavailable {
    fn from(detail: &str) -> Self {
        Self::new(Cause::Other, detail)
    }
}
