//! Kernels compiled for the card at hand, by NVRTC, and kept on disk.
//!
//! ```text
//! source, headers, macros, options ──hash──► ~/.cache/llem/kernels/sm_90a/HASH-13.0.cubin ──or──► NVRTC
//! ```
//!
//! A cubin is the card's own machine code: nothing is left for the driver to compile when it is loaded.

use super::functions::{Nvrtc, described, nvrtc};
use crate::{Error, Result, Source, kernels::HEADERS};
use cudarc::nvrtc::sys::_nvrtcProgram;
use std::{
    env,
    ffi::{CString, OsString, c_char},
    fs,
    io::Write,
    path::{Path, PathBuf},
    ptr,
};

/// What every kernel is compiled with, besides its macros. `scripts/tools/compile-kernels` takes the same.
const OPTIONS: [&str; 2] = ["--std=c++17", "-default-device"];

/// `NVRTC_ERROR_INVALID_OPTION`, of an architecture that is newer than the compiler.
const INVALID_OPTION: u32 = 5;

/// What NVRTC calls a card's own architecture. The letter lets kernels use what only this one has.
pub fn architecture((major, minor): (usize, usize)) -> String {
    let letter = if major >= 9 { "a" } else { "" };
    format!("sm_{major}{minor}{letter}")
}

/// Compiled kernels on disk, all of one architecture.
pub struct Cache {
    /// None if there is no home.
    folder: Option<PathBuf>,
    architecture: String,
}

/// A compiled source.
pub struct Compiled {
    /// The machine code.
    pub cubin: Vec<u8>,
    /// Whether it comes from the cache.
    pub is_cached: bool,
}

impl Cache {
    /// That of this user.
    pub fn new(architecture: String) -> Self {
        Self::within(cache_folder(|name| env::var_os(name)), architecture)
    }

    fn within(cache: Option<PathBuf>, architecture: String) -> Self {
        let folder = cache.map(|cache| cache.join("llem/kernels").join(&architecture));
        Self { folder, architecture }
    }

    /// A source's machine code: the cache's, or else compiled now and kept. Without NVRTC, what any version of it has compiled
    /// is taken.
    ///
    /// # Errors
    /// [`Error::Compile`], and [`Error::Missing`] if it is not in the cache and there is no NVRTC.
    pub fn get(&self, source: &Source) -> Result<Compiled> {
        let hash = hash(source, &self.architecture);
        let kept = match nvrtc() {
            Ok(nvrtc) => self.file(&hash, nvrtc).filter(|file| file.is_file()),
            Err(_) => self.folder.as_deref().and_then(|folder| any_version(folder, &hash)),
        };
        if let Some(cubin) = kept.and_then(|file| read(&file)) {
            return Ok(Compiled { cubin, is_cached: true });
        }
        self.compile(source)
    }

    /// Compiles, whatever the cache holds.
    pub fn compile(&self, source: &Source) -> Result<Compiled> {
        let nvrtc = nvrtc()?;
        let cubin = compile(nvrtc, source, &self.architecture)?;
        if let Some(file) = self.file(&hash(source, &self.architecture), nvrtc) {
            // A cache that cannot be written costs time, and no more.
            if let Err(error) = keep(&file, &cubin) {
                tracing::debug!("{} is not kept: {error}", file.display());
            }
        }
        Ok(Compiled { cubin, is_cached: false })
    }

    fn file(&self, hash: &str, nvrtc: &Nvrtc) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{hash}-{}.cubin", version(nvrtc))))
    }
}

/// The folder of this user's caches, by the XDG base directory specification.
fn cache_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute =
        |name| variable(name).map(PathBuf::from).filter(|folder: &PathBuf| folder.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// What the machine code depends on, NVRTC's version apart.
fn hash(source: &Source, architecture: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        // With its length, so that no two lists of parts are the same bytes.
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

/// A cubin of a hash by any version of NVRTC.
fn any_version(folder: &Path, hash: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(hash))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.pop()
}

/// A file's machine code, if it is what was kept: the driver trusts what it is given.
fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(file).ok()?;
    let (cubin, sum) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
    let is_whole = blake3::hash(cubin) == *sum;
    bytes.truncate(bytes.len() - blake3::OUT_LEN);
    is_whole.then_some(bytes)
}

/// Writes machine code and its hash in one step: another process may read the file at any time.
fn keep(file: &Path, cubin: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    whole.write_all(cubin)?;
    whole.write_all(blake3::hash(cubin).as_bytes())?;
    whole.persist(file)?;
    Ok(())
}

/// `13.0`.
fn version(nvrtc: &Nvrtc) -> String {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: it writes two numbers, and does not fail for these addresses.
    unsafe { (nvrtc.nvrtcVersion)(&raw mut major, &raw mut minor) };
    format!("{major}.{minor}")
}

/// A program of NVRTC's.
struct Program {
    nvrtc: &'static Nvrtc,
    handle: *mut _nvrtcProgram,
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle.
        unsafe { (self.nvrtc.nvrtcDestroyProgram)(&raw mut self.handle) };
    }
}

impl Program {
    /// Bytes that a pair of functions tells, the number first.
    fn bytes(
        &self,
        size: unsafe extern "C" fn(*mut _nvrtcProgram, *mut usize) -> u32,
        get: unsafe extern "C" fn(*mut _nvrtcProgram, *mut c_char) -> u32,
    ) -> std::result::Result<Vec<u8>, u32> {
        let mut length = 0;
        // SAFETY: it writes a number.
        match unsafe { size(self.handle, &raw mut length) } {
            0 => {}
            status => return Err(status),
        }
        let mut bytes = vec![0u8; length];
        // SAFETY: there is room for as many bytes as it said.
        match unsafe { get(self.handle, bytes.as_mut_ptr().cast()) } {
            0 => Ok(bytes),
            status => Err(status),
        }
    }
}

fn compile(nvrtc: &'static Nvrtc, source: &Source, architecture: &str) -> Result<Vec<u8>> {
    let describe = |status| {
        // SAFETY: the function is NVRTC's.
        unsafe { described(nvrtc.nvrtcGetErrorString, status) }
    };
    let failed = |log: String| Error::Compile { kernel: source.file.to_owned(), log };
    let text = |text: &str| {
        CString::new(text).map_err(|_| failed("there is a zero byte in it".to_owned()))
    };
    let texts = |texts: Vec<&str>| texts.into_iter().map(text).collect::<Result<Vec<CString>>>();
    let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();

    let (program_text, name) = (text(source.text)?, text(&format!("{}.cu", source.file))?);
    let header_texts = texts(HEADERS.iter().map(|(_, text)| *text).collect())?;
    let header_names = texts(HEADERS.iter().map(|(name, _)| *name).collect())?;
    let mut program = Program { nvrtc, handle: ptr::null_mut() };
    // SAFETY: the texts end with zero and live; there are as many headers as names.
    let status = unsafe {
        (nvrtc.nvrtcCreateProgram)(
            &raw mut program.handle,
            program_text.as_ptr(),
            name.as_ptr(),
            HEADERS.len() as i32,
            pointers(&header_texts).as_ptr(),
            pointers(&header_names).as_ptr(),
        )
    };
    if status != 0 {
        return Err(failed(describe(status)));
    }

    let defines =
        source.defines.iter().map(|(name, value)| format!("--define-macro={name}={value}"));
    let own: Vec<_> =
        [format!("--gpu-architecture={architecture}")].into_iter().chain(defines).collect();
    let options = texts(OPTIONS.into_iter().chain(own.iter().map(String::as_str)).collect())?;
    // SAFETY: the program lives, and so do the texts.
    let status = unsafe {
        (nvrtc.nvrtcCompileProgram)(
            program.handle,
            options.len() as i32,
            pointers(&options).as_ptr(),
        )
    };
    if status == INVALID_OPTION {
        return Err(Error::Missing(format!(
            "`--device cuda` needs a compiler that knows {architecture}, and NVRTC {} at {} does not: install a newer one",
            version(nvrtc),
            nvrtc.path.display()
        )));
    }
    if status != 0 {
        let log = program.bytes(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog);
        let log = String::from_utf8_lossy(&log.unwrap_or_default()).into_owned();
        let log = log.trim_end_matches('\0').trim();
        return Err(failed(format!("{}: {log}", describe(status))));
    }
    program
        .bytes(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
        .map_err(|status| failed(describe(status)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const TEXT: &str =
        "#include \"real.h\"\nKERNEL(one, u64) { store(reinterpret_cast<REAL*>(p), 1); }";

    fn source(text: &'static str, real: &str) -> Source {
        Source { file: "one", text, defines: vec![("REAL", real.to_owned())] }
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
            hash(&Source { file: "two", ..source(TEXT, "float") }, "sm_90a"),
            hash(&Source { defines: Vec::new(), ..source(TEXT, "float") }, "sm_90a"),
            hash(
                &Source { defines: vec![("REALf", "loat".to_owned())], ..source(TEXT, "") },
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
        keep(&file, b"code").unwrap();
        assert_eq!(read(&file).unwrap(), b"code");
        let folder = file.parent().unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        assert_eq!(any_version(folder, "abc").unwrap(), file);
        assert_eq!(any_version(folder, "abd"), None);

        let mut damaged = fs::read(&file).unwrap();
        damaged[0] ^= 1;
        fs::write(&file, damaged).unwrap();
        assert_eq!(read(&file), None);
        fs::write(&file, b"cod").unwrap();
        assert_eq!(read(&file), None);
    }

    /// Runs where NVRTC is found: `LLEM_CUDA_LIBS` may name it.
    #[test]
    fn a_kernel_becomes_machine_code_that_is_kept_and_an_error_is_the_compilers() {
        let Ok(nvrtc) = nvrtc() else { return };
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::within(Some(folder.path().to_owned()), "sm_90a".to_owned());
        let first = cache.get(&source(TEXT, "bf16")).unwrap();
        assert!(first.cubin.starts_with(b"\x7fELF") && !first.is_cached);
        let second = cache.get(&source(TEXT, "bf16")).unwrap();
        assert!(second.is_cached && second.cubin == first.cubin);

        let error = cache.get(&source(TEXT, "no_type")).err().unwrap();
        assert!(matches!(&error, Error::Compile { log, .. } if log.contains("no_type")), "{error}");
        let unknown = Cache::within(None, "sm_11".to_owned());
        let error = unknown.get(&source(TEXT, "float")).err().unwrap();
        assert!(matches!(&error, Error::Missing(_)), "{error}");
        assert!(error.to_string().contains(&version(nvrtc)), "{error}");
    }
}
