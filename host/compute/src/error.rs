//! Errors of this crate. Each displays as a sentence that names the device, file or option and the remedy.

/// The result of a function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a device or a CPU kernel could not do its work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A caller inside llem passed something invalid: memory of the wrong size, or a shape that no kernel takes.
    #[error("this is a bug in llem: {0}")]
    Bug(String),

    /// A name or an option has a value that llem does not know.
    #[error("{0}")]
    Invalid(String),

    /// The work stopped because the caller's stop check returned true.
    #[error("the work was interrupted")]
    Interrupted,

    /// A library, a compiler or a device is missing. The sentence says where llem looked and what to install.
    #[error("{0}")]
    Missing(String),

    /// This device or this kernel does not support the operation.
    #[error("{0}")]
    Unsupported(String),

    /// The device has less free memory than an allocation needs.
    #[error("{device} has {free} bytes free, and {requested} are asked for: ask for less")]
    OutOfMemory {
        /// The device's name, for example `cuda:0`.
        device: String,
        /// Size of the allocation, in bytes.
        requested: usize,
        /// Free memory of the device, in bytes.
        free: usize,
    },

    /// The source of a kernel does not compile.
    #[error("kernel {kernel} does not compile: {log}")]
    Compile {
        /// Name of the source file, without `.cu`.
        kernel: String,
        /// The compiler's messages.
        log: String,
    },

    /// A call to the device's driver or library failed.
    #[error("{device}: {call} failed: {reason}")]
    Failed {
        /// The device's name, for example `cuda:0`.
        device: String,
        /// Name of the function that failed.
        call: &'static str,
        /// The driver's or library's explanation.
        reason: String,
    },
}
