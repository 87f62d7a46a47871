//! CUDA's libraries: which are needed, where each is found, and what to install if it is not.
//!
//! ```text
//! LLEM_CUDA_LIBS ──► the system's loader ──► the driver's folders, or those of toolkits and Python environments
//! ```
//!
//! A library is opened by its path, and stays open. Others that need it then find it by its name: the loader knows what is
//! loaded already.

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

/// One of the libraries that a card is used through.
#[derive(Clone, Debug)]
pub struct Library {
    /// What it is called: `libcuda`.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Its path, or [`Error::Missing`] with where it was looked for and what to install.
    pub path: Result<PathBuf>,
}

/// Loads each library and tells where it is, or why it cannot be had. NCCL is only needed by several cards.
pub fn libraries() -> Vec<Library> {
    let paths = [
        functions::driver().map(|table| table.path.clone()),
        functions::nvrtc().map(|table| table.path.clone()),
        functions::blas().map(|table| table.path.clone()),
        functions::nccl().map(|table| table.path.clone()),
    ];
    [&DRIVER, &NVRTC, &BLAS, &NCCL]
        .into_iter()
        .zip(paths)
        .map(|(wanted, path)| Library { name: wanted.name, purpose: wanted.purpose, path })
        .collect()
}

/// A library to look for.
pub struct Wanted {
    /// Its file's name before `.so`.
    name: &'static str,
    /// Versions of its interface that the loader is asked for, before the file without one.
    versions: &'static [&'static str],
    /// What it is for, as the end of a sentence.
    purpose: &'static str,
    /// What to do if it is missing, as a sentence's end.
    remedy: &'static str,
    /// A library that it opens by name from its own folder.
    companion: Option<&'static str>,
    /// Whether it comes with the driver rather than with a toolkit.
    is_driver: bool,
}

/// CUDA's driver.
pub const DRIVER: Wanted = Wanted {
    name: "libcuda",
    versions: &["1"],
    purpose: "drives cards",
    remedy: "install NVIDIA's driver, or name the folder with libcuda.so.1 in LLEM_CUDA_LIBS",
    companion: None,
    is_driver: true,
};

/// The compiler of kernels.
pub const NVRTC: Wanted = Wanted {
    name: "libnvrtc",
    versions: &["13", "12"],
    purpose: "compiles kernels",
    remedy: "install a CUDA toolkit or `pip install nvidia-cuda-nvrtc`, or name the folder with libnvrtc in \
             LLEM_CUDA_LIBS",
    companion: Some("libnvrtc-builtins"),
    is_driver: false,
};

/// Matrix products.
pub const BLAS: Wanted = Wanted {
    name: "libcublasLt",
    versions: &["13", "12"],
    purpose: "multiplies matrices",
    remedy: "install a CUDA toolkit or `pip install nvidia-cublas`, or name the folder with libcublasLt in LLEM_CUDA_LIBS",
    companion: None,
    is_driver: false,
};

/// Communication between cards.
pub const NCCL: Wanted = Wanted {
    name: "libnccl",
    versions: &["2"],
    purpose: "lets several cards work together",
    remedy: "install libnccl2 or `pip install nvidia-nccl-cu13`, or name the folder with libnccl in LLEM_CUDA_LIBS",
    companion: None,
    is_driver: false,
};

/// A library that is loaded.
pub struct Opened {
    /// Its functions.
    pub library: libloading::Library,
    /// Its file.
    pub path: PathBuf,
}

impl Wanted {
    /// Loads it.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn open(&self) -> Result<Opened> {
        static FOLDERS: OnceLock<Folders> = OnceLock::new();
        let folders =
            FOLDERS.get_or_init(|| Folders::find(|name| std::env::var_os(name), Path::new("/")));
        self.open_in(folders)
    }

    fn open_in(&self, folders: &Folders) -> Result<Opened> {
        let mut problems = Vec::new();
        let others = if self.is_driver { &folders.driver } else { &folders.toolkits };
        let opened = self
            .open_from(&folders.asked, &mut problems)
            .or_else(|| self.open_by_name(&mut problems))
            .or_else(|| self.open_from(others, &mut problems));
        opened.ok_or_else(|| {
            let mut looked: Vec<_> = folders.asked.iter().chain(others).collect();
            looked.dedup();
            Error::Missing(self.sentence(&looked, &problems))
        })
    }

    /// What is said if it is missing.
    fn sentence(&self, looked: &[&PathBuf], problems: &[String]) -> String {
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

    /// What is said if it has not a function that is called.
    pub fn outdated(&self, path: &Path, function: &str) -> String {
        format!(
            "`--device cuda` needs {function} of {}, which {} does not have: install a newer one, of CUDA 12 at least",
            self.name,
            path.display()
        )
    }

    fn open_by_name(&self, problems: &mut Vec<String>) -> Option<Opened> {
        let versions = self.versions.iter().map(|version| format!("{}.so.{version}", self.name));
        versions.chain([format!("{}.so", self.name)]).find_map(|name| {
            let absent = format!("{name}: cannot open");
            // SAFETY: loading runs the initialisers of NVIDIA's own library, which any CUDA program runs.
            match unsafe { libloading::Library::new(&name) } {
                Ok(library) => {
                    let path = loaded_path(self.name).unwrap_or_else(|| PathBuf::from(&name));
                    Some(Opened { library, path })
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

    fn open_from(&self, folders: &[PathBuf], problems: &mut Vec<String>) -> Option<Opened> {
        folders.iter().filter_map(|folder| folders::file(folder, self.name)).find_map(|path| {
            self.open_companion(&path);
            // SAFETY: as above.
            match unsafe { libloading::Library::new(&path) } {
                Ok(library) => Some(Opened { library, path }),
                Err(error) => {
                    problems.push(error.to_string());
                    None
                }
            }
        })
    }

    /// Loads what the library opens by its name alone, for good. If it cannot be, the library itself says so when it needs it.
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

/// The file of a loaded library, as the kernel lists it.
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
    const ABSENT: Wanted = Wanted { name: "libllem-absent", ..NVRTC };

    #[test]
    fn what_is_missing_is_said_with_where_it_was_looked_for_and_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let folders =
            |asked| Folders { asked, driver: Vec::new(), toolkits: vec![folder.path().to_owned()] };
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
            asked: vec![folder.path().to_owned()],
            driver: Vec::new(),
            toolkits: Vec::new(),
        };
        let sentence = ABSENT.open_in(&folders).err().unwrap().to_string();
        let file = folder.path().join("libllem-absent.so.12");
        assert!(sentence.contains(&format!("({}:", file.display())), "{sentence}");
    }
}
