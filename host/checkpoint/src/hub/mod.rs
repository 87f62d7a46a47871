//! Models of the Hugging Face Hub: from its cache where they are there, from the network where not.
//!
//! What the cache holds whole is taken as it is, and the Hub is not asked: a run is then of what the run before it was
//! of. What it lacks is fetched, at the commit that the revision stands for now. The environment is obeyed as
//! huggingface_hub obeys it ([`settings`]), and the cache is one with its ([`cache`]).

mod cache;
mod client;
mod download;
mod failure;
mod progress;
mod settings;
#[cfg(test)]
mod tests;
mod wanted;

use crate::{Error, safetensors_files::file_names, tokenizer::Tokenizer};
use cache::Repository;
use client::{Client, Listing};
use download::Downloads;
use failure::Failure;
use settings::Settings;
use std::path::{Path, PathBuf};
use wanted::{CONFIG, INDEX, Kind, SINGLE, gguf_in, listed, required};

/// Files that hold a vocabulary, of which a whole tokenizer goes before older forms, and files that say how it is used.
const VOCABULARIES: &[&str] = &Tokenizer::FILES.0;
const TOKENIZER: &str = Tokenizer::FILES.0[0];
const SETTINGS: &[&str] = &Tokenizer::FILES.1;

/// Further files beside the weights that are worth having and may be absent.
const BESIDE: [&str; 3] = ["generation_config.json", "chat_template.jinja", "chat_template.json"];

/// Named templates beside the default one (transformers' `CHAT_TEMPLATE_DIR`).
const TEMPLATES: &str = "additional_chat_templates/";

/// A repository's name with the commit of a snapshot, which is its folder's name.
pub fn resolved(id: &str, revision: &str, snapshot: &Path) -> String {
    format!("{id}@{}", commit_of(snapshot).unwrap_or(revision))
}

/// The local folder of a model's snapshot, complete.
///
/// # Errors
/// It is neither in the cache nor to be had from the Hub.
pub fn fetch(id: &str, revision: &str) -> Result<PathBuf, Error> {
    Hub::of_environment(id, revision)?.fetch(Kind::Model)
}

/// The path of a model's `config.json`, of which nothing else need be there.
///
/// # Errors
/// It is neither in the cache nor to be had from the Hub.
pub fn fetch_config(id: &str, revision: &str) -> Result<PathBuf, Error> {
    Ok(Hub::of_environment(id, revision)?.fetch(Kind::Config)?.join(CONFIG))
}

/// The local folder of the snapshot of an adapter, which is two files.
///
/// # Errors
/// It is neither in the cache nor to be had from the Hub.
pub fn fetch_adapter(
    id: &str,
    revision: &str,
    config: &str,
    weights: &str,
) -> Result<PathBuf, Error> {
    Hub::of_environment(id, revision)?.fetch(Kind::Adapter { config, weights })
}

/// A revision of a repository, in the cache and on the Hub.
struct Hub<'a> {
    settings: Settings,
    repository: Repository,
    id: &'a str,
    revision: &'a str,
}

impl<'a> Hub<'a> {
    /// With the settings of the program's environment.
    fn of_environment(id: &'a str, revision: &'a str) -> Result<Self, Error> {
        Ok(Self::new(Settings::from_environment()?, id, revision))
    }

    fn new(settings: Settings, id: &'a str, revision: &'a str) -> Self {
        let repository = Repository::new(&settings.cache, id);
        Self { settings, repository, id, revision }
    }

    /// The folder that holds what is wanted.
    fn fetch(&self, kind: Kind<'_>) -> Result<PathBuf, Error> {
        let snapshot = self.repository.snapshot(self.revision);
        let missing = match &snapshot {
            Some(folder) => kind.missing(folder)?,
            None => Vec::new(),
        };
        if let Some(folder) = snapshot.as_ref().filter(|_| missing.is_empty()) {
            if matches!(kind, Kind::Model) {
                self.complete(folder);
            }
            return Ok(folder.clone());
        }
        let fetched = match self.settings.offline {
            Some(variable) => Err(self.offline(variable, snapshot.as_deref()).into()),
            None => self.download(kind),
        };
        fetched.map_err(|cause| match cause {
            Cause::Failure(failure) => {
                Error::NotFound(self.sentence(kind, snapshot.as_deref(), &missing, &failure))
            }
            Cause::File(error) => error,
        })
    }

    /// Why nothing can be fetched.
    fn offline(&self, variable: &'static str, snapshot: Option<&Path>) -> Failure {
        let (cache, known) = (self.settings.cache.clone(), self.repository.revisions());
        match snapshot.map(gguf_in) {
            Some(Some(file)) => Failure::OnlyGguf { variable, file },
            Some(None) => Failure::Forbids { variable },
            None if known.is_empty() => Failure::NotCached { variable, cache },
            None => Failure::OtherRevisions { variable, cache, known },
        }
    }

    /// A failure in one sentence, with what was to be had.
    fn sentence(
        &self,
        kind: Kind<'_>,
        snapshot: Option<&Path>,
        missing: &[String],
        failure: &Failure,
    ) -> String {
        let (id, revision, noun) = (self.id, self.revision, kind.noun());
        match failure {
            Failure::NoPublicRepository { .. } | Failure::NoRepository { .. } => {
                format!("no {noun} '{id}': {failure}")
            }
            // Most who give a name without an owner mean a folder.
            Failure::Unreachable { .. } | Failure::NotCached { .. } if !id.contains('/') => {
                format!("no {noun} '{id}': no folder here is called that, and {failure}")
            }
            _ => match snapshot {
                Some(folder) => format!(
                    "{id}@{revision} is not complete, for {} lacks {}: {failure}",
                    folder.display(),
                    listed(missing.iter().map(String::as_str))
                ),
                None => format!("cannot fetch {id}@{revision}: {failure}"),
            },
        }
    }

    /// Fetches what a snapshot with weights lacks beside them, if the Hub has it at the same commit: some programs fetch
    /// weights and tokenizer apart. Where that fails, the snapshot stays as it is.
    fn complete(&self, snapshot: &Path) {
        let Some(commit) = commit_of(snapshot) else { return };
        let is_known =
            snapshot.join(TOKENIZER).is_file() || self.repository.knows_absent(commit, TOKENIZER);
        if is_known || self.settings.offline.is_some() {
            return;
        }
        let client = Client::new(&self.settings, self.id);
        let fetched = client
            .listing(commit)
            .and_then(|listing| self.fetch_beside(&client, &listing, Vec::new()));
        if let Err(failure) = fetched {
            tracing::warn!(
                "{} has no {TOKENIZER} in the Hub cache, and none can be fetched: {failure}",
                self.id
            );
        }
    }

    /// Brings what is wanted into the cache, at the commit that the revision stands for now.
    fn download(&self, kind: Kind<'_>) -> Result<PathBuf, Cause> {
        let client = Client::new(&self.settings, self.id);
        let listing = client.listing(self.revision)?;
        let snapshot = self.repository.snapshot_of(&listing.commit);
        self.repository
            .keep_ref(self.revision, &listing.commit)
            .map_err(Failure::storage(self.repository.cache()))?;
        let downloads = self.downloads(&client, &listing);
        match kind {
            Kind::Config => downloads.fetch(&[required(&listing, CONFIG)?])?,
            Kind::Adapter { config, weights } => {
                downloads.fetch(&[required(&listing, config)?, required(&listing, weights)?])?;
            }
            Kind::Model => {
                let has = |name: &str| listing.names.contains(name);
                let mut small = vec![required(&listing, CONFIG)?];
                let weights = match has(INDEX) && !has(SINGLE) {
                    true => {
                        small.push(INDEX);
                        self.fetch_beside(&client, &listing, small)?;
                        file_names(&snapshot.join(INDEX)).map_err(Cause::File)?
                    }
                    false => {
                        let weights = vec![required(&listing, SINGLE)?.to_owned()];
                        self.fetch_beside(&client, &listing, small)?;
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
                downloads.fetch(&weights)?;
            }
        }
        Ok(snapshot)
    }

    /// Fetches these files and what else lies beside the weights, and notes what the Hub has not, so that it is asked once.
    fn fetch_beside<'b>(
        &self,
        client: &Client<'_>,
        listing: &'b Listing,
        mut names: Vec<&'b str>,
    ) -> Result<(), Failure> {
        let has = |name: &&str| listing.names.contains(*name);
        let read = if has(&TOKENIZER) { 1 } else { VOCABULARIES.len() };
        let names_beside = BESIDE.iter().chain(SETTINGS).chain(&VOCABULARIES[..read]).copied();
        let (present, absent): (Vec<_>, Vec<_>) = names_beside.partition(has);
        let templates = listing.names.iter().filter(|name| {
            name.strip_prefix(TEMPLATES).is_some_and(|rest| rest.ends_with(".jinja"))
        });
        names.extend(present);
        names.extend(templates.map(String::as_str));
        self.downloads(client, listing).fetch(&names)?;
        for name in absent {
            // A cache that cannot be written to is asked for again.
            let _ = self.repository.note_absent(&listing.commit, name);
        }
        Ok(())
    }

    fn downloads<'b>(&'b self, client: &'b Client<'b>, listing: &'b Listing) -> Downloads<'b> {
        Downloads {
            client,
            repository: &self.repository,
            settings: &self.settings,
            commit: &listing.commit,
            id: self.id,
        }
    }
}

/// Why a download came to nothing.
enum Cause {
    Failure(Failure),
    /// A file that was fetched is not what it should be.
    File(Error),
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The commit that a snapshot's folder is called after.
fn commit_of(snapshot: &Path) -> Option<&str> {
    snapshot.file_name()?.to_str()
}
