//! Compiled sources: once in a process, and once in the cache folder.

use super::{NAME, blocks::Launch, compiler};
use crate::{Error, Result, Source, kernels::HEADERS};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Runs a block of a kernel.
pub(super) type Entry = unsafe extern "C" fn(*mut Launch) -> u32;

/// A compiled source that is loaded.
pub(super) struct Library(libloading::Library);

impl Library {
    fn load(path: &Path) -> Result<Self> {
        // SAFETY: it is compiled from a source of ours, and does nothing when it is loaded.
        match unsafe { libloading::Library::new(path) } {
            Ok(library) => Ok(Self(library)),
            Err(error) => Err(failed("dlopen", error)),
        }
    }

    /// A kernel of it.
    pub(super) fn entry(&self, file: &str, name: &str) -> Result<Entry> {
        // SAFETY: every function that such a library exports is a kernel's entry.
        match unsafe { self.0.get::<Entry>(name.as_bytes()) } {
            Ok(entry) => Ok(*entry),
            Err(_) => Err(Error::Bug(format!("{file}.cu has no kernel {name}"))),
        }
    }
}

/// The library of a source, compiled if it is in neither the process nor the cache folder.
pub(super) fn of(source: &Source) -> Result<Arc<Library>> {
    /// A cell for each source, so that different ones are compiled at the same time and each only once.
    type Cell = Arc<Mutex<Option<Arc<Library>>>>;
    static LOADED: OnceLock<Mutex<HashMap<Source, Cell>>> = OnceLock::new();

    let loaded = LOADED.get_or_init(Mutex::default);
    let cell = Arc::clone(
        loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(source.clone()).or_default(),
    );
    let mut library = cell.lock().unwrap_or_else(PoisonError::into_inner);
    if library.is_none() {
        *library = Some(Arc::new(compiled(source)?));
    }
    library.clone().ok_or_else(|| Error::Bug(format!("{}.cu is lost", source.file)))
}

fn compiled(source: &Source) -> Result<Library> {
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
        folder.as_ref().and_then(|folder| Library::load(&folder.join(&file)).ok())
    {
        return Ok(library);
    }
    // In the cache folder, so that it can be renamed to its place there.
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
    Library::load(&library)
}

/// `$XDG_CACHE_HOME/llem/kernels/emulated`, or below `~/.cache`.
fn cache_folder() -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("llem/kernels/emulated"))
}

fn failed(call: &'static str, error: impl std::fmt::Display) -> Error {
    Error::Failed { device: NAME.to_owned(), call, reason: error.to_string() }
}
