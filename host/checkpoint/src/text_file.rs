//! Text and JSON files of a model's or an adapter's folder.

use crate::{Error, Result, stand_in};
use serde::de::DeserializeOwned;
use std::{fs, io::ErrorKind, path::Path};

/// Largest file that is read whole. The largest tokenizers are some 40 MB.
const LARGEST: u64 = 256 << 20;

/// Refuses what is not a file, and what is too large to be what it is called.
fn check(path: &Path) -> Result<()> {
    let bad = |reason: &str| Error::file(path, reason);
    let found = fs::metadata(path).map_err(|error| match stand_in::absence(path) {
        Some(reason) if error.kind() == ErrorKind::NotFound => bad(&reason),
        _ => bad(&error.to_string()),
    })?;
    if !found.is_file() {
        return Err(bad("is not a file: fetch it again"));
    }
    if found.len() > LARGEST {
        return Err(bad(&format!(
            "has {} bytes, more than any such file: fetch it again",
            found.len()
        )));
    }
    Ok(())
}

/// Reads a text file.
///
/// # Errors
/// It cannot be read, is not UTF-8, or stands in for the file: a Git LFS pointer, a web page.
pub fn read(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        Error::file(
            path,
            match bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                true => "is text in UTF-16: save it as UTF-8".to_owned(),
                false => format!("is not text in UTF-8 ({}): fetch it again", error.utf8_error()),
            },
        )
    })
}

/// Reads a file whole that is not text (`tokenizer.model`).
///
/// # Errors
/// It cannot be read, or stands in for the file.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    check(path)?;
    let bytes = fs::read(path).map_err(|error| Error::file(path, error.to_string()))?;
    stand_in::refuse(path, &bytes)?;
    Ok(bytes)
}

/// What a file's text says as JSON; `path` is for messages, which name the field. A byte order mark, which Windows'
/// editors put in front, is passed over.
///
/// # Errors
/// It is not JSON, or says something else than what is asked for.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Error::file(path, "is empty: fetch it again"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| bad(&error, path))?;
    json.end().map_err(|error| Error::file(path, error.to_string()))?;
    Ok(parsed)
}

/// The same of a file that is JSON already.
pub fn of_json<T: DeserializeOwned>(json: serde_json::Value, path: &Path) -> Result<T> {
    serde_path_to_error::deserialize(json).map_err(|error| bad(&error, path))
}

fn bad(error: &serde_path_to_error::Error<serde_json::Error>, path: &Path) -> Error {
    let field = error.path().to_string();
    let field = if field == "." { String::new() } else { format!("{field}: ") };
    Error::file(path, format!("{field}{}", error.inner()))
}
