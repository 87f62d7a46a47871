//! A quantity or the reason for its absence, in memory and in JSON.

use crate::{Cause, Quantity, Unavailable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A quantity, or the reason why there is none.
pub type Reading = Result<Quantity, Unavailable>;

/// A [`Reading`] as it is written to JSON: either the quantity's fields, or `{"unavailable": sentence, "cause": cause}`.
///
/// ```
/// use llem_quantity::{Cause, ReadingRecord, Unavailable};
///
/// let reading = Err(Unavailable::new(Cause::NoDriver, "no NVIDIA driver"));
/// let json = serde_json::to_string(&ReadingRecord::from(&reading))?;
/// assert_eq!(json, r#"{"unavailable":"no NVIDIA driver","cause":"no-driver"}"#);
///
/// // Records that were written before causes were kept are read, too.
/// let old: ReadingRecord = serde_json::from_str(r#"{"unavailable":"no NVIDIA driver"}"#)?;
/// assert_eq!(old.reading().unwrap_err().cause, Cause::Other);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReadingRecord {
    /// There is a number.
    Known(Quantity),
    /// There is no number.
    Unavailable {
        /// Why there is no number: a sentence that ends with the remedy where there is one.
        unavailable: String,
        /// The kind of reason. Absent in records that were written before causes were kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
}

impl From<&Reading> for ReadingRecord {
    fn from(reading: &Reading) -> Self {
        match reading {
            Ok(quantity) => Self::Known(quantity.clone()),
            Err(reason) => {
                Self::Unavailable { unavailable: reason.detail.clone(), cause: Some(reason.cause) }
            }
        }
    }
}

impl ReadingRecord {
    /// Returns the reading that this record was made of. A reason without a cause gets [`Cause::Other`].
    pub fn reading(&self) -> Reading {
        match self {
            Self::Known(quantity) => Ok(quantity.clone()),
            Self::Unavailable { unavailable, cause } => {
                Err(Unavailable::new(cause.unwrap_or(Cause::Other), unavailable.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_back_with_its_cause_and_an_unknown_cause_is_other() {
        let reading: Reading = Err(Unavailable::new(Cause::TooShort, "a window of 1 ms"));
        let text = serde_json::to_string(&ReadingRecord::from(&reading)).expect("JSON");
        let back: ReadingRecord = serde_json::from_str(&text).expect("a reading");
        assert_eq!(back.reading(), reading);
        let later = r#"{"unavailable":"a reason","cause":"of-a-later-version"}"#;
        let later: ReadingRecord = serde_json::from_str(later).expect("a reading");
        assert_eq!(later.reading(), Err(Unavailable::new(Cause::Other, "a reason")));
    }
}
