//! The rank and the alpha of low-rank factors: how a file's values are read, and which values are accepted.

use serde_json::Value;

/// The largest rank that is accepted. No model has a weight with so high a rank.
const MAX_RANK: usize = 1 << 16;

/// Why a rank is refused. The sentence follows the name of the rank in a message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RankError {
    /// The value in a file is not a whole number from 0.
    #[error("is {0}; a whole number is needed")]
    NotWhole(Value),

    /// The rank is 0 or too large.
    #[error("must be between 1 and {MAX_RANK}, not {0}")]
    OutOfRange(usize),
}

/// Why an alpha is refused. The sentence follows the name of the alpha in a message.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AlphaError {
    /// The value in a file is not a number.
    #[error("is {0}; a number is needed")]
    NotNumber(Value),

    /// The alpha is not finite in 32 bits.
    #[error("must be a finite number in 32 bits, not {0}")]
    NotFinite(f64),
}

/// Refuses a rank of 0 or above 65,536.
///
/// # Errors
/// Returns [`RankError::OutOfRange`] for such a rank.
pub fn check_rank(rank: usize) -> Result<(), RankError> {
    match (1..=MAX_RANK).contains(&rank) {
        true => Ok(()),
        false => Err(RankError::OutOfRange(rank)),
    }
}

/// Reads a rank in a file. Some programs write it with a decimal point, unlike PEFT.
pub(super) fn parse_rank(value: &Value) -> Result<usize, RankError> {
    let rank = value.as_f64().filter(|rank| rank.fract() == 0.0 && *rank >= 0.0);
    let rank = rank.ok_or_else(|| RankError::NotWhole(value.clone()))?;
    check_rank(rank as usize).map(|()| rank as usize)
}

/// Refuses an alpha that is not finite in 32 bits, in which factors are scaled.
///
/// # Errors
/// Returns [`AlphaError::NotFinite`] for such an alpha.
pub fn check_alpha(alpha: f64) -> Result<(), AlphaError> {
    match (alpha as f32).is_finite() {
        true => Ok(()),
        false => Err(AlphaError::NotFinite(alpha)),
    }
}

/// Reads an alpha in a file.
pub(super) fn parse_alpha(value: &Value) -> Result<f64, AlphaError> {
    let alpha = value.as_f64().ok_or_else(|| AlphaError::NotNumber(value.clone()))?;
    check_alpha(alpha).map(|()| alpha)
}
