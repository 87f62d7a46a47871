//! The number formats of GGUF tensors (`enum ggml_type` in ggml's `ggml.h`).

use std::fmt;

macro_rules! formats {
    ($($name:ident = $number:literal: $block:literal in $bytes:literal,)*) => {
        /// A number format of GGUF: single numbers, or blocks of numbers that share their scales. The names are ggml's.
        ///
        /// ```
        /// use llem_checkpoint::BlockFormat;
        ///
        /// assert_eq!(BlockFormat::from_number(12), Some(BlockFormat::Q4_K));
        /// assert_eq!((BlockFormat::Q4_K.block_len(), BlockFormat::Q4_K.block_bytes()), (256, 144));
        /// assert_eq!(BlockFormat::Q4_K.bytes(4096), Some(2304)); // 4.5 bits a number
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types, reason = "ggml's names")]
        pub enum BlockFormat {
            $(#[doc = concat!("Format ", $number, " of ggml: a block has ", $block, " numbers in ", $bytes, " bytes.")] $name,)*
        }

        impl BlockFormat {
            /// Returns the format with a number in a file. Returns `None` if llama.cpp has no such format.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Returns how many numbers a block has.
            pub fn block_len(self) -> usize {
                match self {
                    $(Self::$name => $block,)*
                }
            }

            /// Returns the size of a block in bytes.
            pub fn block_bytes(self) -> usize {
                match self {
                    $(Self::$name => $bytes,)*
                }
            }
        }
    };
}

formats! {
    F32 = 0: 1 in 4,
    F16 = 1: 1 in 2,
    Q4_0 = 2: 32 in 18,
    Q4_1 = 3: 32 in 20,
    Q5_0 = 6: 32 in 22,
    Q5_1 = 7: 32 in 24,
    Q8_0 = 8: 32 in 34,
    Q8_1 = 9: 32 in 36,
    Q2_K = 10: 256 in 84,
    Q3_K = 11: 256 in 110,
    Q4_K = 12: 256 in 144,
    Q5_K = 13: 256 in 176,
    Q6_K = 14: 256 in 210,
    Q8_K = 15: 256 in 292,
    IQ2_XXS = 16: 256 in 66,
    IQ2_XS = 17: 256 in 74,
    IQ3_XXS = 18: 256 in 98,
    IQ1_S = 19: 256 in 50,
    IQ4_NL = 20: 32 in 18,
    IQ3_S = 21: 256 in 110,
    IQ2_S = 22: 256 in 82,
    IQ4_XS = 23: 256 in 136,
    I8 = 24: 1 in 1,
    I16 = 25: 1 in 2,
    I32 = 26: 1 in 4,
    I64 = 27: 1 in 8,
    F64 = 28: 1 in 8,
    IQ1_M = 29: 256 in 56,
    BF16 = 30: 1 in 2,
    TQ1_0 = 34: 256 in 54,
    TQ2_0 = 35: 256 in 66,
    MXFP4 = 39: 32 in 17,
    NVFP4 = 40: 64 in 36,
    Q1_0 = 41: 128 in 18,
    Q2_0 = 42: 64 in 18,
}

/// Formats that llama.cpp once wrote and no longer reads.
const REMOVED: [(u32, &str); 8] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (36, "IQ4_NL_4_4"),
    (37, "IQ4_NL_4_8"),
    (38, "IQ4_NL_8_8"),
];

impl BlockFormat {
    /// Returns the size in bytes of `numbers` numbers, which must be whole blocks. Returns `None` if the size
    /// overflows.
    pub fn bytes(self, numbers: usize) -> Option<usize> {
        (numbers / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Returns `true` if each number is stored by itself as a floating-point number.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::F64)
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A tensor or a dimension is larger than any file.
#[derive(Debug, thiserror::Error)]
#[error("is larger than any file")]
pub(super) struct TooLargeError;

/// A tensor's number format that this version cannot read. The sentence follows "is" in a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnknownFormatError {
    /// llama.cpp has removed the format with this name.
    #[error("in {0}, which llama.cpp no longer has: use the model's Q4_0 file")]
    Removed(&'static str),

    /// llama.cpp has never had a format with this number.
    #[error(
        "in number format {0}, which is not one of llama.cpp's: use a file that llama.cpp's own tools have made"
    )]
    NotAssigned(u32),
}

impl UnknownFormatError {
    /// Builds the error of a number for which [`BlockFormat::from_number`] returns `None`.
    pub(super) fn from_number(number: u32) -> Self {
        match REMOVED.iter().find(|(removed, _)| *removed == number) {
            Some((_, name)) => Self::Removed(name),
            None => Self::NotAssigned(number),
        }
    }
}
