//! From bytes to a compiled component: encodes core modules, compiles, and keeps the compiled form
//! on disk under the digest of what it was compiled from.

use crate::{
    Error, Result,
    sha256::{hex, sha256},
};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use wasmtime::{Config, Engine, component::Component};

/// Begins every WebAssembly binary.
const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a core module and of a component (Component Model, Binary.md).
const CORE_MODULE: [u8; 4] = [1, 0, 0, 0];

/// A component, compiled.
pub struct Loaded {
    /// The file as it was given.
    pub file: String,
    /// `sha256:` and the digest of the bytes as they were given.
    pub digest: String,
    /// The compiled form.
    pub component: Component,
}

/// Compiles components for one wasmtime engine.
pub struct Compiler {
    engine: Engine,
    cache: Option<PathBuf>,
}

impl Compiler {
    /// A compiler that keeps compiled code in `cache`, or nowhere.
    pub fn new(cache: Option<PathBuf>) -> Result<Self> {
        let mut config = Config::new();
        config.wasm_component_model(true);
        // QuickJS guests import task.cancel, which belongs to it.
        config.wasm_component_model_async(true);
        config.epoch_interruption(true);
        // A trap is reported by its cause; addresses in a stripped guest say nothing.
        config.wasm_backtrace_max_frames(None);
        let engine = Engine::new(&config).map_err(|error| {
            Error::Failed(format!("WebAssembly does not start on this machine: {error}"))
        })?;
        Ok(Self { engine, cache })
    }

    /// The engine that its components belong to.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles `bytes` or takes the compiled form from the cache. `file` is for messages;
    /// `compiling` is told when it will take a moment.
    pub fn load(&self, file: &str, bytes: &[u8], compiling: impl FnOnce()) -> Result<Loaded> {
        let digest = sha256(bytes);
        let cached = self.cached_path(bytes);
        let component = match cached.as_deref().and_then(|path| self.cached(path)) {
            Some(component) => component,
            None => {
                compiling();
                let encoded = encode(file, bytes)?;
                let component = Component::new(&self.engine, &encoded).map_err(|error| {
                    Error::Input(format!("{file} is not a valid component: {}", last(&error)))
                })?;
                if let Some(path) = &cached {
                    keep(path, &component);
                }
                component
            }
        };
        Ok(Loaded { file: file.to_owned(), digest, component })
    }

    /// The name covers the bytes, and all of wasmtime and its configuration that compiled code
    /// depends on.
    fn cached_path(&self, bytes: &[u8]) -> Option<PathBuf> {
        let mut compatibility = Fingerprint(Sha256::new());
        std::hash::Hash::hash(&self.engine.precompile_compatibility_hash(), &mut compatibility);
        let name = hex(&compatibility.0.chain_update(bytes).finalize());
        Some(self.cache.as_ref()?.join(format!("{name}.cwasm")))
    }

    fn cached(&self, path: &Path) -> Option<Component> {
        if !path.is_file() {
            return None;
        }
        // SAFETY: the file was written by `keep` below, into a folder that only this user may
        // write; whoever can change it could as well change this program.
        let component = unsafe { Component::deserialize_file(&self.engine, path) };
        component
            .inspect_err(|error| {
                tracing::warn!("compiling anew, for {} does not load: {error}", path.display())
            })
            .ok()
    }
}

/// A component's bytes: as they are, or made from a core module that carries its component type.
fn encode<'a>(file: &str, bytes: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::Input(format!(
            "{file} is not a WebAssembly file (it does not begin with \\0asm)"
        )));
    }
    if bytes.get(4..8) != Some(&CORE_MODULE) {
        return Ok(bytes.into());
    }
    let refuse = |reason: String| {
        Error::Input(format!(
            "{file} is a core module that cannot be made a component: {reason}; build it against \
             wit/ with wit-bindgen, or for wasm32-wasip2"
        ))
    };
    wit_component::ComponentEncoder::default()
        .module(bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .map(Into::into)
        .map_err(|error| refuse(format!("{error:#}").replace('\n', " ")))
}

/// Keeping is a favour to the next run: that it fails is worth a line in the log, not an error.
fn keep(path: &Path, component: &Component) {
    let write = || -> io::Result<()> {
        let code = component.serialize().map_err(|error| io::Error::other(error.to_string()))?;
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        // Whole or not at all: another run may be reading or writing the same entry.
        llem_files::write(path, &code)
    };
    if let Err(error) = write() {
        tracing::warn!("cannot keep compiled code in {}: {error}", path.display());
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Lets a hash that only implements [`std::hash::Hash`] go into SHA-256.
struct Fingerprint(Sha256);

impl std::hash::Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// The innermost cause of a wasmtime error, on one line.
pub(crate) fn last(error: &wasmtime::Error) -> String {
    error.root_cause().to_string().replace('\n', " ")
}
