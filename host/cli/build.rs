//! Passes information about the build to the program as `LLEM_BUILD_*`, which `src/build_info.rs` reads.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The sources of the program, below the repository's root. Changes elsewhere do not change the program.
const SOURCES: [&str; 7] = [
    "host",
    "wit",
    "scripts/quickstart/quickstart.wasm",
    "guest-sdk/runner/runner.wasm",
    "guest-sdk/defaults/defaults.wasm",
    "Cargo.toml",
    "Cargo.lock",
];

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
    // Cargo runs this script again after a source has changed, when it builds the program anyway.
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
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
