//! Finds models and adapters of the Hugging Face Hub: in the local cache if they are there, otherwise over the network.
//!
//! ```text
//! id, revision ─► cache ── complete ──────────────────────────────► folder of the snapshot
//!                   └───── incomplete ─► client ─► download ─► cache ─┘
//! ```
//!
//! If the cache has a complete snapshot, the Hub is not asked, so repeated runs use the same files. Missing files are
//! fetched at the commit to which the revision points now. Environment variables have the meaning that they have in
//! huggingface_hub (`settings.rs`), and the cache is shared with it (`cache.rs`).
//!
//! Start at [`fetch`], [`fetch_config`] and [`fetch_adapter`].

mod cache;
mod client;
mod download;
mod download_progress;
mod failure;
mod requested_files;
mod settings;
#[cfg(test)]
mod tests;

use crate::{
    Error,
    safetensors_files::file_names,
    tokenizer::{SETTINGS_FILES, VOCABULARY_FILES},
};
use cache::CachedRepository;
use client::{Client, Listing};
use download::Downloader;
use failure::Failure;
use requested_files::{CONFIG, INDEX, RequestedFiles, SINGLE, find_gguf, list_names, require};
use settings::HubSettings;
use std::path::{Path, PathBuf};

/// The file of a whole tokenizer, which takes precedence over the other vocabulary files.
const TOKENIZER_FILE: &str = VOCABULARY_FILES[0];

/// Optional files of a model, other than its tokenizer.
const OPTIONAL_FILES: [&str; 3] =
    ["generation_config.json", "chat_template.jinja", "chat_template.json"];

/// The folder of named chat templates (transformers' `CHAT_TEMPLATE_DIR`).
const TEMPLATES: &str = "additional_chat_templates/";

/// Returns `id@commit`, with the commit after which the folder of the snapshot is named. It becomes
/// [`Checkpoint::source`](crate::Checkpoint::source).
pub fn resolved_name(id: &str, revision: &str, snapshot: &Path) -> String {
    format!("{id}@{}", commit_of(snapshot).unwrap_or(revision))
}

/// Returns the local folder of a model's snapshot: config, weights, and the tokenizer and chat templates if it has
/// them.
///
/// # Errors
/// Fails if the model is not in the cache and cannot be fetched from the Hub.
pub fn fetch(id: &str, revision: &str) -> Result<PathBuf, Error> {
    HubRevision::from_environment(id, revision)?.fetch(RequestedFiles::Model)
}

/// Returns the local path of a model's `config.json`. Other files of the model need not be in the cache.
///
/// # Errors
/// Fails if the file is not in the cache and cannot be fetched from the Hub.
pub fn fetch_config(id: &str, revision: &str) -> Result<PathBuf, Error> {
    Ok(HubRevision::from_environment(id, revision)?.fetch(RequestedFiles::Config)?.join(CONFIG))
}

/// Returns the local folder of an adapter's snapshot. `config` and `weights` are the names of its two files.
///
/// # Errors
/// Fails if a file is not in the cache and cannot be fetched from the Hub.
pub fn fetch_adapter(
    id: &str,
    revision: &str,
    config: &str,
    weights: &str,
) -> Result<PathBuf, Error> {
    HubRevision::from_environment(id, revision)?.fetch(RequestedFiles::Adapter { config, weights })
}

/// One revision of a repository, in the cache and on the Hub.
struct HubRevision<'a> {
    settings: HubSettings,
    repository: CachedRepository,
    id: &'a str,
    revision: &'a str,
}

impl<'a> HubRevision<'a> {
    /// Reads the settings from the environment of the process.
    fn from_environment(id: &'a str, revision: &'a str) -> Result<Self, Error> {
        Ok(Self::new(HubSettings::from_environment()?, id, revision))
    }

    fn new(settings: HubSettings, id: &'a str, revision: &'a str) -> Self {
        let repository = CachedRepository::new(&settings.cache, id);
        Self { settings, repository, id, revision }
    }

    /// Returns the folder of the snapshot with the requested files, and downloads those that are missing.
    fn fetch(&self, kind: RequestedFiles<'_>) -> Result<PathBuf, Error> {
        let snapshot = self.repository.snapshot(self.revision);
        let missing = match &snapshot {
            Some(folder) => kind.missing(folder)?,
            None => Vec::new(),
        };
        if let Some(folder) = snapshot.as_ref().filter(|_| missing.is_empty()) {
            if matches!(kind, RequestedFiles::Model) {
                self.fetch_missing_tokenizer(folder);
            }
            return Ok(folder.clone());
        }
        let fetched = match self.settings.offline {
            Some(variable) => Err(self.offline(variable, snapshot.as_deref()).into()),
            None => self.download(kind),
        };
        fetched.map_err(|cause| match cause {
            DownloadError::Failure(failure) => Error::NotFound(self.describe_failure(
                kind,
                snapshot.as_deref(),
                &missing,
                &failure,
            )),
            DownloadError::File(error) => error,
        })
    }

    /// Returns the failure for an environment variable that forbids the network.
    fn offline(&self, variable: &'static str, snapshot: Option<&Path>) -> Failure {
        let (cache, known) = (self.settings.cache.clone(), self.repository.revisions());
        match snapshot.map(find_gguf) {
            Some(Some(file)) => Failure::OnlyGguf { variable, file },
            Some(None) => Failure::Forbids { variable },
            None if known.is_empty() => Failure::NotCached { variable, cache },
            None => Failure::OtherRevisions { variable, cache, known },
        }
    }

    /// Describes a failure in one sentence, with the repository and the missing files.
    fn describe_failure(
        &self,
        kind: RequestedFiles<'_>,
        snapshot: Option<&Path>,
        missing: &[String],
        failure: &Failure,
    ) -> String {
        let (id, revision, noun) = (self.id, self.revision, kind.noun());
        match failure {
            Failure::NoPublicRepository { .. } | Failure::NoRepository { .. } => {
                format!("no {noun} '{id}': {failure}")
            }
            // A name without an owner is usually meant to be a local folder.
            Failure::Unreachable { .. } | Failure::NotCached { .. } if !id.contains('/') => {
                format!("no {noun} '{id}': no folder here is called that, and {failure}")
            }
            _ => match snapshot {
                Some(folder) => format!(
                    "{id}@{revision} is not complete, for {} lacks {}: {failure}",
                    folder.display(),
                    list_names(missing.iter().map(String::as_str))
                ),
                None => format!("cannot fetch {id}@{revision}: {failure}"),
            },
        }
    }

    /// Fetches the tokenizer and other optional files of a snapshot that has weights but no tokenizer. Some programs
    /// fetch weights and tokenizer separately. If this fails, it logs a warning and leaves the snapshot as it is.
    fn fetch_missing_tokenizer(&self, snapshot: &Path) {
        let Some(commit) = commit_of(snapshot) else { return };
        let is_known = snapshot.join(TOKENIZER_FILE).is_file()
            || self.repository.is_known_absent(commit, TOKENIZER_FILE);
        if is_known || self.settings.offline.is_some() {
            return;
        }
        let client = Client::new(&self.settings, self.id);
        let fetched = client
            .listing(commit)
            .and_then(|listing| self.fetch_with_optional(&client, &listing, Vec::new()));
        if let Err(failure) = fetched {
            tracing::warn!(
                "{} has no {TOKENIZER_FILE} in the Hub cache, and none can be fetched: {failure}",
                self.id
            );
        }
    }

    /// Downloads the requested files into the cache, at the commit to which the revision points now. Returns the folder
    /// of the snapshot.
    fn download(&self, kind: RequestedFiles<'_>) -> Result<PathBuf, DownloadError> {
        let client = Client::new(&self.settings, self.id);
        let listing = client.listing(self.revision)?;
        let snapshot = self.repository.snapshot_of(&listing.commit);
        self.repository
            .write_ref(self.revision, &listing.commit)
            .map_err(Failure::storage(self.repository.cache()))?;
        let downloader = self.downloader(&client, &listing);
        match kind {
            RequestedFiles::Config => downloader.fetch(&[require(&listing, CONFIG)?])?,
            RequestedFiles::Adapter { config, weights } => {
                downloader.fetch(&[require(&listing, config)?, require(&listing, weights)?])?;
            }
            RequestedFiles::Model => {
                let has = |name: &str| listing.names.contains(name);
                let mut small = vec![require(&listing, CONFIG)?];
                let weights = match has(INDEX) && !has(SINGLE) {
                    true => {
                        small.push(INDEX);
                        self.fetch_with_optional(&client, &listing, small)?;
                        file_names(&snapshot.join(INDEX)).map_err(DownloadError::File)?
                    }
                    false => {
                        let weights = vec![require(&listing, SINGLE)?.to_owned()];
                        self.fetch_with_optional(&client, &listing, small)?;
                        weights
                    }
                };
                let weights: Vec<&str> = weights.iter().map(String::as_str).collect();
                if let Some(name) = weights.iter().find(|name| !has(name)) {
                    let reason = format!(
                        "the repository has no {name}, which its {INDEX} names: take another revision"
                    );
                    return Err(Failure::NoFile(reason).into());
                }
                downloader.fetch(&weights)?;
            }
        }
        Ok(snapshot)
    }

    /// Fetches these files and the optional files of a model. Records in the cache which optional files the Hub does
    /// not have, so that it is asked only once.
    fn fetch_with_optional<'b>(
        &self,
        client: &Client<'_>,
        listing: &'b Listing,
        mut names: Vec<&'b str>,
    ) -> Result<(), Failure> {
        let has = |name: &&str| listing.names.contains(*name);
        let read = if has(&TOKENIZER_FILE) { 1 } else { VOCABULARY_FILES.len() };
        let optional =
            OPTIONAL_FILES.iter().chain(&SETTINGS_FILES).chain(&VOCABULARY_FILES[..read]).copied();
        let (present, absent): (Vec<_>, Vec<_>) = optional.partition(has);
        let templates = listing.names.iter().filter(|name| {
            name.strip_prefix(TEMPLATES).is_some_and(|rest| rest.ends_with(".jinja"))
        });
        names.extend(present);
        names.extend(templates.map(String::as_str));
        self.downloader(client, listing).fetch(&names)?;
        for name in absent {
            // If the cache cannot be written to, the Hub is asked again the next time.
            let _ = self.repository.record_absent(&listing.commit, name);
        }
        Ok(())
    }

    fn downloader<'b>(&'b self, client: &'b Client<'b>, listing: &'b Listing) -> Downloader<'b> {
        Downloader {
            client,
            repository: &self.repository,
            settings: &self.settings,
            commit: &listing.commit,
            id: self.id,
        }
    }
}

/// Why a download failed.
enum DownloadError {
    Failure(Failure),
    /// A fetched file is invalid.
    File(Error),
}

impl From<Failure> for DownloadError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Returns the commit after which the folder of a snapshot is named.
fn commit_of(snapshot: &Path) -> Option<&str> {
    snapshot.file_name()?.to_str()
}
