//! The local cache of the Hub, in the layout of huggingface_hub.
//!
//! ```text
//! CACHE/models--OWNER--NAME/refs/REVISION              the commit of a branch or tag when it was last fetched
//!                          /snapshots/COMMIT/FILE      links to blobs, or files where links are impossible
//!                          /blobs/ETAG                 contents; ETAG.incomplete while they are fetched
//!                          /.no_exist/COMMIT/FILE      empty: the Hub has no such file
//!                          /trees/COMMIT.json          which files the Hub has
//! CACHE/.locks/models--OWNER--NAME/ETAG.lock           locked by the process that fetches a blob
//! ```
//!
//! Reading from the cache never writes to it, because it may belong to another user.

use crate::safetensors_files::is_within;
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The part of the cache that belongs to one repository.
pub(super) struct CachedRepository {
    cache: PathBuf,
    /// `models--OWNER--NAME`.
    name: String,
}

impl CachedRepository {
    /// Names the repository of the model `id` in the folder `cache`. It need not exist there.
    pub(super) fn new(cache: &Path, id: &str) -> Self {
        Self { cache: cache.to_path_buf(), name: format!("models--{}", id.replace('/', "--")) }
    }

    /// The folder of the repository.
    pub(super) fn folder(&self) -> PathBuf {
        self.cache.join(&self.name)
    }

    /// The folder of the whole cache.
    pub(super) fn cache(&self) -> &Path {
        &self.cache
    }

    /// Returns the folder of a revision's snapshot. The revision is a commit, or a branch or tag that was fetched
    /// before. Returns `None` if there is no such snapshot.
    pub(super) fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        let commit = match is_commit(revision) {
            true => revision.to_owned(),
            false => self.commit_of(revision)?,
        };
        Some(self.snapshot_of(&commit)).filter(|folder| folder.is_dir())
    }

    /// The folder of a commit's snapshot. It need not exist.
    pub(super) fn snapshot_of(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    fn commit_of(&self, revision: &str) -> Option<String> {
        let file = is_within(revision).then(|| self.folder().join("refs").join(revision))?;
        let commit = fs::read_to_string(file).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Records the commit to which a branch or tag points now.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
        if revision == commit
            || !is_within(revision)
            || self.commit_of(revision).as_deref() == Some(commit)
        {
            return Ok(());
        }
        let file = self.folder().join("refs").join(revision);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        llem_files::write(&file, commit.as_bytes())
    }

    /// Lists the revisions with a snapshot: branches and tags, then the commits to which none of them points.
    pub(super) fn revisions(&self) -> Vec<String> {
        let refs = self.folder().join("refs");
        let mut names = BTreeSet::new();
        collect_files(&refs, &mut names);
        let mut named = BTreeSet::new();
        let mut revisions = Vec::new();
        for name in names.iter().filter_map(|path| path.strip_prefix(&refs).ok()?.to_str()) {
            if self.snapshot(name).is_some() {
                named.extend(self.commit_of(name));
                revisions.push(name.to_owned());
            }
        }
        let snapshots =
            fs::read_dir(self.folder().join("snapshots")).into_iter().flatten().flatten();
        let commits = snapshots.filter_map(|entry| entry.file_name().into_string().ok());
        revisions.extend(commits.filter(|commit| is_commit(commit) && !named.contains(commit)));
        revisions
    }

    /// Whether the cache knows that a commit does not have this file.
    pub(super) fn is_known_absent(&self, commit: &str, name: &str) -> bool {
        self.absence_marker(commit, name).is_file()
            || self.listing(commit).is_some_and(|names| !names.contains_key(name))
    }

    /// Records that a commit does not have this file.
    pub(super) fn record_absent(&self, commit: &str, name: &str) -> io::Result<()> {
        let marker = self.absence_marker(commit, name);
        if marker.is_file() {
            return Ok(());
        }
        if let Some(folder) = marker.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(marker, "")
    }

    fn absence_marker(&self, commit: &str, name: &str) -> PathBuf {
        self.folder().join(".no_exist").join(commit).join(name)
    }

    /// Returns the files of a commit by name, if huggingface_hub (2.0 or later) has stored the list in the cache.
    fn listing(&self, commit: &str) -> Option<Map<String, Value>> {
        let file = self.folder().join("trees").join(format!("{commit}.json"));
        match serde_json::from_slice(&fs::read(file).ok()?).ok()? {
            Value::Object(mut tree) if tree.get("format_version") == Some(&Value::from(1)) => {
                match tree.remove("files") {
                    Some(Value::Object(files)) => Some(files),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The path of the file contents with this etag.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// The file that a process locks while it fetches the contents with this etag.
    pub(super) fn lock_file(&self, etag: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.name).join(format!("{etag}.lock"))
    }
}

/// Whether a revision is a full commit hash. Unlike a branch or tag, a commit never changes.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn collect_files(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect_files(&entry.path(), files),
            _ => drop(files.insert(entry.path())),
        }
    }
}
