//! What was found out once, in a JSON file for later runs: idle power and peaks of a machine, hashes of files.
//!
//! Runs that go on at the same time may write to one file: each adds its entries to what the others have added.

use crate::whole_file::update;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fs, io, marker::PhantomData, path::PathBuf};

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

    /// All of it that this version understands. What an unreadable file held is found out again.
    pub fn all(&self) -> Vec<T> {
        let text = fs::read(&self.file).unwrap_or_default();
        entries(&text).iter().filter_map(understood).collect()
    }

    /// Adds to it, in place of what is `same`. Entries of another version of this program stay.
    pub fn keep(&self, new: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Result<(), String> {
        let change = |before: Option<Vec<u8>>| -> io::Result<Vec<u8>> {
            let mut all = entries(&before.unwrap_or_default());
            all.retain(|entry| {
                understood(entry).is_none_or(|old: T| !new.iter().any(|new| same(&old, new)))
            });
            for entry in &new {
                all.push(serde_json::to_value(entry)?);
            }
            Ok(serde_json::to_vec_pretty(&all)?)
        };
        update(&self.file, change).map_err(|error| format!("{}: {error}", self.file.display()))
    }
}

fn entries(text: &[u8]) -> Vec<Value> {
    serde_json::from_slice(text).unwrap_or_default()
}

fn understood<T: DeserializeOwned>(entry: &Value) -> Option<T> {
    T::deserialize(entry).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn runs_that_write_at_once_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cache/peaks.json");
        thread::scope(|scope| {
            for run in 0..8 {
                let store = Store::<(u32, u32)>::new(file.clone());
                scope.spawn(move || {
                    for entry in 0..10 {
                        store.keep(vec![(run, entry)], |a, b| a == b).expect("written");
                    }
                });
            }
        });
        let mut all = Store::<(u32, u32)>::new(file).all();
        all.sort_unstable();
        let expected: Vec<_> = (0..8).flat_map(|run| (0..10).map(move |n| (run, n))).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn entries_of_another_version_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("peaks.json");
        fs::write(&file, r#"[{"of": "another version"}, [1, 1]]"#).expect("written");
        let store = Store::<(u32, u32)>::new(file.clone());
        store.keep(vec![(1, 2)], |a, b| a.0 == b.0).expect("written");
        assert_eq!(store.all(), [(1, 2)]);
        assert!(fs::read_to_string(file).expect("there").contains("another version"));
    }
}
