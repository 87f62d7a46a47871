//! Bundles that were changed or damaged after they were made.

use crate::{
    run::{Run, digest, tree},
    zips::{files, ranges, zipped},
};
use llem_bundle::Error;

#[test]
fn a_flipped_byte_in_any_file_is_refused_by_name() {
    let run = Run::new();
    let bytes = run.bundled();
    for (name, range) in ranges(&bytes) {
        for place in [range.start, (range.start + range.end) / 2, range.end - 1] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            let error = run.open(&flipped).err().expect(&name);
            assert!(error.is_input() && error.to_string().contains(&name), "{error}");
        }
    }
}

#[test]
fn a_changed_file_in_an_intact_zip_is_refused_by_name() {
    let run = Run::new();
    let intact = files(&run.bundled());
    run.open(&zipped(&intact)).unwrap();
    for index in 0..intact.len() {
        let mut changed = intact.clone();
        let (name, content) = &mut changed[index];
        let name = name.clone();
        content[0] ^= 1;
        let error = run.open(&zipped(&changed)).err().expect(&name);
        let is_named = match name.as_str() {
            "manifest-sha256.txt" => error.to_string().contains("line 1 of the manifest"),
            name => {
                matches!(&error, Error::Changed { name: found, .. } if found == name)
            }
        };
        assert!(is_named || name == "manifest-sha256.txt", "{name}: {error}");
    }
}

#[test]
fn a_file_that_is_missing_or_added_is_refused_by_name() {
    let run = Run::new();
    let intact = files(&run.bundled());
    for index in 0..intact.len() {
        let mut fewer = intact.clone();
        let (name, _) = fewer.remove(index);
        let error = run.open(&zipped(&fewer)).err().expect(&name);
        assert!(matches!(&error, Error::Missing { name: found, .. } if *found == name), "{error}");
    }
    let mut more = intact.clone();
    more.push(("run/more.json".to_owned(), b"{}".to_vec()));
    let error = run.open(&zipped(&more)).err().unwrap();
    assert!(matches!(&error, Error::Unlisted { name, .. } if name == "run/more.json"), "{error}");
}

/// Replaces files, and writes a manifest that fits.
fn forged(intact: &[(String, Vec<u8>)], changes: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut files: Vec<(String, Vec<u8>)> = intact
        .iter()
        .filter(|(name, _)| {
            name != "manifest-sha256.txt" && changes.iter().all(|(own, _)| own != name)
        })
        .cloned()
        .collect();
    files.extend(changes.iter().map(|(name, content)| ((*name).to_owned(), content.clone())));
    let line = |(name, content): &(String, Vec<u8>)| format!("{}  {name}\n", &digest(content)[7..]);
    let manifest: String = files.iter().map(line).collect();
    files.push(("manifest-sha256.txt".to_owned(), manifest.into()));
    zipped(&files)
}

/// Without a signature, anybody can write a manifest that fits; the record and its journal still show what does not belong.
#[test]
fn a_forged_manifest_does_not_hide_another_file() {
    let run = Run::new();
    let intact = files(&run.bundled());
    let content = |name: &str| intact.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let replaced = |name: &str, old: &str, new: &str| {
        let text = String::from_utf8(content(name)).unwrap();
        assert!(text.contains(old), "{name}");
        text.replace(old, new).into_bytes()
    };
    run.open(&forged(&intact, &[])).unwrap();
    let component = "components/experiment-a__method.wasm";
    let source = "sources/experiment-a__method/method.wat";
    for (name, bytes, words) in [
        (component, b"other".to_vec(), "components/experiment-a"),
        (source, b"(other)".to_vec(), "sources 'a"),
        ("datasets/prompts.jsonl", b"other".to_vec(), "'datasets/prompts.jsonl'"),
        ("datasets/more.jsonl", b"other".to_vec(), "'datasets/more.jsonl'"),
        ("components/more.wasm", b"other".to_vec(), "'components/more.wasm'"),
        ("run/more.json", b"{}".to_vec(), "'run/more.json'"),
        ("run/artifacts/zeros.bin", b"other".to_vec(), "artifact 'artifacts/zeros.bin'"),
        ("run/run.json", replaced("run/run.json", "\"hot\"", "\"cold\""), "'warnings.0'"),
        ("run/events.jsonl", replaced("run/events.jsonl", "\"hot\"", "\"cold\""), "'warnings.0'"),
        ("run/run.json", replaced("run/run.json", "\"id\"", "\"ID\""), "is no record"),
    ] {
        let error = run.open(&forged(&intact, &[(name, bytes)])).err().expect(name);
        assert!(error.is_input() && error.to_string().contains(words), "{name}: {error}");
    }
}

/// A bundle with any byte changed is refused, or holds the same files: dates and the like are no content.
#[test]
fn no_flipped_byte_gives_another_content() {
    let run = Run::new();
    let bytes = run.bundled();
    let unpacked = |bytes: &[u8]| {
        let folder = tempfile::tempdir().unwrap();
        run.open(bytes)?.unpack(folder.path())?;
        Ok::<_, Error>(tree(folder.path()))
    };
    let intact = unpacked(&bytes).unwrap();
    // Every byte of headers and table, and some of each file's content.
    let contents = ranges(&bytes);
    let is_content = |place: &usize| contents.iter().any(|(_, range)| range.contains(place));
    let places = (0..bytes.len()).filter(|place| !is_content(place) || place % 4999 == 0);
    let (mut refused, mut accepted) = (0, 0);
    for place in places {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        match unpacked(&flipped) {
            Ok(found) => {
                accepted += 1;
                assert!(found == intact, "byte {place}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > accepted, "{refused} refused, {accepted} accepted");
}

#[test]
fn a_bundle_that_is_cut_anywhere_is_refused() {
    let run = Run::new();
    let bytes = run.bundled();
    for length in (0..bytes.len()).step_by(bytes.len() / 50).chain([bytes.len() - 1]) {
        let error = run.open(&bytes[..length]).err().expect("it is cut");
        assert!(error.is_input(), "{length}: {error}");
    }
}
