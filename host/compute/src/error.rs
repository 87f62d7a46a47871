//! What can go wrong with a device: each a sentence that names it and the remedy.

/// Shorthand for this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a device could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for what no device does: memory of another size, a shape that no kernel has.
    #[error("this is a bug in llem: {0}")]
    Bug(String),

    /// A name or an option is none that there is.
    #[error("{0}")]
    Invalid(String),

    /// The caller asked for the work to stop.
    #[error("the work was interrupted")]
    Interrupted,

    /// A library, a compiler or a device is missing. The sentence says where it was looked for and what to install.
    #[error("{0}")]
    Missing(String),

    /// This device or this kernel cannot do it.
    #[error("{0}")]
    Unsupported(String),

    /// The device has less free memory than is asked for.
    #[error("{device} has {free} bytes free, and {asked} are asked for: ask for less")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// Bytes that were asked for.
        asked: usize,
        /// Bytes that were free.
        free: usize,
    },

    /// A kernel's source does not compile.
    #[error("kernel {kernel} does not compile: {log}")]
    Compile {
        /// The source file.
        kernel: String,
        /// What the compiler said.
        log: String,
    },

    /// The device's driver or library reports a failure.
    #[error("{device}: {call} failed: {reason}")]
    Failed {
        /// The device's name.
        device: String,
        /// What was called.
        call: &'static str,
        /// What it said.
        reason: String,
    },
}
