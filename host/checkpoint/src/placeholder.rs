//! Recognises what is saved in place of a file: a Git LFS pointer, a web page, a server's message, or an unfinished
//! download.

use crate::{Error, Result};
use std::path::Path;

/// How many bytes at the beginning of a file are compared with the known placeholders.
const INSPECTED_BYTES: usize = 512;

/// The beginnings of known placeholders, in lower case, each with what it is and the remedy.
const STARTS: [(&str, &str); 12] = [
    ("version https://git-lfs.github.com/spec/", LFS),
    ("version https://hawser.github.com/spec/", LFS),
    (
        "/annex/objects/",
        "is a git-annex pointer, not the file: run 'git annex get' in the cloned folder",
    ),
    ("<!doctype html", PAGE),
    ("<html", PAGE),
    ("<?xml", MESSAGE),
    ("<error>", MESSAGE),
    ("{\"error\":", MESSAGE),
    ("entry not found", MESSAGE),
    ("repository not found", MESSAGE),
    ("access to model", MESSAGE),
    ("invalid username or password", MESSAGE),
];

const LFS: &str = "is a Git LFS pointer, not the file: run 'git lfs pull' in the cloned folder, or download the file \
                   by itself";
const PAGE: &str = "is a web page, not the file: download the file itself (on the Hub its address has /resolve/ where \
                    that of its page has /blob/), with a token if the repository is gated";
const MESSAGE: &str = "is a server's message, not the file: read it, and download the file again";

/// Refuses a file that begins like a known placeholder.
///
/// # Errors
/// The message says what the file is instead, and how to get the real one.
pub(crate) fn refuse(path: &Path, bytes: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(INSPECTED_BYTES)]);
    let start = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    match STARTS.iter().find(|(beginning, _)| start.starts_with(beginning)) {
        Some((_, reason)) => Err(Error::file(path, *reason)),
        None => Ok(()),
    }
}

/// Explains why a file is missing: it is a link to nowhere, or its download has not finished. Returns `None` if
/// neither is the case.
pub(crate) fn explain_absence(path: &Path) -> Option<String> {
    if let Ok(target) = path.read_link() {
        return Some(format!(
            "is a link to {}, which is not there: copy the files that links lead to (cp -L), or fetch it again",
            target.display()
        ));
    }
    let unfinished = unfinished(path)?;
    Some(format!("is not there, but {unfinished} is, a download that has not finished: resume it"))
}

/// The endings that download programs add to the name of an incomplete file.
const UNFINISHED: [&str; 6] = ["aria2", "incomplete", "crdownload", "part", "partial", "download"];

/// Finds the incomplete file that a download program has left in place of `path`, and returns its name.
fn unfinished(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let mut beside = UNFINISHED.iter().map(|ending| format!("{name}.{ending}"));
    let found = beside.find(|name| path.with_file_name(name).is_file());
    found.or_else(|| {
        // huggingface_hub writes here while it downloads into a folder.
        let cache = ".cache/huggingface/download";
        let files = path.parent()?.join(cache).read_dir().ok()?.flatten();
        let mut names = files.filter_map(|file| file.file_name().into_string().ok());
        let is_part = |file: &String| {
            file.strip_prefix(name).is_some_and(|rest| rest.ends_with(".incomplete"))
        };
        names.find(is_part).map(|file| format!("{cache}/{file}"))
    })
}

/// Returns the name of aria2's control file if it is beside `path`. aria2 gives a file its full size at once, and
/// deletes the control file when the download has finished.
pub(crate) fn control_file(path: &Path) -> Option<String> {
    let name = format!("{}.aria2", path.file_name()?.to_str()?);
    path.with_file_name(&name).is_file().then_some(name)
}
