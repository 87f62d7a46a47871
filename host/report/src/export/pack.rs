//! Packs the lines of a timeline for the page.
//!
//! ```text
//! n times as 32-bit steps, µs   │ n values as 32-bit floats     each as four planes: all lowest bytes first,
//!                               │                               then the next, because these are alike
//! zlib (RFC 1950), then base64
//! ```
//!
//! A browser unpacks zlib by its own `DecompressionStream`.

use crate::charts::TimeLine;
use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use std::io::{self, Write};

/// Returns the packed samples of a line, as text.
pub(super) fn pack(line: &TimeLine) -> io::Result<String> {
    let mut last = 0u64;
    let steps = line.times.iter().map(|time| {
        let at = (time * 1e6).max(0.0).round() as u64;
        let step = u32::try_from(at.saturating_sub(last)).unwrap_or(u32::MAX);
        last += u64::from(step);
        step
    });
    let steps: Vec<u32> = steps.collect();
    let values: Vec<u32> = line.values.iter().map(|value| value.to_bits()).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    for words in [steps, values] {
        for plane in 0..4 {
            let bytes: Vec<u8> = words.iter().map(|word| word.to_le_bytes()[plane]).collect();
            encoder.write_all(&bytes)?;
        }
    }
    Ok(STANDARD.encode(encoder.finish()?))
}
