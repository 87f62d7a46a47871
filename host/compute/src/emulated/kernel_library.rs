//! Compiled sources of kernels. Each is loaded once in a process and cached in a folder on disk.

use super::{NAME, blocks::BlockLaunch, compiler};
use crate::{Error, KernelSource, Result, kernel_headers::HEADERS};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The entry point of a kernel, which runs one block. It returns 0 if the block has ended.
pub(super) type KernelEntry = unsafe extern "C" fn(*mut BlockLaunch) -> u32;

/// The shared library of a compiled source.
pub(super) struct KernelLibrary(libloading::Library);

impl KernelLibrary {
    fn load(path: &Path) -> Result<Self> {
        // SAFETY: it is compiled from a source of ours, and does nothing when it is loaded.
        match unsafe { libloading::Library::new(path) } {
            Ok(library) => Ok(Self(library)),
            Err(error) => Err(failed("dlopen", error)),
        }
    }

    /// Looks up the entry point of a kernel.
    pub(super) fn entry(&self, file: &str, name: &str) -> Result<KernelEntry> {
        // SAFETY: every function that such a library exports is a kernel's entry.
        match unsafe { self.0.get::<KernelEntry>(name.as_bytes()) } {
            Ok(entry) => Ok(*entry),
            Err(_) => Err(Error::Bug(format!("{file}.cu has no kernel {name}"))),
        }
    }
}

/// Returns the library of a source. Compiles it if it is neither loaded nor in the cache folder.
pub(super) fn load(source: &KernelSource) -> Result<Arc<KernelLibrary>> {
    /// The library of one source. With a lock for each source, different sources are compiled at the same time, and
    /// each only once.
    type LibrarySlot = Arc<Mutex<Option<Arc<KernelLibrary>>>>;
    static LOADED: OnceLock<Mutex<HashMap<KernelSource, LibrarySlot>>> = OnceLock::new();

    let loaded = LOADED.get_or_init(Mutex::default);
    let cell = Arc::clone(
        loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(source.clone()).or_default(),
    );
    let mut library = cell.lock().unwrap_or_else(PoisonError::into_inner);
    if library.is_none() {
        *library = Some(Arc::new(compile(source)?));
    }
    library.clone().ok_or_else(|| Error::Bug(format!("{}.cu is lost", source.file)))
}

fn compile(source: &KernelSource) -> Result<KernelLibrary> {
    let compiler = compiler::find()?;
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    add(&compiler.identity);
    for (name, text) in HEADERS.iter().chain([&(source.file, source.text)]) {
        add(name.as_bytes());
        add(text.as_bytes());
    }
    for (name, value) in &source.defines {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    let file = format!("{}.so", hasher.finalize().to_hex());

    let folder = cache_folder().filter(|folder| std::fs::create_dir_all(folder).is_ok());
    if let Some(library) =
        folder.as_ref().and_then(|folder| KernelLibrary::load(&folder.join(&file)).ok())
    {
        return Ok(library);
    }
    // Within the cache folder, so that the library can be renamed to its final name there.
    let temporary = folder
        .as_ref()
        .and_then(|folder| tempfile::tempdir_in(folder).ok())
        .map_or_else(tempfile::tempdir, Ok)
        .map_err(|error| failed("making a temporary folder", error))?;
    let mut library = temporary.path().join(&file);
    compiler.compile(source, temporary.path(), &library)?;
    if let Some(folder) = folder {
        let kept = folder.join(&file);
        if std::fs::rename(&library, &kept).is_ok() {
            library = kept;
        }
    }
    KernelLibrary::load(&library)
}

/// Returns `$XDG_CACHE_HOME/llem/kernels/emulated`, or `~/.cache/llem/kernels/emulated`.
fn cache_folder() -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("llem/kernels/emulated"))
}

fn failed(call: &'static str, error: impl std::fmt::Display) -> Error {
    Error::Failed { device: NAME.to_owned(), call, reason: error.to_string() }
}
