//! Compiled kernels: the cache on disk, and NVRTC for what is not in it.
//!
//! ```text
//! source, headers, macros, options ──hash──► ~/.cache/llem/kernels/sm_90a/HASH-13.0.cubin ──or──► NVRTC
//! ```
//!
//! A cubin is machine code for one GPU architecture, so the driver compiles nothing when it loads it.

use super::{
    functions::{Nvrtc, nvrtc},
    nvrtc::{OPTIONS, compile, version},
};
use crate::{KernelSource, Result, kernel_headers::HEADERS};
use std::{
    env,
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The cache of compiled kernels for one GPU architecture.
pub(super) struct KernelCache {
    /// Folder of the cache, or `None` if the user has no home folder.
    folder: Option<PathBuf>,
    architecture: String,
}

/// The compiled kernels of a source.
pub(super) struct CompiledKernels {
    /// Machine code for the GPU.
    pub cubin: Vec<u8>,
    /// Whether the machine code comes from the cache on disk.
    pub is_cached: bool,
}

impl KernelCache {
    /// Opens the cache in this user's cache folder.
    pub(super) fn new(architecture: String) -> Self {
        Self::with_folder(cache_folder(|name| env::var_os(name)), architecture)
    }

    fn with_folder(cache: Option<PathBuf>, architecture: String) -> Self {
        let folder = cache.map(|cache| cache.join("llem/kernels").join(&architecture));
        Self { folder, architecture }
    }

    /// Returns the machine code of a source from the cache. If it is not there, compiles it and writes it to the cache.
    /// Without NVRTC, machine code by any version of NVRTC is accepted.
    ///
    /// # Errors
    /// [`Error::Compile`](crate::Error::Compile) if the source does not compile, and
    /// [`Error::Missing`](crate::Error::Missing) if it is not in the cache and there is no NVRTC.
    pub(super) fn get(&self, source: &KernelSource) -> Result<CompiledKernels> {
        let hash = hash(source, &self.architecture);
        let file = match nvrtc() {
            Ok(nvrtc) => self.file(&hash, nvrtc).filter(|file| file.is_file()),
            Err(_) => self.folder.as_deref().and_then(|folder| find_any_version(folder, &hash)),
        };
        if let Some(cubin) = file.and_then(|file| read(&file)) {
            return Ok(CompiledKernels { cubin, is_cached: true });
        }
        self.compile(source)
    }

    /// Compiles a source without looking into the cache, and writes the result to the cache.
    pub(super) fn compile(&self, source: &KernelSource) -> Result<CompiledKernels> {
        let nvrtc = nvrtc()?;
        let cubin = compile(nvrtc, source, &self.architecture)?;
        if let Some(file) = self.file(&hash(source, &self.architecture), nvrtc) {
            // Without a writable cache, kernels are compiled again each time, and that is all.
            if let Err(error) = write(&file, &cubin) {
                tracing::debug!("{} is not kept: {error}", file.display());
            }
        }
        Ok(CompiledKernels { cubin, is_cached: false })
    }

    fn file(&self, hash: &str, nvrtc: &Nvrtc) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{hash}-{}.cubin", version(nvrtc))))
    }
}

/// Returns the folder of this user's caches, by the XDG base directory specification.
fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute =
        |name| variable(name).map(PathBuf::from).filter(|folder: &PathBuf| folder.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// Hashes everything that the machine code depends on, except NVRTC's version, which is part of the file name.
fn hash(source: &KernelSource, architecture: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        // Each part is hashed with its length, so that two different lists of parts never give the same bytes.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(architecture);
    OPTIONS.iter().for_each(|option| add(option));
    add(source.file);
    add(source.text);
    for (name, value) in &source.defines {
        add(name);
        add(value);
    }
    for (name, text) in HEADERS {
        add(name);
        add(text);
    }
    hasher.finalize().to_hex().to_string()
}

/// Finds a cubin with this hash by any version of NVRTC. If there are several, returns the last by name.
fn find_any_version(folder: &Path, hash: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(hash))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.pop()
}

/// Reads a cubin. Returns `None` if the file is damaged: the driver does not check what it loads.
fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(file).ok()?;
    let (cubin, sum) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
    let is_whole = blake3::hash(cubin) == *sum;
    bytes.truncate(bytes.len() - blake3::OUT_LEN);
    is_whole.then_some(bytes)
}

/// Writes a cubin and its hash in one step, because another process may read the file at any time.
fn write(file: &Path, cubin: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    whole.write_all(cubin)?;
    whole.write_all(blake3::hash(cubin).as_bytes())?;
    whole.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::{Error, cuda::nvrtc::architecture};

    const TEXT: &str =
        "#include \"real.h\"\nKERNEL(one, u64) { store(reinterpret_cast<REAL*>(p), 1); }";

    fn source(text: &'static str, real: &str) -> KernelSource {
        KernelSource { file: "one", text, defines: vec![("REAL", real.to_owned())] }
    }

    #[test]
    fn an_architecture_is_the_cards_own() {
        let names = [(8, 0), (8, 9), (9, 0), (10, 0), (12, 0)].map(architecture);
        assert_eq!(names, ["sm_80", "sm_89", "sm_90a", "sm_100a", "sm_120a"]);
    }

    #[test]
    fn a_key_changes_with_each_part_of_what_is_compiled() {
        let keys = [
            hash(&source(TEXT, "float"), "sm_90a"),
            hash(&source(TEXT, "bf16"), "sm_90a"),
            hash(&source(TEXT, "float"), "sm_80"),
            hash(&source("", "float"), "sm_90a"),
            hash(&KernelSource { file: "two", ..source(TEXT, "float") }, "sm_90a"),
            hash(&KernelSource { defines: Vec::new(), ..source(TEXT, "float") }, "sm_90a"),
            hash(
                &KernelSource { defines: vec![("REALf", "loat".to_owned())], ..source(TEXT, "") },
                "sm_90a",
            ),
        ];
        assert_eq!(keys[0], hash(&source(TEXT, "float"), "sm_90a"));
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "key {index}");
        }
    }

    #[test]
    fn the_cache_is_where_xdg_says() {
        let folder = |variables: &'static [(&str, &str)]| {
            cache_folder(|name| {
                let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
                Some(OsString::from(value))
            })
        };
        assert_eq!(
            folder(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")]).unwrap(),
            Path::new("/c")
        );
        assert_eq!(
            folder(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "not/absolute")]).unwrap(),
            Path::new("/home/a/.cache")
        );
        assert_eq!(folder(&[]), None);
    }

    #[test]
    fn what_is_kept_is_found_without_a_compiler() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sm_90a/abc-13.0.cubin");
        write(&file, b"code").unwrap();
        assert_eq!(read(&file).unwrap(), b"code");
        let folder = file.parent().unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        assert_eq!(find_any_version(folder, "abc").unwrap(), file);
        assert_eq!(find_any_version(folder, "abd"), None);

        let mut damaged = fs::read(&file).unwrap();
        damaged[0] ^= 1;
        fs::write(&file, damaged).unwrap();
        assert_eq!(read(&file), None);
        fs::write(&file, b"cod").unwrap();
        assert_eq!(read(&file), None);
    }

    /// Only runs where NVRTC is found. `LLEM_CUDA_LIBS` may name its folder.
    #[test]
    fn a_kernel_becomes_machine_code_that_is_kept_and_an_error_is_the_compilers() {
        let Ok(nvrtc) = nvrtc() else { return };
        let folder = tempfile::tempdir().unwrap();
        let cache = KernelCache::with_folder(Some(folder.path().to_owned()), "sm_90a".to_owned());
        let first = cache.get(&source(TEXT, "bf16")).unwrap();
        assert!(first.cubin.starts_with(b"\x7fELF") && !first.is_cached);
        let second = cache.get(&source(TEXT, "bf16")).unwrap();
        assert!(second.is_cached && second.cubin == first.cubin);

        let error = cache.get(&source(TEXT, "no_type")).err().unwrap();
        assert!(matches!(&error, Error::Compile { log, .. } if log.contains("no_type")), "{error}");
        let unknown = KernelCache::with_folder(None, "sm_11".to_owned());
        let error = unknown.get(&source(TEXT, "float")).err().unwrap();
        assert!(matches!(&error, Error::Missing(_)), "{error}");
        assert!(error.to_string().contains(&version(nvrtc)), "{error}");
    }
}
