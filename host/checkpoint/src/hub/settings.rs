//! What the environment says of the Hub: the variables of huggingface_hub, with the meanings of its `constants.py`.
//!
//! | variable | what it says |
//! |---|---|
//! | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE` | the cache's folder; otherwise `hub` in `HF_HOME` |
//! | `HF_HOME` | where the cache and the token are; otherwise `huggingface` in `XDG_CACHE_HOME` or `~/.cache` |
//! | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` | the token; otherwise the file `HF_TOKEN_PATH`, or `token` in `HF_HOME` |
//! | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | no token is sent |
//! | `HF_ENDPOINT` | the Hub's address; otherwise `https://huggingface.co` |
//! | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | nothing is asked of the network |
//! | `HF_HUB_ETAG_TIMEOUT` | s until the Hub must have answered; otherwise 10 |
//! | `HF_HUB_DOWNLOAD_TIMEOUT` | s that a download may stand still; otherwise 10 |
//! | `HF_HUB_DISABLE_PROGRESS_BARS` | downloads are not shown |
//! | `HF_HUB_DISABLE_SYMLINKS` | files are put into the snapshot itself |
//!
//! A variable that is empty says nothing.

use crate::{Error, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// The public Hub.
pub const PUBLIC_HUB: &str = "https://huggingface.co";

/// huggingface_hub's `DEFAULT_ETAG_TIMEOUT` and `DEFAULT_DOWNLOAD_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the Hub and its cache are used.
pub struct Settings {
    /// Where repositories are kept.
    pub cache: PathBuf,
    /// The Hub's address, which may have a path.
    pub endpoint: Url,
    /// Who asks.
    pub token: Option<Token>,
    /// The variable that forbids the network.
    pub offline: Option<&'static str>,
    /// How long the Hub may take to answer.
    pub answer_timeout: Duration,
    /// How long a download may stand still.
    pub stall_timeout: Duration,
    /// Whether downloads are shown.
    pub is_shown: bool,
    /// Whether snapshots are made of symbolic links.
    pub has_symlinks: bool,
}

/// What tells the Hub who asks. Never shown.
pub struct Token {
    /// The token itself.
    pub text: String,
    /// Where it came from, for sentences about it.
    pub origin: String,
}

impl Token {
    /// Refuses what no header can carry.
    fn check(self) -> Result<Self> {
        match self.text.bytes().all(|c| c.is_ascii_graphic()) {
            true => Ok(self),
            false => Err(Error::Invalid(format!(
                "{} holds no token of the Hub: set it to one, which has no spaces or accents",
                self.origin
            ))),
        }
    }
}

impl Settings {
    /// As the program's environment says.
    ///
    /// # Errors
    /// A variable holds what it cannot.
    pub fn from_environment() -> Result<Self> {
        Self::of(&|name| env::var_os(name))
    }

    /// As these variables say.
    pub fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let variables = Variables { variable };
        let home = match variables.folder("HF_HOME") {
            Some(home) => home,
            None => {
                let caches = variables.folder("XDG_CACHE_HOME");
                caches.unwrap_or_else(|| variables.expand("~/.cache".into())).join("huggingface")
            }
        };
        let cache = variables
            .folder("HF_HUB_CACHE")
            .or_else(|| variables.folder("HUGGINGFACE_HUB_CACHE"))
            .unwrap_or_else(|| home.join("hub"));
        let has_token = !variables.is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN");
        Ok(Self {
            cache,
            endpoint: variables.endpoint()?,
            token: has_token
                .then(|| variables.token(&home))
                .flatten()
                .map(Token::check)
                .transpose()?,
            offline: variables.offline(),
            answer_timeout: variables.seconds("HF_HUB_ETAG_TIMEOUT")?,
            stall_timeout: variables.seconds("HF_HUB_DOWNLOAD_TIMEOUT")?,
            is_shown: !variables.is_true("HF_HUB_DISABLE_PROGRESS_BARS"),
            has_symlinks: !variables.is_true("HF_HUB_DISABLE_SYMLINKS"),
        })
    }

    /// The Hub's address, without what may be secret in it.
    pub fn hub(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }

    /// The address of something of the Hub. Each part is one segment of its path, whatever is in it.
    pub fn address<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        // Addresses of a host, which are all that `endpoint` takes, have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// The page of a repository, for people.
    pub fn page(&self, id: &str) -> String {
        format!("{}{}", self.hub(), self.address(id.split('/')).path())
    }
}

/// The environment.
struct Variables<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.into_string().ok()
    }

    fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
        })
    }

    /// The newer name says it where both are set.
    fn offline(&self) -> Option<&'static str> {
        let names = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
        let said = names.into_iter().find(|name| self.get(name).is_some())?;
        self.is_true(said).then_some(said)
    }

    fn seconds(&self, name: &str) -> Result<Duration> {
        let Some(text) = self.text(name) else { return Ok(TIMEOUT) };
        match text.trim().parse() {
            Ok(0) => Ok(TIMEOUT),
            Ok(seconds) => Ok(Duration::from_secs(seconds)),
            Err(_) => Err(Error::Invalid(format!(
                "{name} is '{text}': give a whole number of seconds, or unset it"
            ))),
        }
    }

    fn endpoint(&self) -> Result<Url> {
        let text = self.text("HF_ENDPOINT").unwrap_or_else(|| PUBLIC_HUB.to_owned());
        let url = Url::parse(text.trim_end_matches('/')).ok();
        url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(
            || {
                // It may hold a password, so it is not repeated.
                Error::Invalid(format!(
                    "HF_ENDPOINT is no address of a Hub: give one such as {PUBLIC_HUB}, or unset it"
                ))
            },
        )
    }

    fn token(&self, home: &Path) -> Option<Token> {
        let clean = |text: &str, origin: String| {
            let text = text.trim();
            (!text.is_empty()).then(|| Token { text: text.to_owned(), origin })
        };
        let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]
            .into_iter()
            .find_map(|name| self.text(name).map(|text| (text, name)))
            .and_then(|(text, name)| clean(&text, name.to_owned()));
        given.or_else(|| {
            let path = self.folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
            clean(&fs::read_to_string(&path).ok()?, path.display().to_string())
        })
    }

    /// A path, with a leading `~` and variables in it replaced by what they stand for.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        Some(self.expand(self.get(name)?))
    }

    fn expand(&self, path: OsString) -> PathBuf {
        let path = match path.into_string() {
            Ok(text) => text,
            Err(path) => return path.into(),
        };
        let home = || self.text("HOME").map_or_else(env::home_dir, |home| Some(home.into()));
        let path = match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => match home() {
                Some(home) => format!("{}{rest}", home.display()),
                None => path,
            },
            _ => path,
        };
        self.substitute(&path).into()
    }

    /// Replaces `$NAME` and `${NAME}` by the variable's value; one that is not set stays as it is.
    fn substitute(&self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
                Some(named) => named,
                None => {
                    let is_name = |c: char| c.is_alphanumeric() || c == '_';
                    part.split_at(part.find(|c| !is_name(c)).unwrap_or(part.len()))
                }
            };
            match (self.variable)(name).and_then(|value| value.into_string().ok()) {
                Some(value) if !name.is_empty() => out.extend([&value, rest]),
                _ => out.extend(["$", part]),
            }
        }
        out
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {

    use super::*;

    fn settings(given: &[(&str, &str)]) -> Result<Settings> {
        Settings::of(&|name| {
            let value = given.iter().find(|(given, _)| *given == name).map(|(_, value)| value);
            value.map(Into::into)
        })
    }

    fn cache(given: &[(&str, &str)]) -> PathBuf {
        settings(given).unwrap().cache
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let home = ("HOME", "/home/me");
        assert_eq!(cache(&[home]), Path::new("/home/me/.cache/huggingface/hub"));
        let caches = ("XDG_CACHE_HOME", "~/caches");
        assert_eq!(cache(&[home, caches]), Path::new("/home/me/caches/huggingface/hub"));
        let hf = ("HF_HOME", "$DISK/${NAME}/$hf");
        let expanded = [home, caches, hf, ("DISK", "/disk"), ("NAME", "me")];
        assert_eq!(cache(&expanded), Path::new("/disk/me/$hf/hub"));
        let old = ("HUGGINGFACE_HUB_CACHE", "~/old");
        assert_eq!(cache(&[home, hf, old]), Path::new("/home/me/old"));
        let new = ("HF_HUB_CACHE", "relative");
        assert_eq!(cache(&[home, hf, old, new]), Path::new("relative"));
        assert_eq!(cache(&[home, ("HF_HOME", "")]), Path::new("/home/me/.cache/huggingface/hub"));
    }

    #[test]
    fn both_variables_forbid_the_network() {
        let offline = |given: &[(&str, &str)]| settings(given).unwrap().offline;
        for yes in ["1", "ON", "yes", "True"] {
            assert_eq!(offline(&[("HF_HUB_OFFLINE", yes)]), Some("HF_HUB_OFFLINE"), "{yes}");
            assert_eq!(
                offline(&[("TRANSFORMERS_OFFLINE", yes), ("HF_HUB_OFFLINE", "")]),
                Some("TRANSFORMERS_OFFLINE")
            );
        }
        for no in ["0", "off", "no", "false", "2"] {
            let both = [("HF_HUB_OFFLINE", no), ("TRANSFORMERS_OFFLINE", "1")];
            assert_eq!(offline(&both), None, "{no}");
        }
    }

    #[test]
    fn the_token_is_the_environments_before_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        fs::write(folder.path().join("token"), "  hf_file\n").unwrap();
        fs::write(folder.path().join("other"), "hf_other").unwrap();
        let token = |given: &[(&str, &str)]| {
            let given = [given, &[("HF_HOME", home)]].concat();
            settings(&given).unwrap().token.map(|token| token.text)
        };
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(token(&[]), is("hf_file"));
        assert_eq!(token(&[("HF_TOKEN_PATH", "${HF_HOME}/other")]), is("hf_other"));
        assert_eq!(token(&[("HUGGING_FACE_HUB_TOKEN", "hf_old")]), is("hf_old"));
        assert_eq!(
            token(&[("HF_TOKEN", "hf_new\n"), ("HUGGING_FACE_HUB_TOKEN", "hf_old")]),
            is("hf_new")
        );
        assert_eq!(token(&[("HF_TOKEN", " ")]), is("hf_file"));
        assert_eq!(token(&[("HF_TOKEN", "hf_new"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert_eq!(token(&[("HF_TOKEN_PATH", "/nowhere/token")]), None);
    }

    #[test]
    fn what_a_variable_cannot_hold_is_refused_by_its_name() {
        for (name, value) in [
            ("HF_HUB_DOWNLOAD_TIMEOUT", "soon"),
            ("HF_HUB_ETAG_TIMEOUT", "-1"),
            ("HF_ENDPOINT", "huggingface.co"),
            ("HF_ENDPOINT", "ftp://me:secret@host"),
            ("HF_TOKEN", "my secret"),
        ] {
            let sentence = settings(&[(name, value)]).err().unwrap().to_string();
            assert!(sentence.starts_with(name) && !sentence.contains("secret"), "{sentence}");
        }
        let of = settings(&[("HF_HUB_ETAG_TIMEOUT", "3"), ("HF_ENDPOINT", "http://mirror/hf/")]);
        let of = of.unwrap();
        assert_eq!(of.answer_timeout, Duration::from_secs(3));
        assert_eq!(
            (of.endpoint.as_str(), of.hub().as_str()),
            ("http://mirror/hf", "http://mirror")
        );
    }
}
