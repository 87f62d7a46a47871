//! The instruction set that kernels use: the best that the processor has, or the one that `LLEM_SIMD` names.

use crate::{Error, Result, cpu::amx};
use std::{
    fmt,
    str::FromStr,
    sync::{LazyLock, OnceLock},
};

/// Name of the environment variable that chooses the instruction set: `portable`, `avx2`, `avx512` or `amx`.
pub const INSTRUCTION_SET_VARIABLE: &str = "LLEM_SIMD";

/// An instruction set that every CPU kernel is compiled for, in ascending order of speed.
///
/// ```
/// use llem_compute::cpu::InstructionSet;
///
/// assert_eq!("avx512".parse(), Ok(InstructionSet::Avx512));
/// assert!(InstructionSet::Portable < InstructionSet::Avx2);
/// assert_eq!(InstructionSet::available()[0], InstructionSet::Portable);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// Plain Rust, for every processor.
    Portable,
    /// AVX2 with FMA and F16C (Haswell, Zen and later).
    Avx2,
    /// AVX-512 with its bf16 and VNNI dot products (Cooper Lake, Sapphire Rapids, Zen 4 and later).
    Avx512,
    /// AVX-512, and tile registers for products of bf16 (Sapphire Rapids and later).
    Amx,
}

impl InstructionSet {
    const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// Returns true if this processor has the instructions.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bf16")
                && is_x86_feature_detected!("avx512vnni");
            match self {
                Self::Portable => true,
                Self::Avx2 => avx2,
                Self::Avx512 => avx512,
                Self::Amx => avx512 && amx::is_available(),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }

    /// Returns true if a vector of sixteen numbers is several registers (`Simd::IS_SPLIT`).
    pub fn is_split(self) -> bool {
        matches!(self, Self::Portable | Self::Avx2)
    }

    /// Returns the instruction sets of this processor, the best one last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|set| set.is_available()).collect()
    }

    /// Returns the instruction set that kernels use in this process. If `LLEM_SIMD` is invalid, which
    /// [`InstructionSet::check`] reports, it is the best one.
    #[inline]
    pub fn chosen() -> Self {
        // Every product asks, so the answer must cost no more than a load.
        static CHOSEN: OnceLock<InstructionSet> = OnceLock::new();
        *CHOSEN.get_or_init(|| REQUESTED.as_ref().map_or_else(|_| Self::best(), |set| *set))
    }

    /// Returns the chosen instruction set, and reports an invalid `LLEM_SIMD`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `LLEM_SIMD` names no instruction set, or one that this processor does not have.
    pub fn check() -> Result<Self> {
        REQUESTED.as_ref().copied().map_err(|cause| Error::Invalid(cause.to_string()))
    }

    fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }
}

/// The instruction set that the environment requests, or the best one if it requests none.
static REQUESTED: LazyLock<std::result::Result<InstructionSet, InstructionSetError>> =
    LazyLock::new(|| {
        let value = std::env::var_os(INSTRUCTION_SET_VARIABLE).unwrap_or_default();
        if value.is_empty() {
            return Ok(InstructionSet::best());
        }
        let value = value.to_string_lossy();
        let set: InstructionSet = value.parse()?;
        match set.is_available() {
            true => Ok(set),
            false => Err(InstructionSetError::Unavailable(set)),
        }
    });

/// Why kernels cannot use the instruction set that `LLEM_SIMD` names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstructionSetError {
    /// No instruction set has this name.
    #[error("{INSTRUCTION_SET_VARIABLE}={0}: use portable, avx2, avx512 or amx")]
    UnknownName(String),

    /// This processor does not have the instruction set.
    #[error(
        "{INSTRUCTION_SET_VARIABLE}={0}: this processor has {available} only",
        available = available_names()
    )]
    Unavailable(InstructionSet),
}

/// Returns the names of this processor's instruction sets, for messages.
fn available_names() -> String {
    let names: Vec<_> = InstructionSet::available().iter().map(InstructionSet::to_string).collect();
    names.join(", ")
}

impl FromStr for InstructionSet {
    type Err = InstructionSetError;

    fn from_str(name: &str) -> std::result::Result<Self, InstructionSetError> {
        let set = Self::ALL.into_iter().find(|set| set.to_string() == name);
        set.ok_or_else(|| InstructionSetError::UnknownName(name.to_owned()))
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        })
    }
}
