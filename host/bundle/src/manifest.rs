//! The manifest: SHA-256 of every other file, in the form of BagIt and of `sha256sum -c`.

use crate::{
    error::Error,
    layout::{MANIFEST, is_plain},
};
use std::{collections::BTreeMap, path::Path};

/// Digests as hexadecimal digits, by the names of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    digests: BTreeMap<String, String>,
}

impl Manifest {
    /// Adds a file.
    pub(crate) fn insert(&mut self, name: String, hex: String) {
        self.digests.insert(name, hex);
    }

    /// Returns the digest of a file, as hexadecimal digits.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.digests.get(name).map(String::as_str)
    }

    /// Returns names and digests, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.digests.iter().map(|(name, hex)| (name.as_str(), hex.as_str()))
    }

    /// Returns the names of the files below a folder, which ends in `/`.
    pub(crate) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().map(|(name, _)| name).filter(move |name| name.starts_with(folder))
    }

    /// Returns the number of files.
    pub(crate) fn len(&self) -> usize {
        self.digests.len()
    }

    /// Returns the text of the manifest.
    pub(crate) fn to_text(&self) -> String {
        self.iter().map(|(name, hex)| format!("{hex}  {name}\n")).collect()
    }

    /// Parses the manifest of `bundle`.
    ///
    /// # Errors
    /// [`Error::BadManifest`] if a line is in another form than [`Self::to_text`] writes, or a name appears twice.
    pub(crate) fn parse(bundle: &Path, text: &[u8]) -> Result<Self, Error> {
        let refuse =
            |line, problem| Error::BadManifest { bundle: bundle.to_owned(), line, problem };
        let text = std::str::from_utf8(text).map_err(|_| refuse(1, "is no UTF-8 text"))?;
        let mut manifest = Self::default();
        for (index, line) in text.lines().enumerate() {
            let refuse = |problem| refuse(index + 1, problem);
            let (hex, name) = line
                .split_once("  ")
                .filter(|(hex, _)| is_sha256(hex))
                .ok_or_else(|| refuse("is no SHA-256 digest, two spaces and a name"))?;
            if !is_plain(name) || name == MANIFEST {
                return Err(refuse("names what cannot be a file of a bundle"));
            }
            if manifest.digests.insert(name.to_owned(), hex.to_owned()).is_some() {
                return Err(refuse("names a file for the second time"));
            }
        }
        Ok(manifest)
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let mut manifest = Manifest::default();
        manifest.insert("run/run.json".to_owned(), "0".repeat(64));
        manifest.insert("a b".to_owned(), "f".repeat(64));
        let text = manifest.to_text();
        assert_eq!(text, format!("{}  a b\n{}  run/run.json\n", "f".repeat(64), "0".repeat(64)));
        assert_eq!(Manifest::parse(Path::new("x"), text.as_bytes()).expect("read"), manifest);
        assert_eq!(manifest.below("run/").collect::<Vec<_>>(), ["run/run.json"]);
    }

    #[test]
    fn a_manifest_in_another_form_is_refused() {
        let digest = "0".repeat(64);
        for (text, words) in [
            (format!("{digest} a\n"), "line 1"),
            (format!("{digest}  a\n{digest}  ../a\n"), "line 2"),
            (format!("{digest}  a\n\n"), "line 2"),
            (format!("{digest}  a\n{digest}  a\n"), "second time"),
            (format!("{}  a\n", digest.replace('0', "G")), "no SHA-256"),
            (format!("{digest}  {MANIFEST}\n"), "cannot be a file"),
        ] {
            let error = Manifest::parse(Path::new("x"), text.as_bytes()).expect_err("refused");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
