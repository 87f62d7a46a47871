//! Tells the program how it was built: `LLEM_BUILD_*`, which `src/build_info.rs` reads.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the program is made of, below the repository's root. Changes elsewhere do not make it another program.
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
    // What the sources are is asked again after they have changed, which builds the program anew anyway.
    for source in SOURCES {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
}

/// The commit, and `modified` or `none` for what the sources differ in; `None` where the root is no repository's.
fn revision(root: &Path) -> Option<(String, &'static str)> {
    let git = |args: &[&str]| output(Command::new("git").arg("-C").arg(root).args(args));
    // An unpacked archive may lie within the repository of something else.
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    let revision = git(&["rev-parse", "HEAD"])?;
    // HEAD tells of another branch, the branch and the log of HEAD of another commit. Of a worktree, HEAD is in a folder of
    // its own, and branches are in the common one.
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD"].into_iter().chain(branch.as_deref()) {
        let path = root.join(git(&["rev-parse", "--git-path", name])?);
        // Cargo takes a file that is missing for one that has changed, and would build anew each time.
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    let changes = git(&[&["status", "--porcelain", "--"], &SOURCES[..]].concat())?;
    Some((revision, if changes.is_empty() { "none" } else { "modified" }))
}

/// What a program prints, if it ends well.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
