//! What a bundle holds.

use crate::{
    run::{COMPONENT, DATASET, Run, digest, tree},
    zips::files,
};
use llem_bundle::{Bundle, Error, NewBundle, Unverified, Verified};
use std::fs;

#[test]
fn a_bundle_holds_what_the_record_names() {
    let run = Run::new();
    let bundle = run.bundle("made.zip").unwrap();
    assert_eq!(bundle.record().id, "run");
    let holds = |wanted: &Verified| bundle.verified().contains(wanted);
    assert!(holds(&Verified::Record { id: "run".to_owned() }));
    assert!(holds(&Verified::Artifacts { files: 1 }));
    assert!(holds(&Verified::Dataset { name: "prompts".to_owned(), digest: digest(DATASET) }));
    let is_sources = |found: &Verified| matches!(found, Verified::Sources { files: 1, .. });
    assert!(bundle.verified().iter().any(is_sources), "{:?}", bundle.verified());
    assert_eq!(bundle.unverified(), []);

    let folder = tempfile::tempdir().unwrap();
    let unpacked = bundle.unpack(folder.path()).unwrap();
    let read = |digest: &str| fs::read(unpacked.file_with_digest(digest).unwrap()).unwrap();
    assert_eq!(read(&digest(COMPONENT)), COMPONENT);
    assert_eq!(read(&digest(DATASET)), DATASET);
    assert_eq!(unpacked.file_with_digest(&digest(b"other")), None);
    assert_eq!(unpacked.adapter("none"), None);
    assert_eq!(tree(unpacked.record()), tree(&run.path("run")));
    let names: Vec<String> = tree(folder.path()).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "CITATION.cff",
        "LICENSE",
        "README.md",
        "components/experiment-a__method.wasm",
        "datasets/prompts.jsonl",
        "manifest-sha256.txt",
        "report.html",
        "ro-crate-metadata.json",
        "run/artifacts/zeros.bin",
        "run/events.jsonl",
        "run/run.json",
        "sources/experiment-a__method/method.wat",
    ];
    assert_eq!(names, expected);
    // It is unpacked into no folder that has such files.
    assert!(matches!(bundle.unpack(folder.path()), Err(Error::Io { .. })));
}

#[test]
fn equal_runs_give_equal_bytes() {
    let run = Run::new();
    let first = run.bundled();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(run.bundled(), first);
}

#[test]
fn a_dataset_may_be_left_out() {
    let run = Run::new();
    let mut bundle = run.begin().unwrap();
    let record = bundle.record().clone();
    let component = &record.plan.components[0];
    bundle.add_component(component, "method.wasm", COMPONENT.to_vec(), None).unwrap();
    let bundle = bundle.write(&run.path("small.zip")).unwrap();
    let name = record.plan.components[0].name.clone();
    assert_eq!(
        bundle.unverified(),
        [
            Unverified::Sources { component: name },
            Unverified::Dataset { name: "prompts".to_owned(), digest: digest(DATASET) },
        ]
    );
    let readme = files(&fs::read(run.path("small.zip")).unwrap());
    let (_, readme) = readme.into_iter().find(|(name, _)| name == "README.md").unwrap();
    let readme = String::from_utf8(readme).unwrap();
    let (_, outside) = readme.split_once("## Not inside").unwrap();
    assert!(outside.contains("dataset: prompts was left out"), "{readme}");
    assert!(!readme.contains('\u{202e}'), "{readme}");
}

#[test]
fn files_that_changed_after_the_run_are_refused_by_name() {
    for (file, words) in [
        ("method.wasm", ["component 'a \u{202e}method'", "LLEM_CACHE"]),
        ("method.wat", ["sources 'a \u{202e}method'", "check out the sources"]),
        ("prompts.v2.jsonl", ["dataset 'prompts'", "--without-datasets"]),
        ("run/artifacts/zeros.bin", ["artifact 'artifacts/zeros.bin'", "as it was then"]),
        ("run/run.json", ["run.json and events.jsonl disagree about 'wall_ns'", "as llem wrote"]),
    ] {
        let run = Run::new();
        let content = fs::read(run.path(file)).unwrap();
        let changed = match file {
            "run/run.json" => {
                String::from_utf8(content).unwrap().replace("1500000000", "1500000001").into()
            }
            _ => [&content[..], b" "].concat(),
        };
        fs::write(run.path(file), changed).unwrap();
        let error = run.bundle("made.zip").err().expect(file);
        assert!(error.is_input());
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(!run.path("made.zip").exists());
    }
}

#[test]
fn a_bundle_without_its_component_or_author_is_refused() {
    let run = Run::new();
    let error = run.begin().unwrap().write(&run.path("made.zip")).err().unwrap();
    assert!(error.to_string().contains("components/experiment-a"), "{error}");
    let nobody = NewBundle::new(&run.path("run"), Vec::new(), None);
    assert!(matches!(nobody, Err(Error::NoAuthor)));
}

#[test]
fn a_run_that_goes_on_is_refused() {
    let run = Run::new();
    let begun = fs::read_to_string(run.path("run/run.json")).unwrap();
    fs::write(run.path("run/run.json"), begun.replace("\"completed\"", "\"running\"")).unwrap();
    let error = run.begin().err().unwrap();
    assert!(matches!(error, Error::NotEnded(_)) && error.to_string().contains("llem recover"));
}

#[test]
fn a_file_that_is_no_bundle_is_refused() {
    let run = Run::new();
    for path in ["run/run.json", "run"] {
        assert!(Bundle::open(&run.path(path)).is_err());
    }
    let error = Bundle::open(&run.path("nowhere.zip")).err().unwrap();
    assert!(error.is_input() && error.to_string().contains("nowhere.zip"));
}
