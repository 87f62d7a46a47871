//! The licence of a bundle.

use crate::{author::Author, error::Error};
use std::{fs, path::Path};

/// The terms under which a bundle may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Licence {
    /// A licence of SPDX's list.
    Known(KnownLicence),
    /// The text of another licence.
    Other(String),
}

/// A licence whose text this crate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownLicence {
    /// The licence that the Open Source Initiative calls by this name.
    Mit,
    /// Apache 2.0.
    Apache2,
    /// Creative Commons Attribution 4.0 International.
    CcBy4,
}

impl KnownLicence {
    const ALL: [Self; 3] = [Self::Mit, Self::Apache2, Self::CcBy4];

    /// Returns the identifier in SPDX's list.
    pub fn spdx(self) -> &'static str {
        match self {
            Self::Mit => "MIT",
            Self::Apache2 => "Apache-2.0",
            Self::CcBy4 => "CC-BY-4.0",
        }
    }
}

impl Licence {
    /// Reads a licence by its identifier in SPDX's list, or the text of another licence from a file.
    ///
    /// # Errors
    /// [`Error::UnknownLicence`] if it is neither.
    pub fn read(text: &str) -> Result<Self, Error> {
        if let Some(known) = KnownLicence::ALL.into_iter().find(|known| known.spdx() == text) {
            return Ok(Self::Known(known));
        }
        let path = Path::new(text);
        if !path.is_file() {
            return Err(Error::UnknownLicence(text.to_owned()));
        }
        let read = fs::read_to_string(path);
        read.map(Self::Other).map_err(|source| Error::Io { path: path.to_owned(), source })
    }

    /// Returns the identifier in SPDX's list, if it is known.
    pub(crate) fn spdx(&self) -> Option<&'static str> {
        match self {
            Self::Known(known) => Some(known.spdx()),
            Self::Other(_) => None,
        }
    }

    /// Returns the text. MIT's names year and holders.
    pub(crate) fn text(&self, year: &str, authors: &[Author]) -> String {
        match self {
            Self::Known(KnownLicence::Mit) => {
                let holders = authors.iter().map(Author::name).collect::<Vec<_>>().join(", ");
                let text = include_str!("../licences/MIT.txt");
                text.replace("{year}", year).replace("{holders}", &llem_report::visible(&holders))
            }
            Self::Known(KnownLicence::Apache2) => {
                include_str!("../../../LICENSE-APACHE").to_owned()
            }
            Self::Known(KnownLicence::CcBy4) => {
                include_str!("../licences/CC-BY-4.0.txt").to_owned()
            }
            Self::Other(text) => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_read_by_name_or_from_a_file() {
        assert_eq!(Licence::read("CC-BY-4.0").expect("known").spdx(), Some("CC-BY-4.0"));
        let mit = Licence::read("MIT").expect("known");
        let authors = ["A, B".parse().expect("a person"), Author::from_whole_name("C")];
        assert!(mit.text("2026", &authors).contains("Copyright (c) 2026 B A, C\n"));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("TERMS");
        fs::write(&file, "for research alone").expect("written");
        let terms = Licence::read(file.to_str().expect("a path")).expect("read");
        assert_eq!((terms.spdx(), &terms.text("", &[])[..]), (None, "for research alone"));
        assert!(matches!(Licence::read("GPL"), Err(Error::UnknownLicence(_))));
    }
}
