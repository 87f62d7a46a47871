//! The authors of a bundle.

use crate::error::Error;
use std::str::FromStr;

/// Somebody who is cited for a bundle.
///
/// ```
/// use llem_bundle::Author;
///
/// let author: Author = "Carberry, Josiah <0000-0002-1825-0097>".parse()?;
/// assert_eq!(author.name(), "Josiah Carberry");
/// assert_eq!(author.orcid(), Some("https://orcid.org/0000-0002-1825-0097".to_owned()));
/// assert!("Carberry, Josiah <0000-0002-1825-0098>".parse::<Author>().is_err());
/// # Ok::<(), llem_bundle::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The family name, or the whole name if it has not been told apart.
    family: String,
    given: Option<String>,
    orcid: Option<String>,
}

impl Author {
    /// Returns an author by a name of which nobody said what the family name is, or by the name of an organisation.
    pub fn from_whole_name(name: &str) -> Self {
        Self { family: name.trim().to_owned(), given: None, orcid: None }
    }

    /// Returns the name as people write it, the given name first.
    pub fn name(&self) -> String {
        match &self.given {
            Some(given) => format!("{given} {}", self.family),
            None => self.family.clone(),
        }
    }

    /// Returns family name and given name. Returns `None` if they have not been told apart.
    pub(crate) fn family_and_given(&self) -> Option<(&str, &str)> {
        Some((&self.family, self.given.as_deref()?))
    }

    /// Returns the ORCID iD as a URL.
    pub fn orcid(&self) -> Option<String> {
        self.orcid.as_ref().map(|orcid| format!("https://orcid.org/{orcid}"))
    }
}

impl FromStr for Author {
    type Err = Error;

    /// Parses `Family, Given <ORCID>`, of which the given name and the ORCID may be left out.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |problem| Error::BadAuthor { text: text.to_owned(), problem };
        let (name, orcid) = match text.split_once('<') {
            Some((name, rest)) => {
                let orcid =
                    rest.trim().strip_suffix('>').ok_or_else(|| refuse("'>' is missing"))?;
                let orcid = orcid.trim().trim_start_matches("https://orcid.org/");
                if !is_orcid(orcid) {
                    return Err(refuse("the text in '<>' is no ORCID iD"));
                }
                (name, Some(orcid.to_owned()))
            }
            None => (text, None),
        };
        let (family, given) = match name.split_once(',') {
            Some((family, given)) => (family.trim(), Some(given.trim().to_owned())),
            None => (name.trim(), None),
        };
        if family.is_empty() || given.as_deref() == Some("") {
            return Err(refuse("a name is missing"));
        }
        Ok(Self { family: family.to_owned(), given, orcid })
    }
}

/// Returns true if a text is an ORCID iD: four groups of four digits, of which the last is the check digit of ISO 7064
/// MOD 11-2.
fn is_orcid(text: &str) -> bool {
    let is_grouped = text.len() == 19
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 9 | 14 => byte == b'-',
            18 => byte.is_ascii_digit() || byte == b'X',
            _ => byte.is_ascii_digit(),
        });
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let Some(first) = digits.get(..15).filter(|_| is_grouped) else { return false };
    let total = first.iter().fold(0, |total, digit| (total + digit) * 2);
    let check = match (12 - total % 11) % 11 {
        10 => 'X',
        digit => char::from_digit(digit, 10).unwrap_or_default(),
    };
    text.ends_with(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_of_an_orcid_is_checked() {
        // Examples of orcid.org's documentation.
        for orcid in ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X"] {
            assert!(is_orcid(orcid), "{orcid}");
        }
        for text in ["0000-0002-1825-0098", "0000-0002-1825-009", "0000000218250097", "", "é"] {
            assert!(!is_orcid(text), "{text}");
        }
    }

    #[test]
    fn an_author_that_is_written_otherwise_is_refused() {
        for text in ["", ",", "A,", ", B", "A <0000-0002-1825-0097", "A <a@b.org>"] {
            assert!(matches!(text.parse::<Author>(), Err(Error::BadAuthor { .. })), "{text}");
        }
        let author: Author = "The llem maintainers".parse().expect("an organisation");
        assert_eq!(
            (author.name().as_str(), author.family_and_given()),
            ("The llem maintainers", None)
        );
    }
}
