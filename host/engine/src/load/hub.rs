//! Models of the Hugging Face Hub: from its cache where they are there, from the network where not.
//!
//! Obeys the environment variables of `huggingface_hub`: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`,
//! `HF_TOKEN` and `HF_HUB_OFFLINE`.

use super::files::shard_names;
use crate::{Error, Result};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{Api, ApiBuilder, ApiRepo},
};
use std::{
    env,
    path::{Path, PathBuf},
};

/// Files that are worth having and may be absent.
const OPTIONAL: &[&str] =
    &["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

/// A repository's name with the commit of a snapshot, which is its folder's name.
pub fn resolved(id: &str, revision: &str, snapshot: &Path) -> String {
    let commit = snapshot.file_name().and_then(|name| name.to_str());
    format!("{id}@{}", commit.unwrap_or(revision))
}

/// The local folder of a model's snapshot, complete.
pub fn fetch(id: &str, revision: &str) -> Result<PathBuf> {
    fetch_with(id, revision, cached, download)
}

/// A model's `config.json` alone.
pub fn fetch_config(id: &str, revision: &str) -> Result<PathBuf> {
    const CONFIG: &str = "config.json";
    fetch_with(
        id,
        revision,
        |cache, repo| Ok(cache.repo(repo.clone()).get(CONFIG)),
        |cache, repo| get(&connect(cache)?.repo(repo), CONFIG),
    )
}

/// The local folder of the snapshot of an adapter, which is two files.
pub fn fetch_adapter(id: &str, revision: &str, config: &str, weights: &str) -> Result<PathBuf> {
    fetch_with(
        id,
        revision,
        |cache, repo| {
            let files = cache.repo(repo.clone());
            let weights = files.get(weights);
            let folder = files.get(config).and_then(|config| Some(config.parent()?.to_path_buf()));
            Ok(folder.filter(|_| weights.is_some()))
        },
        |cache, repo| {
            let remote = connect(cache)?.repo(repo);
            let config = get(&remote, config)?;
            get(&remote, weights)?;
            folder_of(&config)
        },
    )
}

fn fetch_with(
    id: &str,
    revision: &str,
    cached: impl FnOnce(&Cache, &Repo) -> Result<Option<PathBuf>>,
    download: impl FnOnce(&Cache, Repo) -> Result<PathBuf>,
) -> Result<PathBuf> {
    let repo = Repo::with_revision(id.to_owned(), RepoType::Model, revision.to_owned());
    let cache = match env::var_os("HF_HUB_CACHE") {
        Some(folder) => Cache::new(folder.into()),
        None => Cache::from_env(),
    };
    if let Some(folder) = cached(&cache, &repo)? {
        return Ok(folder);
    }
    if env::var("HF_HUB_OFFLINE").is_ok_and(|value| value != "0" && !value.is_empty()) {
        return Err(Error::NotFound(format!(
            "{id}@{revision} is not complete in the Hub cache {} and HF_HUB_OFFLINE forbids to fetch it",
            cache.path().display()
        )));
    }
    download(&cache, repo).map_err(|error| match error {
        Error::NotFound(reason) => {
            Error::NotFound(format!("cannot fetch {id}@{revision}: {reason}"))
        }
        other => other,
    })
}

/// The snapshot's folder if the cache holds config and every weight file.
fn cached(cache: &Cache, repo: &Repo) -> Result<Option<PathBuf>> {
    let files = cache.repo(repo.clone());
    let Some(config) = files.get("config.json") else { return Ok(None) };
    let complete = match files.get("model.safetensors.index.json") {
        Some(index) => shard_names(&index)?.iter().all(|name| files.get(name).is_some()),
        None => files.get("model.safetensors").is_some(),
    };
    Ok(complete.then(|| config.parent().map(PathBuf::from)).flatten())
}

/// The Hub, as the environment says.
fn connect(cache: &Cache) -> Result<Api> {
    let mut builder = ApiBuilder::from_cache(cache.clone()).with_progress(false);
    if let Ok(endpoint) = env::var("HF_ENDPOINT") {
        builder = builder.with_endpoint(endpoint);
    }
    if let Ok(token) = env::var("HF_TOKEN") {
        builder = builder.with_token(Some(token));
    }
    builder.build().map_err(unreachable)
}

fn download(cache: &Cache, repo: Repo) -> Result<PathBuf> {
    let remote = connect(cache)?.repo(repo);
    let listing = remote.info().map_err(unreachable)?;
    let has = |name: &str| listing.siblings.iter().any(|file| file.rfilename == name);

    let config = get(&remote, "config.json")?;
    for name in OPTIONAL.iter().filter(|name| has(name)) {
        get(&remote, name)?;
    }
    if has("model.safetensors.index.json") {
        for name in shard_names(&get(&remote, "model.safetensors.index.json")?)? {
            get(&remote, &name)?;
        }
    } else {
        get(&remote, "model.safetensors")?;
    }
    folder_of(&config)
}

fn folder_of(file: &Path) -> Result<PathBuf> {
    file.parent()
        .map(PathBuf::from)
        .ok_or_else(|| Error::file(file, "the Hub cache gave a path without a folder"))
}

fn get(remote: &ApiRepo, name: &str) -> Result<PathBuf> {
    tracing::info!("fetching {name} from the Hub");
    remote.get(name).map_err(|error| Error::NotFound(format!("{name}: {error}")))
}

fn unreachable(error: hf_hub::api::sync::ApiError) -> Error {
    Error::NotFound(format!("{error}; check the id, HF_ENDPOINT and, for a gated model, HF_TOKEN"))
}
