//! Models of the Hugging Face Hub: from its cache where they are there, from the network where not.
//!
//! Obeys the environment variables of `huggingface_hub`: `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`,
//! `HF_TOKEN` and `HF_HUB_OFFLINE`.

use crate::{
    Error, Result, chat::TEMPLATE_FILE, safetensors_files::file_names,
    tokenizer::special_tokens::FILES,
};
use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{Api, ApiBuilder, ApiRepo},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

const TOKENIZER: &str = "tokenizer.json";

/// Files that are worth having and may be absent.
const OPTIONAL: &[&str] = &["generation_config.json", TOKENIZER, FILES[0], FILES[1], TEMPLATE_FILE];

/// A repository's name with the commit of a snapshot, which is its folder's name.
pub fn resolved(id: &str, revision: &str, snapshot: &Path) -> String {
    let commit = snapshot.file_name().and_then(|name| name.to_str());
    format!("{id}@{}", commit.unwrap_or(revision))
}

/// The local folder of a model's snapshot, complete.
pub fn fetch(id: &str, revision: &str) -> Result<PathBuf> {
    let folder = fetch_with(id, revision, cached, download)?;
    if !folder.join(TOKENIZER).is_file()
        && !absence(&folder).is_some_and(|mark| mark.is_file())
        && !is_offline()
    {
        complete(id, &folder)?;
    }
    Ok(folder)
}

/// Fetches what a snapshot with weights lacks beside them, if the Hub has it at the same commit: some
/// programs fetch weights and tokenizer apart. A Hub that cannot be asked leaves the snapshot as it is.
fn complete(id: &str, folder: &Path) -> Result<()> {
    let commit = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let repo = Repo::with_revision(id.to_owned(), RepoType::Model, commit.to_owned());
    let remote = connect(&hub_cache())?.repo(repo);
    let listing = match remote.info() {
        Ok(listing) => listing,
        Err(error) => {
            tracing::warn!(
                "{id} has no {TOKENIZER} in the Hub cache, and the Hub cannot be asked for one: {}",
                unreachable(error)
            );
            return Ok(());
        }
    };
    let has = |name: &str| listing.siblings.iter().any(|file| file.rfilename == name);
    for name in OPTIONAL.iter().filter(|name| has(name) && !folder.join(name).is_file()) {
        get(&remote, name)?;
    }
    if !has(TOKENIZER) {
        note_absence(folder);
    }
    Ok(())
}

/// Where huggingface_hub notes that a commit has no tokenizer: `.no_exist/COMMIT/tokenizer.json` beside
/// `snapshots/COMMIT`.
fn absence(snapshot: &Path) -> Option<PathBuf> {
    let commit = snapshot.file_name()?;
    Some(snapshot.parent()?.parent()?.join(".no_exist").join(commit).join(TOKENIZER))
}

/// Notes that, so that the Hub is asked once.
fn note_absence(snapshot: &Path) {
    let note = || -> Option<()> {
        let mark = absence(snapshot)?;
        fs::create_dir_all(mark.parent()?).ok()?;
        fs::write(mark, "").ok()
    };
    // A cache that cannot be written to is asked for again.
    let _ = note();
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
    let cache = hub_cache();
    if let Some(folder) = cached(&cache, &repo)? {
        return Ok(folder);
    }
    if is_offline() {
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

/// The Hub's cache on this machine.
fn hub_cache() -> Cache {
    match env::var_os("HF_HUB_CACHE") {
        Some(folder) => Cache::new(folder.into()),
        None => Cache::from_env(),
    }
}

/// Whether the environment forbids to ask the Hub.
fn is_offline() -> bool {
    env::var("HF_HUB_OFFLINE").is_ok_and(|value| value != "0" && !value.is_empty())
}

/// The snapshot's folder if the cache holds config and every weight file.
fn cached(cache: &Cache, repo: &Repo) -> Result<Option<PathBuf>> {
    let files = cache.repo(repo.clone());
    let Some(config) = files.get("config.json") else { return Ok(None) };
    let complete = match files.get("model.safetensors.index.json") {
        Some(index) => file_names(&index)?.iter().all(|name| files.get(name).is_some()),
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
        for name in file_names(&get(&remote, "model.safetensors.index.json")?)? {
            get(&remote, &name)?;
        }
    } else {
        get(&remote, "model.safetensors")?;
    }
    let folder = folder_of(&config)?;
    if !has(TOKENIZER) {
        note_absence(&folder);
    }
    Ok(folder)
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
