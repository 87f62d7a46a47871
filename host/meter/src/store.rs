//! What was found out about a machine once, in a JSON file for later runs.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    marker::PhantomData,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// A list in a file.
pub struct Store<T> {
    file: PathBuf,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Store<T> {
    /// The list in this file, which need not exist.
    pub fn new(file: PathBuf) -> Self {
        Self { file, of: PhantomData }
    }

    /// All of it. What an unreadable file held is found out again.
    pub fn all(&self) -> Vec<T> {
        let text = fs::read(&self.file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Adds to it, in place of what is `same`.
    pub fn keep(&self, new: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Result<(), String> {
        let mut all = self.all();
        all.retain(|old| !new.iter().any(|new| same(old, new)));
        all.extend(new);
        // Under another name first, so that another run never reads half of it.
        let part = self.file.with_extension(format!("part-{}", std::process::id()));
        let write = || {
            if let Some(folder) = self.file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&part, serde_json::to_vec_pretty(&all)?)?;
            fs::rename(&part, &self.file)
        };
        write().map_err(|error| format!("{}: {error}", self.file.display()))
    }
}

/// Now, seconds since 1970.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
