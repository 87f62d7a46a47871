//! Conversions between the number formats of checkpoints, of `llem-compute` and of candle.

use llem_checkpoint::FloatFormat;

pub use llem_compute::DType;

/// Returns the number format that this crate computes in for a checkpoint's number format.
pub(crate) fn from_format(format: FloatFormat) -> DType {
    match format {
        FloatFormat::F32 => DType::F32,
        FloatFormat::Bf16 => DType::Bf16,
        FloatFormat::F16 => DType::F16,
    }
}

/// Returns candle's name of a number format.
pub(crate) fn to_candle(dtype: DType) -> candle_core::DType {
    match dtype {
        DType::F32 => candle_core::DType::F32,
        DType::Bf16 => candle_core::DType::BF16,
        DType::F16 => candle_core::DType::F16,
    }
}
