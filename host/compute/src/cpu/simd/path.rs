//! Which instruction set the kernels use: the best that the processor has, or the one that `LLEM_SIMD` names.

use crate::{Error, Result, cpu::amx};
use std::{
    fmt,
    str::FromStr,
    sync::{LazyLock, OnceLock},
};

/// The environment variable that chooses a path: `portable`, `avx2`, `avx512` or `amx`.
pub const VARIABLE: &str = "LLEM_SIMD";

/// An instruction set that every kernel is compiled for, from the plainest to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// Plain Rust, for every processor.
    Portable,
    /// AVX2 with FMA and F16C (Haswell, Zen and later).
    Avx2,
    /// AVX-512 with its bf16 and VNNI dot products (Cooper Lake, Sapphire Rapids, Zen 4 and later).
    Avx512,
    /// AVX-512, and tile registers for products of bf16 (Sapphire Rapids and later).
    Amx,
}

impl Path {
    const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// Whether this processor has the instructions.
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
                Self::Amx => avx512 && amx::available(),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }

    /// Whether its vectors are several registers ([`super::Simd::IS_SPLIT`]).
    pub fn is_split(self) -> bool {
        matches!(self, Self::Portable | Self::Avx2)
    }

    /// The paths of this processor, the best one last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|path| path.is_available()).collect()
    }

    /// The path that kernels use in this process. Where `LLEM_SIMD` cannot be obeyed, which [`Path::check`] reports, it
    /// is the best one.
    #[inline]
    pub fn chosen() -> Self {
        // Asked for every product, so it must cost no more than a load.
        static CHOSEN: OnceLock<Path> = OnceLock::new();
        *CHOSEN.get_or_init(|| REQUESTED.as_ref().map_or_else(|_| Self::best(), |path| *path))
    }

    /// Returns the chosen path.
    ///
    /// # Errors
    /// `LLEM_SIMD` names no path, or one that this processor does not have.
    pub fn check() -> Result<Self> {
        REQUESTED.as_ref().copied().map_err(|reason| Error::Invalid(reason.clone()))
    }

    fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }
}

/// What the environment asks for.
static REQUESTED: LazyLock<std::result::Result<Path, String>> = LazyLock::new(|| {
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    if value.is_empty() {
        return Ok(Path::best());
    }
    let value = value.to_string_lossy();
    let path: Path = value.parse()?;
    if path.is_available() {
        return Ok(path);
    }
    let names: Vec<_> = Path::available().iter().map(Path::to_string).collect();
    Err(format!("{VARIABLE}={path}: this processor has {} only", names.join(", ")))
});

impl FromStr for Path {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let path = Self::ALL.into_iter().find(|path| path.to_string() == name);
        path.ok_or_else(|| format!("{VARIABLE}={name}: use portable, avx2, avx512 or amx"))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        })
    }
}
