//! The machine's C++ compiler, which compiles kernels for the emulated device.

use crate::{Error, KernelSource, Result, kernel_headers::HEADERS};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Options of the compiler. Without exceptions and run-time types, a library needs nothing of C++'s own. Contraction
/// and errno are as in CUDA. A frame that does not fit the stack of a fiber is an error.
const FLAGS: &[&str] = &[
    "-std=c++17",
    "-O2",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-math-errno",
    "-ffp-contract=fast",
    "-Werror=frame-larger-than=49152",
    "-shared",
    "-fPIC",
];

/// A C++ compiler that works.
pub(super) struct CppCompiler {
    program: OsString,
    /// Whether the compiler takes `-march=native`.
    native: bool,
    /// The compiler's macros. They identify its version and the machine's instructions, so that the cache never returns
    /// a library of another compiler.
    pub(super) identity: Vec<u8>,
}

/// Finds a compiler, once in a process.
///
/// # Errors
/// [`Error::Missing`] if none can be run.
pub(super) fn find() -> Result<&'static CppCompiler> {
    static COMPILER: OnceLock<Option<CppCompiler>> = OnceLock::new();
    let found = COMPILER.get_or_init(|| candidates().into_iter().find_map(probe));
    found.as_ref().ok_or_else(|| {
        let tried: Vec<_> =
            candidates().iter().map(|program| program.to_string_lossy().into_owned()).collect();
        Error::Missing(format!(
            "the emulated device needs a C++ compiler, and none of {} can be run: install one (`apt install g++`) or name \
             one in CXX",
            tried.join(", ")
        ))
    })
}

fn candidates() -> Vec<OsString> {
    let named = std::env::var_os("CXX").filter(|program| !program.is_empty());
    named.into_iter().chain(["c++", "g++", "clang++"].map(OsString::from)).collect()
}

/// Runs a compiler to get its macros. Returns `None` if it cannot be run.
fn probe(program: OsString) -> Option<CppCompiler> {
    [true, false].into_iter().find_map(|native| {
        let output = Command::new(&program)
            .args(native.then_some("-march=native"))
            .args(FLAGS)
            .args(["-dM", "-E", "-x", "c++", "/dev/null"])
            .stdin(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(CppCompiler { program: program.clone(), native, identity: output.stdout })
    })
}

impl CppCompiler {
    /// Compiles a source to a shared library. Writes the source and the headers to `folder`.
    pub(super) fn compile(
        &self,
        source: &KernelSource,
        folder: &Path,
        library: &Path,
    ) -> Result<()> {
        let failed = |error: std::io::Error| Error::Failed {
            device: super::NAME.to_owned(),
            call: "compiling a kernel",
            reason: format!("{}: {error}", folder.display()),
        };
        for (name, text) in HEADERS {
            std::fs::write(folder.join(name), text).map_err(failed)?;
        }
        let file = format!("{}.cu", source.file);
        std::fs::write(folder.join(&file), source.text).map_err(failed)?;
        let output = Command::new(&self.program)
            .current_dir(folder)
            .args(self.native.then_some("-march=native"))
            .args(FLAGS)
            .args(source.defines.iter().map(|(name, value)| format!("-D{name}={value}")))
            .arg("-o")
            .arg(library)
            .args(["-x", "c++", &file, "-lm"])
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::Compile {
                kernel: source.file.to_owned(),
                log: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }
}
