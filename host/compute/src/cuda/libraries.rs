//! CUDA's libraries: which ones are needed, where each is found, and what to install if it is missing.
//!
//! ```text
//! LLEM_CUDA_LIBS ──► the system's loader ──► the driver's folders, or those of toolkits and Python environments
//! ```
//!
//! A library is opened by its path and stays open. Other libraries that need it then find it by its name, because the
//! loader knows which libraries are loaded.

use super::{
    folders::{self, Folders},
    functions,
};
use crate::{Error, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// One of CUDA's libraries, and where it was found.
#[derive(Clone, Debug)]
pub struct CudaLibrary {
    /// File name without `.so`, for example `libcuda`.
    pub name: &'static str,
    /// What the library does, for example `drives cards`.
    pub purpose: &'static str,
    /// Path of the library. Otherwise [`Error::Missing`] says where llem looked and what to install.
    pub path: Result<PathBuf>,
}

/// Loads each of CUDA's libraries and returns where it is, or why it cannot be loaded. NCCL is only needed with several
/// GPUs.
pub fn load_libraries() -> Vec<CudaLibrary> {
    let paths = [
        functions::driver().map(|table| table.path.clone()),
        functions::nvrtc().map(|table| table.path.clone()),
        functions::blas().map(|table| table.path.clone()),
        functions::nccl().map(|table| table.path.clone()),
    ];
    [&DRIVER, &NVRTC, &BLAS, &NCCL]
        .into_iter()
        .zip(paths)
        .map(|(wanted, path)| CudaLibrary { name: wanted.name, purpose: wanted.purpose, path })
        .collect()
}

/// A library to look for.
pub(super) struct LibrarySpec {
    /// File name before `.so`.
    name: &'static str,
    /// Interface versions to try, in order, before the file without a version.
    versions: &'static [&'static str],
    /// What the library does, as the end of a sentence.
    purpose: &'static str,
    /// What to do if the library is missing, as the end of a sentence.
    remedy: &'static str,
    /// A library that this one opens by name from its own folder.
    companion: Option<&'static str>,
    /// Whether the library comes with the driver. Otherwise it comes with a toolkit.
    is_driver: bool,
}

/// CUDA's driver.
pub(super) const DRIVER: LibrarySpec = LibrarySpec {
    name: "libcuda",
    versions: &["1"],
    purpose: "drives cards",
    remedy: "install NVIDIA's driver, or name the folder with libcuda.so.1 in LLEM_CUDA_LIBS",
    companion: None,
    is_driver: true,
};

/// NVRTC, the compiler of kernels.
pub(super) const NVRTC: LibrarySpec = LibrarySpec {
    name: "libnvrtc",
    versions: &["13", "12"],
    purpose: "compiles kernels",
    remedy: "install a CUDA toolkit or `pip install nvidia-cuda-nvrtc`, or name the folder with libnvrtc in \
             LLEM_CUDA_LIBS",
    companion: Some("libnvrtc-builtins"),
    is_driver: false,
};

/// cuBLASLt, for matrix products.
pub(super) const BLAS: LibrarySpec = LibrarySpec {
    name: "libcublasLt",
    versions: &["13", "12"],
    purpose: "multiplies matrices",
    remedy: "install a CUDA toolkit or `pip install nvidia-cublas`, or name the folder with libcublasLt in LLEM_CUDA_LIBS",
    companion: None,
    is_driver: false,
};

/// NCCL, for communication between GPUs.
pub(super) const NCCL: LibrarySpec = LibrarySpec {
    name: "libnccl",
    versions: &["2"],
    purpose: "lets several cards work together",
    remedy: "install libnccl2 or `pip install nvidia-nccl-cu13`, or name the folder with libnccl in LLEM_CUDA_LIBS",
    companion: None,
    is_driver: false,
};

/// A library that has been loaded.
pub(super) struct LoadedLibrary {
    /// The open library.
    pub library: libloading::Library,
    /// File of the library.
    pub path: PathBuf,
}

impl LibrarySpec {
    /// Finds and loads the library.
    ///
    /// # Errors
    /// [`Error::Missing`] says where llem looked and what to install.
    pub(super) fn open(&self) -> Result<LoadedLibrary> {
        static FOLDERS: OnceLock<Folders> = OnceLock::new();
        let folders =
            FOLDERS.get_or_init(|| Folders::find(|name| std::env::var_os(name), Path::new("/")));
        self.open_in(folders)
    }

    fn open_in(&self, folders: &Folders) -> Result<LoadedLibrary> {
        let mut problems = Vec::new();
        let others = if self.is_driver { &folders.driver } else { &folders.toolkits };
        let opened = self
            .open_from(&folders.requested, &mut problems)
            .or_else(|| self.open_by_name(&mut problems))
            .or_else(|| self.open_from(others, &mut problems));
        opened.ok_or_else(|| {
            let mut looked: Vec<_> = folders.requested.iter().chain(others).collect();
            looked.dedup();
            Error::Missing(self.missing_message(&looked, &problems))
        })
    }

    /// Returns the message for a library that is missing.
    fn missing_message(&self, looked: &[&PathBuf], problems: &[String]) -> String {
        let mut places = vec!["by the system's loader".to_owned()];
        places.extend(looked.iter().map(|folder| format!("in {}", folder.display())));
        let problems: String = problems.iter().map(|problem| format!(" ({problem})")).collect();
        let Self { name, versions, purpose, remedy, .. } = self;
        let version = versions[0];
        format!(
            "`--device cuda` needs {name}.so.{version}, which {purpose}: it was looked for {}{problems}; {remedy}",
            places.join(", ")
        )
    }

    /// Returns the message for a library that lacks a function.
    pub(super) fn outdated_message(&self, path: &Path, function: &str) -> String {
        format!(
            "`--device cuda` needs {function} of {}, which {} does not have: install a newer one, of CUDA 12 at least",
            self.name,
            path.display()
        )
    }

    fn open_by_name(&self, problems: &mut Vec<String>) -> Option<LoadedLibrary> {
        let versions = self.versions.iter().map(|version| format!("{}.so.{version}", self.name));
        versions.chain([format!("{}.so", self.name)]).find_map(|name| {
            let absent = format!("{name}: cannot open");
            // SAFETY: loading runs the initialisers of NVIDIA's own library, which any CUDA program runs.
            match unsafe { libloading::Library::new(&name) } {
                Ok(library) => {
                    let path = loaded_path(self.name).unwrap_or_else(|| PathBuf::from(&name));
                    Some(LoadedLibrary { library, path })
                }
                Err(error) => {
                    let problem = error.to_string();
                    if !problem.starts_with(&absent) {
                        problems.push(problem);
                    }
                    None
                }
            }
        })
    }

    fn open_from(&self, folders: &[PathBuf], problems: &mut Vec<String>) -> Option<LoadedLibrary> {
        folders.iter().filter_map(|folder| folders::file(folder, self.name)).find_map(|path| {
            self.open_companion(&path);
            // SAFETY: as above.
            match unsafe { libloading::Library::new(&path) } {
                Ok(library) => Some(LoadedLibrary { library, path }),
                Err(error) => {
                    problems.push(error.to_string());
                    None
                }
            }
        })
    }

    /// Loads the library that this one opens by name, and never unloads it. A failure is ignored, because the library
    /// itself reports it when it needs its companion.
    fn open_companion(&self, path: &Path) {
        let file = self.companion.zip(path.parent());
        if let Some(file) = file.and_then(|(name, folder)| folders::file(folder, name)) {
            // SAFETY: as above.
            if let Ok(library) = unsafe { libloading::Library::new(file) } {
                std::mem::forget(library);
            }
        }
    }
}

/// Returns the file of a loaded library from `/proc/self/maps`.
fn loaded_path(name: &str) -> Option<PathBuf> {
    let start = format!("{name}.so");
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let mut named = paths.filter(|path| {
        path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&start))
    });
    named.next().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// A library that no machine has.
    const ABSENT: LibrarySpec = LibrarySpec { name: "libllem-absent", ..NVRTC };

    #[test]
    fn what_is_missing_is_said_with_where_it_was_looked_for_and_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let folders = |requested| Folders {
            requested,
            driver: Vec::new(),
            toolkits: vec![folder.path().to_owned()],
        };
        let error = ABSENT.open_in(&folders(Vec::new())).err().unwrap();
        assert!(matches!(error, Error::Missing(_)));
        let sentence = error.to_string();
        let place = folder.path().to_string_lossy();
        for part in ["libllem-absent.so.13", "the system's loader", &place, "nvidia-cuda-nvrtc"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn a_file_that_is_no_library_is_named_with_the_loaders_reason() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libllem-absent.so.12"), "not a library").unwrap();
        let folders = Folders {
            requested: vec![folder.path().to_owned()],
            driver: Vec::new(),
            toolkits: Vec::new(),
        };
        let sentence = ABSENT.open_in(&folders).err().unwrap().to_string();
        let file = folder.path().join("libllem-absent.so.12");
        assert!(sentence.contains(&format!("({}:", file.display())), "{sentence}");
    }
}
