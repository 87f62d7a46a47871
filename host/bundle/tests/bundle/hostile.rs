//! Zips that were crafted to write elsewhere, to fill a disk, or to show different files to different programs.

use crate::{
    run::Run,
    zips::{Entry, crafted},
};
use llem_bundle::Error;

/// Opens a zip with one ordinary file and these.
fn open(entries: &[Entry]) -> Error {
    let all = [&[Entry::new("first", b"first")], entries].concat();
    Run::new().open(&crafted(&all)).err().expect("refused")
}

/// A zip that is crafted without malice is read.
#[test]
fn a_crafted_zip_of_a_bundle_is_a_bundle() {
    let run = Run::new();
    let files = crate::zips::files(&run.bundled());
    let entries: Vec<Entry> =
        files.iter().map(|(name, content)| Entry::new(name, content)).collect();
    run.open(&crafted(&entries)).unwrap();
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "./a",
        "a\\..\\x",
        "C:x",
        "a\nb",
        "a/",
        "",
        "a\u{202e}b",
    ] {
        let error = open(&[Entry::new(name, b"x")]);
        let is_named = matches!(&error, Error::BadName { .. } | Error::NotPlain { .. });
        assert!(is_named && error.is_input(), "{name:?}: {error}");
    }
    let mut entry = Entry::new("x", b"x");
    entry.name = vec![b'x', 0xff];
    assert!(open(&[entry]).is_input());
}

#[test]
fn a_name_that_appears_twice_is_refused() {
    let error = open(&[Entry::new("a", b"one"), Entry::new("a", b"two")]);
    assert!(error.to_string().contains("duplicate"), "{error}");
}

#[test]
fn a_file_that_is_a_folder_too_is_refused() {
    let error = open(&[Entry::new("a", b"one"), Entry::new("a-", b""), Entry::new("a/b", b"two")]);
    assert!(matches!(&error, Error::BadName { name, .. } if name == "a"), "{error}");
}

#[test]
fn links_folders_and_devices_are_refused() {
    for (mode, what) in [(0o120_777, "a link"), (0o040_755, "a folder"), (0o020_666, "a device")] {
        let mut entry = Entry::new("x", b"/etc/passwd");
        entry.mode = mode;
        let error = open(&[entry]);
        assert!(error.to_string().contains("'x'") && error.to_string().contains(what), "{error}");
    }
}

#[test]
fn an_encrypted_file_is_refused() {
    let mut entry = Entry::new("x", b"0123456789abcdef");
    entry.flags |= 1;
    let error = open(&[entry]);
    assert!(error.to_string().contains("encrypted"), "{error}");
}

/// A bomb claims to unpack to far more than it has, or unpacks to far more than it claims.
#[test]
fn a_file_of_two_sizes_is_refused() {
    for size in [0, 5, 4_000_000_000] {
        let mut entry = Entry::new("manifest-sha256.txt", b"0123456789");
        entry.size = size;
        let error = open(&[entry]);
        let is_named =
            matches!(&error, Error::NotPlain { name, .. } if name == "manifest-sha256.txt");
        assert!(is_named && error.is_input(), "{error}");
    }
}

/// A MiB of zeros, which deflate makes a thousandth of.
#[test]
fn a_compressed_file_is_refused() {
    let mut entry = Entry::new("manifest-sha256.txt", b"\x03\0");
    entry.method = 8;
    let error = open(&[entry]);
    assert!(error.to_string().contains("is compressed"), "{error}");
}

#[test]
fn headers_that_contradict_each_other_are_refused() {
    let mut entry = Entry::new("manifest-sha256.txt", b"");
    entry.local_name = Some(b"other".to_vec());
    let error = open(&[entry]);
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn bytes_that_belong_to_no_file_are_refused() {
    let run = Run::new();
    let bytes = run.bundled();
    let before = [b"#!/bin/sh\n", &bytes[..]].concat();
    let after = [&bytes[..], b"more"].concat();
    for bytes in [before, after] {
        let error = run.open(&bytes).err().expect("refused");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}
