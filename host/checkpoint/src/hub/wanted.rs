//! What is wanted of a repository: which files must be there, and what a repository is that lacks them.

use super::{client::Listing, failure::Failure};
use crate::{Error, safetensors_files::file_names};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A model's config.
pub const CONFIG: &str = "config.json";
/// The weights of a model that has them in one file.
pub const SINGLE: &str = "model.safetensors";
/// The file that names the files of weights of a model that has several.
pub const INDEX: &str = "model.safetensors.index.json";

const ADAPTER_CONFIG: &str = "adapter_config.json";

/// How many names a sentence lists.
const LISTED: usize = 5;

/// What is wanted of a repository.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// Config and weights, and what lies beside them.
    Model,
    /// The config alone.
    Config,
    /// Both files of an adapter.
    Adapter { config: &'a str, weights: &'a str },
}

impl Kind<'_> {
    /// What people call it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Model | Self::Config => "model",
            Self::Adapter { .. } => "adapter",
        }
    }

    /// What a snapshot lacks of what must be there.
    pub fn missing(self, snapshot: &Path) -> Result<Vec<String>, Error> {
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

/// A file that a repository must have. Where it lacks it, what it has tells what it is.
pub fn required<'a>(listing: &Listing, name: &'a str) -> Result<&'a str, Failure> {
    match listing.names.contains(name) {
        true => Ok(name),
        false => Err(Failure::NoFile(what_it_is(listing, name))),
    }
}

/// What a repository without a file has instead, and what to do with that.
fn what_it_is(listing: &Listing, name: &str) -> String {
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
            listed(gguf)
        );
    }
    if is_weights && !pickled.is_empty() {
        return format!(
            "the repository has no {name} but weights that may run code as they are read ({}): take a revision with \
             safetensors, which is often refs/pr/1, or convert them with save_pretrained",
            listed(pickled)
        );
    }
    match listing.names.is_empty() {
        true => format!("the repository has no {name}, nor any other file"),
        false => format!(
            "the repository has no {name}, so it is not what transformers or PEFT saves; it has {}",
            listed(listing.names.iter().map(String::as_str))
        ),
    }
}

/// A GGUF file of a snapshot, the first by name.
pub fn gguf_in(snapshot: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(snapshot).ok()?.flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|end| end == "gguf") && path.is_file()).min()
}

/// The first names, and how many more there are.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let first = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
