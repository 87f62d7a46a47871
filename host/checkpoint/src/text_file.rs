//! Reads the text and JSON files of a model's or an adapter's folder, with messages that say what is wrong.

use crate::{Error, Result, placeholder};
use serde::de::DeserializeOwned;
use std::{fs, io::ErrorKind, path::Path};

/// The largest file that is read into memory, in bytes. The largest published tokenizers have about 40 MB.
const LARGEST: u64 = 256 << 20;

/// Refuses a path that is no file, and a file that is too large for its name.
fn check(path: &Path) -> Result<()> {
    let bad = |reason: &str| Error::file(path, reason);
    let found = fs::metadata(path).map_err(|error| match placeholder::explain_absence(path) {
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

/// Reads a file of UTF-8 text.
///
/// # Errors
/// Returns an error if the file cannot be read, is not UTF-8, or is a placeholder such as a Git LFS pointer.
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

/// Reads all bytes of a file that is not text, such as `tokenizer.model`.
///
/// # Errors
/// Returns an error if the file cannot be read, or is a placeholder such as a Git LFS pointer.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    check(path)?;
    let bytes = fs::read(path).map_err(|error| Error::file(path, error.to_string()))?;
    placeholder::refuse(path, &bytes)?;
    Ok(bytes)
}

/// Parses JSON text. Messages name `path` and the field. A byte order mark, which editors on Windows write first, is
/// ignored.
///
/// # Errors
/// Returns an error if the text is empty, is not JSON, or does not have the fields of `T`.
///
/// ```
/// use llem_checkpoint::text_file;
/// use std::{collections::BTreeMap, path::Path};
///
/// let path = Path::new("config.json");
/// let sizes: BTreeMap<String, u32> = text_file::parse(r#"{"hidden_size": 64}"#, path)?;
/// assert_eq!(sizes["hidden_size"], 64);
///
/// let error = text_file::parse::<BTreeMap<String, u32>>(r#"{"hidden_size": "64"}"#, path).unwrap_err();
/// assert!(error.to_string().starts_with("config.json: hidden_size: invalid type"));
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
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

fn bad(error: &serde_path_to_error::Error<serde_json::Error>, path: &Path) -> Error {
    let field = error.path().to_string();
    let field = if field == "." { String::new() } else { format!("{field}: ") };
    Error::file(path, format!("{field}{}", error.inner()))
}
