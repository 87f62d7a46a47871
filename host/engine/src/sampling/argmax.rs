//! The most likely token of a row of logits.

use super::not_a_number;
use crate::Result;

/// Returns the index of the first largest logit, as torch's argmax on a CPU does.
///
/// # Errors
/// Returns [`Error::NotANumber`](crate::Error::NotANumber) if a logit is NaN. This means broken weights or an
/// overflow of the number format, and every token after it would be meaningless.
pub(crate) fn argmax(logits: &[f32]) -> Result<u32> {
    /// The logits that are compared together, so that the compiler uses vectors. Only a block with a new largest
    /// logit is read twice.
    const BLOCK: usize = 64;
    let mut best = (0, f32::NEG_INFINITY);
    let mut nan = [0u32; 16];
    for (block, numbers) in logits.chunks(BLOCK).enumerate() {
        let mut most = [f32::NEG_INFINITY; 16];
        for lanes in numbers.chunks(16) {
            for ((most, nan), &logit) in most.iter_mut().zip(&mut nan).zip(lanes) {
                *most = if logit > *most { logit } else { *most };
                *nan |= u32::from(logit.is_nan());
            }
        }
        if most.iter().any(|&most| most > best.1) {
            for (index, &logit) in numbers.iter().enumerate() {
                if logit > best.1 {
                    best = (block * BLOCK + index, logit);
                }
            }
        }
    }
    if nan != [0; 16] {
        return Err(not_a_number());
    }
    Ok(best.0 as u32)
}
