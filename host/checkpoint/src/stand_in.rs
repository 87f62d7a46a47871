//! What is saved in place of a file: a pointer to it, a web page about it, a server's message, nothing.

use crate::{Error, Result};
use std::path::Path;

/// Bytes of a file's beginning that tell what it is.
pub const BEGINNING: usize = 512;

/// How stand-ins begin, in lower case, and what they are, with the remedy.
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

/// Refuses a file whose beginning is that of a stand-in.
///
/// # Errors
/// The sentence says what it is instead, and how to get the file.
pub fn refuse(path: &Path, bytes: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(BEGINNING)]);
    let start = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    match STARTS.iter().find(|(beginning, _)| start.starts_with(beginning)) {
        Some((_, reason)) => Err(Error::file(path, *reason)),
        None => Ok(()),
    }
}

/// Why a file that is missing is so, if something beside it tells: a link that leads nowhere, or a download that has
/// not finished.
pub fn absence(path: &Path) -> Option<String> {
    if let Ok(target) = path.read_link() {
        return Some(format!(
            "is a link to {}, which is not there: copy the files that links lead to (cp -L), or fetch it again",
            target.display()
        ));
    }
    let unfinished = unfinished(path)?;
    Some(format!("is not there, but {unfinished} is, a download that has not finished: resume it"))
}

/// Endings that downloaders give to files that are not complete.
const UNFINISHED: [&str; 6] = ["aria2", "incomplete", "crdownload", "part", "partial", "download"];

/// The name of what a downloader keeps of a file that is not complete.
fn unfinished(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let mut beside = UNFINISHED.iter().map(|ending| format!("{name}.{ending}"));
    let found = beside.find(|name| path.with_file_name(name).is_file());
    found.or_else(|| {
        // Where huggingface_hub keeps what it downloads into a folder.
        let kept = ".cache/huggingface/download";
        let files = path.parent()?.join(kept).read_dir().ok()?.flatten();
        let mut names = files.filter_map(|file| file.file_name().into_string().ok());
        let is_part = |file: &String| {
            file.strip_prefix(name).is_some_and(|rest| rest.ends_with(".incomplete"))
        };
        names.find(is_part).map(|file| format!("{kept}/{file}"))
    })
}

/// The file by which aria2 knows how much of a file is downloaded. The file itself has its full size from the start.
pub fn control_file(path: &Path) -> Option<String> {
    let name = format!("{}.aria2", path.file_name()?.to_str()?);
    path.with_file_name(&name).is_file().then_some(name)
}
