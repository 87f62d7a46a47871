//! Environment variables that configure the Hub and its cache. Names and meanings are those of huggingface_hub
//! (`constants.py`).
//!
//! | variable | meaning |
//! |---|---|
//! | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE` | the cache's folder; otherwise `hub` in `HF_HOME` |
//! | `HF_HOME` | where the cache and the token are; otherwise `huggingface` in `XDG_CACHE_HOME` or `~/.cache` |
//! | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` | the token; otherwise the file `HF_TOKEN_PATH`, or `token` in `HF_HOME` |
//! | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | no token is sent |
//! | `HF_ENDPOINT` | the Hub's address; otherwise `https://huggingface.co` |
//! | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | the network is not used |
//! | `HF_HUB_ETAG_TIMEOUT` | seconds within which the Hub must answer; otherwise 10 |
//! | `HF_HUB_DOWNLOAD_TIMEOUT` | seconds that a download may receive nothing; otherwise 10 |
//! | `HF_HUB_DISABLE_PROGRESS_BARS` | progress is not shown |
//! | `HF_HUB_DISABLE_SYMLINKS` | snapshots contain files instead of symbolic links |
//!
//! An empty variable counts as not set.

use crate::{Error, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// The address of the public Hub.
pub(super) const PUBLIC_HUB: &str = "https://huggingface.co";

/// The default of both timeouts: huggingface_hub's `DEFAULT_ETAG_TIMEOUT` and `DEFAULT_DOWNLOAD_TIMEOUT`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How the Hub and its cache are used.
pub(super) struct HubSettings {
    /// The folder of the cache.
    pub(super) cache: PathBuf,
    /// The address of the Hub, which may have a path.
    pub(super) endpoint: Url,
    /// The access token, if there is one.
    pub(super) token: Option<HubToken>,
    /// The name of the variable that forbids the network. `None` if the network may be used.
    pub(super) offline: Option<&'static str>,
    /// How long the Hub may take to answer a request.
    pub(super) answer_timeout: Duration,
    /// How long a download may receive nothing.
    pub(super) stall_timeout: Duration,
    /// Whether the progress of downloads is shown.
    pub(super) is_shown: bool,
    /// Whether snapshots contain symbolic links to blobs.
    pub(super) has_symlinks: bool,
}

/// An access token of the Hub. It is never printed.
pub(super) struct HubToken {
    pub(super) text: String,
    /// The variable or file that contains the token, for error messages.
    pub(super) origin: String,
}

impl HubToken {
    /// Fails if the token has characters that an HTTP header cannot contain.
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

impl HubSettings {
    /// Reads the settings from the environment of the process.
    ///
    /// # Errors
    /// Fails if a variable has an invalid value.
    pub(super) fn from_environment() -> Result<Self> {
        Self::from_variables(&|name| env::var_os(name))
    }

    /// Reads the settings from these variables. Tests pass their own.
    pub(super) fn from_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
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
                .map(HubToken::check)
                .transpose()?,
            offline: variables.offline(),
            answer_timeout: variables.seconds("HF_HUB_ETAG_TIMEOUT")?,
            stall_timeout: variables.seconds("HF_HUB_DOWNLOAD_TIMEOUT")?,
            is_shown: !variables.is_true("HF_HUB_DISABLE_PROGRESS_BARS"),
            has_symlinks: !variables.is_true("HF_HUB_DISABLE_SYMLINKS"),
        })
    }

    /// The scheme, host and port of the Hub, for messages. It leaves out a password in the address.
    pub(super) fn hub(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }

    /// Appends parts to the address of the Hub. Each part becomes one segment of the path, with special characters
    /// escaped.
    pub(super) fn address<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        // Only an address without a host has no segments, and `endpoint` refuses those.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// The address of a repository's web page.
    pub(super) fn page(&self, id: &str) -> String {
        format!("{}{}", self.hub(), self.address(id.split('/')).path())
    }
}

/// Access to environment variables.
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

    /// If both variables are set, the newer one counts.
    fn offline(&self) -> Option<&'static str> {
        let names = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
        let set = names.into_iter().find(|name| self.get(name).is_some())?;
        self.is_true(set).then_some(set)
    }

    fn seconds(&self, name: &str) -> Result<Duration> {
        let Some(text) = self.text(name) else { return Ok(DEFAULT_TIMEOUT) };
        match text.trim().parse() {
            Ok(0) => Ok(DEFAULT_TIMEOUT),
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
                // The value may contain a password, so the message does not repeat it.
                Error::Invalid(format!(
                    "HF_ENDPOINT is no address of a Hub: give one such as {PUBLIC_HUB}, or unset it"
                ))
            },
        )
    }

    fn token(&self, home: &Path) -> Option<HubToken> {
        let clean = |text: &str, origin: String| {
            let text = text.trim();
            (!text.is_empty()).then(|| HubToken { text: text.to_owned(), origin })
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

    /// Reads a path, and replaces a leading `~` and the variables in it.
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

    /// Replaces `$NAME` and `${NAME}` by the value of the variable. A variable that is not set stays as it is.
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

    fn settings(given: &[(&str, &str)]) -> Result<HubSettings> {
        HubSettings::from_variables(&|name| {
            let value = given.iter().find(|(given, _)| *given == name).map(|(_, value)| value);
            value.map(Into::into)
        })
    }

    fn cache(given: &[(&str, &str)]) -> PathBuf {
        settings(given).unwrap().cache
    }

    #[test]
    fn the_cache_is_in_the_same_folder_as_huggingface_hubs() {
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
    fn a_token_in_the_environment_takes_precedence_over_files() {
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
    fn an_invalid_value_is_refused_with_the_name_of_its_variable() {
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
        let parsed =
            settings(&[("HF_HUB_ETAG_TIMEOUT", "3"), ("HF_ENDPOINT", "http://mirror/hf/")]);
        let parsed = parsed.unwrap();
        assert_eq!(parsed.answer_timeout, Duration::from_secs(3));
        assert_eq!(
            (parsed.endpoint.as_str(), parsed.hub().as_str()),
            ("http://mirror/hf", "http://mirror")
        );
    }
}
