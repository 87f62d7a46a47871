//! The folders in which CUDA's libraries may be, apart from those that the system's loader knows. They depend only on
//! the environment and the file system, so tests can replace both.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Name of the environment variable that lists folders with CUDA's libraries, separated by colons. They are searched
/// before all others.
pub const LIBRARY_FOLDERS_VARIABLE: &str = "LLEM_CUDA_LIBS";

/// Folders of the driver's library on machines whose loader does not know them: containers, WSL, NixOS.
const DRIVER: [&str; 4] =
    ["usr/local/nvidia/lib64", "usr/lib/wsl/lib", "run/opengl-driver/lib", "usr/lib64/nvidia"];

/// Folders to search, in order. All of them exist.
pub(super) struct Folders {
    /// The folders of [`LIBRARY_FOLDERS_VARIABLE`], which are searched before the system's loader.
    pub requested: Vec<PathBuf>,
    /// Folders of the driver, which are searched after the system's loader.
    pub driver: Vec<PathBuf>,
    /// Folders of toolkits and Python environments, which are searched after the system's loader.
    pub toolkits: Vec<PathBuf>,
}

impl Folders {
    /// Finds the folders. `variable` returns an environment variable, and `root` is the root of the file system.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>, root: &Path) -> Self {
        let all = |name: &str| -> Vec<PathBuf> {
            variable(name).iter().flat_map(std::env::split_paths).collect()
        };
        let requested = existing(all(LIBRARY_FOLDERS_VARIABLE));
        let driver = existing(DRIVER.map(|folder| root.join(folder)));

        let mut toolkits = Vec::new();
        let local = root.join("usr/local");
        let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().flat_map(all);
        for toolkit in named.chain([local.join("cuda")]).chain(children(&local, "cuda-")) {
            toolkits.extend(["lib64", "targets/x86_64-linux/lib"].map(|lib| toolkit.join(lib)));
        }
        let mut prefixes: Vec<PathBuf> =
            ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().flat_map(all).collect();
        if let Some(python) =
            all("PATH").iter().map(|folder| folder.join("python3")).find(|path| path.is_file())
        {
            // In a virtual environment, python3 is a link to the python3 that the environment was made from.
            let resolved = python.canonicalize().ok();
            prefixes.extend(
                [Some(python), resolved].into_iter().flatten().filter_map(|path| prefix(&path)),
            );
        }
        prefixes.extend(all("HOME").iter().map(|home| home.join(".local")));
        prefixes.extend([local, root.join("usr")]);
        for prefix in prefixes {
            let lib = prefix.join("lib");
            for python in children(&lib, "python3") {
                for packages in ["site-packages", "dist-packages"] {
                    let wheels = children(&python.join(packages).join("nvidia"), "");
                    toolkits.extend(wheels.into_iter().map(|wheel| wheel.join("lib")));
                }
            }
        }
        // A conda environment has the toolkit's libraries in the same folder as all others.
        toolkits.extend(all("CONDA_PREFIX").iter().map(|prefix| prefix.join("lib")));
        Self { requested, driver, toolkits: existing(toolkits) }
    }
}

/// Returns `PREFIX` of `PREFIX/bin/python3`.
fn prefix(python: &Path) -> Option<PathBuf> {
    Some(python.parent()?.parent()?.to_owned())
}

fn existing(folders: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        if folder.is_dir() && !found.contains(&folder) {
            found.push(folder);
        }
    }
    found
}

/// Returns the entries of a folder whose names begin with `start`, the highest version first.
fn children(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path())
        .collect();
    found.sort_by_key(|path| std::cmp::Reverse(version(path)));
    found
}

/// Returns a library's file in a folder: `libX.so` or `libX.so.VERSION`. If there are several, the one with the highest
/// version.
pub(super) fn file(folder: &Path, library: &str) -> Option<PathBuf> {
    let name = format!("{library}.so");
    let is_it = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    children(folder, &name).into_iter().find(is_it)
}

/// Returns the numbers in a file's name, then the name, as a key for sorting.
fn version(path: &Path) -> (Vec<u64>, OsString) {
    let name = path.file_name().unwrap_or_default();
    let text = name.to_string_lossy();
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    (numbers.collect(), name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    /// Makes a file system with empty files.
    fn root(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    fn find(root: &tempfile::TempDir, variables: &[(&str, &str)]) -> Folders {
        let variable = |name: &str| {
            let (_, folders) = variables.iter().find(|(known, _)| *known == name)?;
            let folders = folders.split(':').map(|folder| root.path().join(folder));
            Some(std::env::join_paths(folders).unwrap())
        };
        Folders::find(variable, root.path())
    }

    fn relative(root: &tempfile::TempDir, folders: &[PathBuf]) -> Vec<String> {
        let text = |folder: &PathBuf| {
            folder.strip_prefix(root.path()).unwrap().to_string_lossy().into_owned()
        };
        folders.iter().map(text).collect()
    }

    #[test]
    fn nothing_is_found_on_an_empty_machine() {
        let root = root(&[]);
        let folders = find(
            &root,
            &[(LIBRARY_FOLDERS_VARIABLE, "gone"), ("CUDA_HOME", "gone"), ("PATH", "bin")],
        );
        assert!(folders.requested.is_empty() && folders.driver.is_empty());
        assert!(folders.toolkits.is_empty());
    }

    #[test]
    fn toolkits_come_before_wheels_and_new_ones_before_old_ones() {
        let root = root(&[
            "opt/cuda/lib64/libnvrtc.so",
            "usr/local/cuda-9.2/lib64/libnvrtc.so",
            "usr/local/cuda-12.4/lib64/libnvrtc.so",
            "env/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13",
            "env/lib/python3.12/site-packages/nvidia/nccl/lib/libnccl.so.2",
            "requested/libnvrtc.so.12",
            "usr/local/nvidia/lib64/libcuda.so.1",
        ]);
        let variables = [
            ("CUDA_HOME", "opt/cuda"),
            ("VIRTUAL_ENV", "env"),
            (LIBRARY_FOLDERS_VARIABLE, "requested:gone:requested"),
        ];
        let folders = find(&root, &variables);
        assert_eq!(relative(&root, &folders.requested), ["requested"]);
        assert_eq!(relative(&root, &folders.driver), ["usr/local/nvidia/lib64"]);
        let expected = [
            "opt/cuda/lib64",
            "usr/local/cuda-12.4/lib64",
            "usr/local/cuda-9.2/lib64",
            "env/lib/python3.12/site-packages/nvidia/cu13/lib",
            "env/lib/python3.12/site-packages/nvidia/nccl/lib",
        ];
        let mut found = relative(&root, &folders.toolkits);
        found[3..].sort();
        assert_eq!(found, expected);
    }

    #[cfg(unix)]
    #[test]
    fn wheels_of_the_python_on_the_path_are_found_through_its_link_too() {
        let root = root(&[
            "installed/bin/python3",
            "installed/lib/python3.11/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
            "env/bin/other",
            "env/lib/python3.11/site-packages/nvidia/cu13/lib/libnvrtc.so.13",
        ]);
        let base = root.path();
        std::os::unix::fs::symlink(
            base.join("installed/bin/python3"),
            base.join("env/bin/python3"),
        )
        .unwrap();
        let folders = find(&root, &[("PATH", "gone:env/bin")]);
        let canonical = base.canonicalize().unwrap();
        let expected = [base.join("env"), canonical.join("installed")]
            .map(|prefix| prefix.join("lib/python3.11/site-packages/nvidia/cu13/lib"));
        assert_eq!(folders.toolkits, expected);
    }

    #[test]
    fn the_newest_file_of_a_library_is_taken_and_no_other_library() {
        let root = root(&[
            "libnvrtc.so",
            "libnvrtc.so.9",
            "libnvrtc.so.13",
            "libnvrtc.alt.so.13",
            "libnvrtc-builtins.so.13.0",
        ]);
        let found = |library| {
            let file = file(root.path(), library)?;
            Some(file.file_name().unwrap().to_string_lossy().into_owned())
        };
        assert_eq!(found("libnvrtc").unwrap(), "libnvrtc.so.13");
        assert_eq!(found("libnvrtc-builtins").unwrap(), "libnvrtc-builtins.so.13.0");
        assert_eq!(found("libcublasLt"), None);
    }
}
