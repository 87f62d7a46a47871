//! The WIT package grows without breaking published components: it is compared with every version in `tests/frozen`.

use crate::support::{TestContext, contract_version};
use std::{
    fs,
    path::{Path, PathBuf},
};
use wit_component::semver_check;
use wit_parser::{PackageId, Resolve, UnresolvedPackageGroup};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn frozen(version: &str, file: &str) -> String {
    root().join("tests/frozen").join(version).join(file).display().to_string()
}

/// Returns the versions whose WIT text is published, in order.
fn published() -> Vec<String> {
    let folders = fs::read_dir(root().join("tests/frozen")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let with_text = folders.filter(|folder| folder.join("wit").is_dir());
    let name = |folder: PathBuf| folder.file_name().unwrap().to_str().unwrap().to_owned();
    let mut versions: Vec<String> = with_text.map(name).collect();
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').map(|number| number.parse().unwrap()).collect()
    };
    versions.sort_by_key(|version| numbers(version));
    versions
}

/// Resolves two texts of the package, under invented versions because their own may be equal.
fn pair(old: &Path, new: &Path) -> (Resolve, [PackageId; 2]) {
    let mut resolve = Resolve::default();
    let ids = [(old, "0.0.1"), (new, "0.0.2")].map(|(folder, version)| {
        let mut group = UnresolvedPackageGroup::parse_dir(folder).unwrap();
        group.main.name.version = Some(version.parse().unwrap());
        resolve.push_group(group).unwrap()
    });
    (resolve, ids)
}

/// Fails unless, for every world of the old text, the new text offers at least as much in the same form.
fn check(old: &Path, new: &Path) -> Result<(), String> {
    let (resolve, [old, new]) = pair(old, new);
    for (name, &world) in &resolve.packages[old].worlds {
        let Some(&other) = resolve.packages[new].worlds.get(name) else {
            return Err(format!("there is no world {name} any more"));
        };
        semver_check(resolve.clone(), world, other)
            .map_err(|error| format!("world {name}: {error:#}"))?;
    }
    Ok(())
}

#[test]
fn the_package_still_fits_everything_that_was_published() {
    let (wit, versions) = (root().join("wit"), published());
    for version in &versions {
        let text = PathBuf::from(frozen(version, "wit"));
        check(&text, &wit).unwrap_or_else(|error| panic!("breaks {version}: {error}"));
    }
    let newest = versions.last().expect("a version is published");
    if *newest == contract_version() {
        let text = PathBuf::from(frozen(newest, "wit"));
        check(&wit, &text).unwrap_or_else(|error| {
            panic!("wit/ has more than {newest}, whose name it bears: raise its version. {error}")
        });
    }
}

/// The check above can fail: it finds each of these changes to a published text.
#[test]
fn changes_of_what_was_published_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let original = root().join("wit");
    let changed = |file: &str, from: &str, to: &str| {
        for entry in fs::read_dir(&original).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let is_it = path.ends_with(file);
            assert!(!is_it || text.contains(from), "{from} is not in {file}");
            let text = if is_it { text.replacen(from, to, 1) } else { text };
            fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
        }
        [check(&original, folder.path()), check(folder.path(), &original)]
    };
    let same = changed("types.wit", "/// A number.", "/// Any number.");
    assert!(same.iter().all(Result::is_ok), "{same:?}");
    let grown = changed(
        "meter.wit",
        "label: func() -> string;",
        "label: func() -> string;\nname: func() -> string;",
    );
    assert!(grown[0].is_ok() && grown[1].is_err(), "{grown:?}");
    for (file, from, to) in [
        ("types.wit", "unit: string,", "unit: string,\nscale: f64,"),
        ("types.wit", "/// The work was started and failed.\n        failed,", "failed,\nlost,"),
        ("requests.wit", "set-seed: func(seed: option<u64>)", "set-seed: func(seed: u64)"),
        ("batches.wit", "max-sequences: func() -> u32;", ""),
        ("inputs.wit", "seed: func() -> u64;", "seed: func() -> s64;"),
    ] {
        let broken = changed(file, from, to);
        assert!(broken[0].is_err(), "{from} -> {to}: {broken:?}");
    }
}

#[test]
fn components_of_version_0_1_are_refused_with_what_to_do() {
    for file in ["quickstart.wasm", "policies.wasm"] {
        let file = frozen("0.1.0", file);
        let words = ["was made for llem:experiment 0.1.0", "build it again with the SDK"];
        TestContext::new().llem(&["exec", &file]).refused(2, &words);
        TestContext::new().llem(&["inspect", &file]).refused(2, &words);
    }
}

#[test]
fn components_of_every_version_0_2_run() {
    let versions = published();
    assert!(versions.contains(&"0.2.0".to_owned()), "{versions:?}");
    for version in versions {
        let (experiment, policies) =
            (frozen(&version, "quickstart.wasm"), frozen(&version, "policies.wasm"));
        let small = ["-p", "rounds=1", "-p", "new-tokens=4"];
        TestContext::new().llem(&[&["exec", &experiment][..], &small].concat()).ok();
        let small = ["-p", "requests=2", "-p", "new-tokens=3", "-p", "prompt-tokens=9"];
        TestContext::new().llem(&[&["exec", &policies][..], &small].concat()).ok();
    }
}
