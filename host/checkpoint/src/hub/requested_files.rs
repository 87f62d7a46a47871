//! Which files of a repository are requested, and what a repository without them probably is.

use super::{client::Listing, failure::Failure};
use crate::{Error, safetensors_files::file_names};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file of a model's config.
pub(super) const CONFIG: &str = "config.json";
/// The weights of a model that has one file of weights.
pub(super) const SINGLE: &str = "model.safetensors";
/// The list of the weight files of a model that has several.
pub(super) const INDEX: &str = "model.safetensors.index.json";

const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Number of file names that an error message lists.
const MAX_NAMES: usize = 5;

/// The files that a caller requests from a repository.
#[derive(Clone, Copy)]
pub(super) enum RequestedFiles<'a> {
    /// The config, the weights, and the optional files of a model.
    Model,
    /// Only the config of a model.
    Config,
    /// The two files of an adapter.
    Adapter { config: &'a str, weights: &'a str },
}

impl RequestedFiles<'_> {
    /// What error messages call the repository.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Model | Self::Config => "model",
            Self::Adapter { .. } => "adapter",
        }
    }

    /// Returns the required files that a snapshot does not have.
    pub(super) fn missing(self, snapshot: &Path) -> Result<Vec<String>, Error> {
        let lacks = |name: &String| !snapshot.join(name).is_file();
        let needed = match self {
            Self::Config => vec![CONFIG.to_owned()],
            Self::Adapter { config, weights } => vec![config.to_owned(), weights.to_owned()],
            Self::Model => {
                let index = snapshot.join(INDEX);
                let weights = match snapshot.join(SINGLE).is_file() || !index.is_file() {
                    true => vec![SINGLE.to_owned()],
                    false => file_names(&index)?,
                };
                [vec![CONFIG.to_owned()], weights].concat()
            }
        };
        Ok(needed.into_iter().filter(lacks).collect())
    }
}

/// Returns the name if the repository has the file. Otherwise the failure says what the repository seems to contain.
pub(super) fn require<'a>(listing: &Listing, name: &'a str) -> Result<&'a str, Failure> {
    match listing.names.contains(name) {
        true => Ok(name),
        false => Err(Failure::NoFile(describe_missing(listing, name))),
    }
}

/// Describes what a repository has instead of a missing file, and what the user can do.
fn describe_missing(listing: &Listing, name: &str) -> String {
    let having = |end: &str| -> Vec<&str> {
        listing.names.iter().map(String::as_str).filter(|name| name.ends_with(end)).collect()
    };
    let (gguf, pickled) = (having(".gguf"), having(".bin"));
    let is_weights = name.ends_with(".safetensors");
    if name == CONFIG && listing.names.contains(ADAPTER_CONFIG) {
        return format!(
            "the repository has no {name} but an {ADAPTER_CONFIG}: give it as an adapter, and its base model as the model"
        );
    }
    if name == ADAPTER_CONFIG && listing.names.contains(CONFIG) {
        return format!(
            "the repository has no {name} but a {CONFIG}: it is a model, not an adapter"
        );
    }
    if !gguf.is_empty() {
        return format!(
            "the repository has no {name} but GGUF files ({}): fetch one with 'hf download' and give the file",
            list_names(gguf)
        );
    }
    if is_weights && !pickled.is_empty() {
        return format!(
            "the repository has no {name} but weights that may run code as they are read ({}): take a revision with \
             safetensors, which is often refs/pr/1, or convert them with save_pretrained",
            list_names(pickled)
        );
    }
    match listing.names.is_empty() {
        true => format!("the repository has no {name}, nor any other file"),
        false => format!(
            "the repository has no {name}, so it is not what transformers or PEFT saves; it has {}",
            list_names(listing.names.iter().map(String::as_str))
        ),
    }
}

/// Returns the first GGUF file of a snapshot, by name.
pub(super) fn find_gguf(snapshot: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(snapshot).ok()?.flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "gguf") && path.is_file()).min()
}

/// Lists the first names, and the number of the others.
pub(super) fn list_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let first = names[..names.len().min(MAX_NAMES)].join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
