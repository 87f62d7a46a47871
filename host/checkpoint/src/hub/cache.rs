//! The Hub's cache on this machine, as huggingface_hub lays it out.
//!
//! ```text
//! CACHE/models--OWNER--NAME/refs/REVISION              the commit that a branch or tag stood for when it was asked
//!                          /snapshots/COMMIT/FILE      links to blobs, or files where there can be no links
//!                          /blobs/ETAG                 contents; ETAG.incomplete while they are fetched
//!                          /.no_exist/COMMIT/FILE      empty: the Hub has no such file
//!                          /trees/COMMIT.json          which files the Hub has
//! CACHE/.locks/models--OWNER--NAME/ETAG.lock           held by the process that fetches a blob
//! ```
//!
//! A cache is read without a write: it may be another user's.

use crate::safetensors_files::is_within;
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// What the cache holds of a repository.
pub struct Repository {
    cache: PathBuf,
    /// `models--OWNER--NAME`.
    name: String,
}

impl Repository {
    /// The model repository `id` in the folder `cache`, whether or not it is there.
    pub fn new(cache: &Path, id: &str) -> Self {
        Self { cache: cache.to_path_buf(), name: format!("models--{}", id.replace('/', "--")) }
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.cache.join(&self.name)
    }

    /// The cache that it is in.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The snapshot of a revision: of the commit itself, or of the commit that a branch or tag stood for.
    pub fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        let commit = match is_commit(revision) {
            true => revision.to_owned(),
            false => self.commit_of(revision)?,
        };
        Some(self.snapshot_of(&commit)).filter(|folder| folder.is_dir())
    }

    /// The folder of a commit's snapshot.
    pub fn snapshot_of(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }

    fn commit_of(&self, revision: &str) -> Option<String> {
        let file = is_within(revision).then(|| self.folder().join("refs").join(revision))?;
        let commit = fs::read_to_string(file).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Keeps what a branch or tag stands for now.
    pub fn keep_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
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

    /// The revisions that it has a snapshot of: branches and tags, and the commits that none of them names.
    pub fn revisions(&self) -> Vec<String> {
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

    /// Whether a commit is known to have no such file.
    pub fn knows_absent(&self, commit: &str, name: &str) -> bool {
        self.absence(commit, name).is_file()
            || self.listing(commit).is_some_and(|names| !names.contains_key(name))
    }

    /// Notes that a commit has no such file.
    pub fn note_absent(&self, commit: &str, name: &str) -> io::Result<()> {
        let mark = self.absence(commit, name);
        if mark.is_file() {
            return Ok(());
        }
        if let Some(folder) = mark.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(mark, "")
    }

    fn absence(&self, commit: &str, name: &str) -> PathBuf {
        self.folder().join(".no_exist").join(commit).join(name)
    }

    /// The files of a commit, where huggingface_hub (2.0 and later) has kept which there are.
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

    /// Where the contents with this etag are kept.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// The file that whoever fetches these contents locks.
    pub fn lock_file(&self, etag: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.name).join(format!("{etag}.lock"))
    }
}

/// Whether a revision is a whole commit, which never changes what it stands for.
pub fn is_commit(revision: &str) -> bool {
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
