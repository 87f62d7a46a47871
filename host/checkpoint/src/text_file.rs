//! Text and JSON files of a model's or an adapter's folder.

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use std::{fs, path::Path};

/// Largest file that is read whole. The largest tokenizers are some 40 MB.
const LARGEST: u64 = 256 << 20;

/// Refuses what is not a file, and what is too large to be what it is called.
fn check(path: &Path) -> Result<()> {
    let bad = |reason: &str| Error::file(path, reason);
    let found = fs::metadata(path).map_err(|error| bad(&error.to_string()))?;
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

/// Reads a text file, naming it when that fails.
pub fn read(path: &Path) -> Result<String> {
    check(path)?;
    fs::read_to_string(path).map_err(|error| Error::file(path, error.to_string()))
}

/// What a file's text says as JSON; `path` is for messages, which name the field.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
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
