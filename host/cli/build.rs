//! Passes information about the build to the program as `LLEM_BUILD_*`, which `src/build_info.rs` reads. Packs the SDKs
//! and the WIT package, which `src/project/sdk.rs` unpacks.

use sha2::{Digest, Sha256};
use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use walkdir::{DirEntry, WalkDir};

/// The sources of the program, below the repository's root. Changes elsewhere do not change the program.
const SOURCES: [&str; 11] = [
    "host",
    "wit",
    "scripts/quickstart/quickstart.wasm",
    "guest-sdk/runner/runner.wasm",
    "guest-sdk/defaults/defaults.wasm",
    "guest-sdk/rust",
    "guest-sdk/python",
    "guest-sdk/js",
    "guest-sdk/c",
    "Cargo.toml",
    "Cargo.lock",
];

/// What is packed: the WIT package and the SDKs. Paths stay as they are in the repository, so that the SDKs find the package.
const PACKED: [&str; 5] =
    ["wit", "guest-sdk/rust", "guest-sdk/python", "guest-sdk/js", "guest-sdk/c"];

/// Folders that tools make in an SDK, besides those in its `.gitignore`.
const MADE: [&str; 6] = ["node_modules", "dist", "build", "target", "venv", "__pycache__"];

/// Folders of an SDK's own tests, directly below it. Templates have tests too, which are packed.
const TESTS: [&str; 2] = ["test", "tests"];

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let rustc = output(Command::new(variable("RUSTC")).arg("--version")).unwrap_or_default();
    println!("cargo:rustc-env=LLEM_BUILD_RUSTC={rustc}");
    for (name, given) in [
        ("PROFILE", "PROFILE"),
        ("OPT_LEVEL", "OPT_LEVEL"),
        ("TARGET", "TARGET"),
        ("TARGET_FEATURES", "CARGO_CFG_TARGET_FEATURE"),
    ] {
        println!("cargo:rustc-env=LLEM_BUILD_{name}={}", variable(given));
    }
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    let (revision, changes) = revision(&root).unwrap_or_default();
    println!("cargo:rustc-env=LLEM_BUILD_REVISION={revision}");
    println!("cargo:rustc-env=LLEM_BUILD_CHANGES={changes}");
    pack(&root, &Path::new(&variable("OUT_DIR")).join("sdk_files.rs"));
    // Cargo runs this script again after a source has changed, when it builds the program anyway.
    for source in SOURCES {
        // Cargo takes a missing file for a change.
        if root.join(source).exists() {
            println!("cargo:rerun-if-changed={}", root.join(source).display());
        }
    }
}

/// Writes a Rust expression of all packed files, as pairs of a path and its content, and sets `LLEM_BUILD_SDK` to a digest
/// of them.
fn pack(root: &Path, to: &Path) {
    let (mut hash, mut list) = (Sha256::new(), "&[\n".to_owned());
    for name in PACKED {
        let top = root.join(name);
        let ignored = fs::read_to_string(top.join(".gitignore")).unwrap_or_default();
        let is_packed = |entry: &DirEntry| is_packed(entry) && !is_ignored(entry, &top, &ignored);
        let walk = WalkDir::new(&top).sort_by_file_name().into_iter().filter_entry(is_packed);
        let files = walk.flatten().filter(|file| file.file_type().is_file());
        for file in files {
            let path = fs::canonicalize(file.path()).expect("a file that was just listed");
            let name = file.path().strip_prefix(root).expect("a file below the root");
            let content = fs::read(&path).expect("a readable source");
            hash.update((name.as_os_str().len() as u64).to_le_bytes());
            hash.update(name.as_os_str().as_encoded_bytes());
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&content);
            writeln!(list, "    ({name:?}, include_bytes!({path:?})),").expect("a text grows");
        }
    }
    list.push_str("]\n");
    fs::write(to, list).expect("a writable OUT_DIR");
    println!("cargo:rustc-env=LLEM_BUILD_SDK={:x}", hash.finalize());
}

fn is_packed(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_made = entry.depth() > 0
        && entry.file_type().is_dir()
        && (MADE.contains(&&*name) || name.ends_with(".egg-info"));
    let is_test = entry.depth() == 1 && TESTS.contains(&&*name);
    let is_hidden = entry.depth() > 0 && name.starts_with('.') && name != ".gitignore";
    let is_binary = [".wasm", ".pyc", ".whl", ".tgz"].iter().any(|ending| name.ends_with(ending));
    !(is_made || is_test || is_hidden || is_binary)
}

/// Whether the SDK's `.gitignore` names a file or folder by its path below the SDK. Those are made by tools, and a build
/// must not depend on which of them were run.
fn is_ignored(entry: &DirEntry, top: &Path, ignored: &str) -> bool {
    let path = entry.path().strip_prefix(top).unwrap_or(entry.path());
    let mut paths = ignored.lines().filter_map(|line| line.strip_prefix('/'));
    entry.depth() > 0 && paths.any(|line| path == Path::new(line.trim_end_matches('/')))
}

/// Returns the commit, and `modified` or `none` for changes of the sources. Returns `None` if the root is not a
/// repository.
fn revision(root: &Path) -> Option<(String, &'static str)> {
    let git = |args: &[&str]| output(Command::new("git").arg("-C").arg(root).args(args));
    // An unpacked archive may be inside the repository of another project.
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    let revision = git(&["rev-parse", "HEAD"])?;
    // The file HEAD changes with the branch; the branch and the log of HEAD change with the commit. In a worktree, HEAD
    // is in its own folder, and branches are in the common one.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        let path = root.join(git(&["rev-parse", "--git-path", name])?);
        // Cargo treats a missing file as changed, and would build again each time.
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let changes = git(&[&["status", "--porcelain", "--"], &SOURCES[..]].concat())?;
    Some((revision, if changes.is_empty() { "none" } else { "modified" }))
}

/// The output of a program, or `None` if it fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
