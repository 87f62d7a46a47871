//! A list of entries in a JSON file that several runs read and extend.
//!
//! It holds what was found out once and is used by later runs: idle power and peaks of a machine, hashes of files. Runs at
//! the same time may write to one file: each adds its entries to those that the others have added.

use crate::atomic_write::update;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fs, io, marker::PhantomData, path::PathBuf};

/// A list of entries of one type in a JSON file.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let store = llem_files::JsonStore::new(folder.path().join("peaks.json"));
/// store.insert(vec![("cuda:0".to_owned(), 67.0)], |old, new| old.0 == new.0)?;
/// store.insert(vec![("cuda:0".to_owned(), 66.5)], |old, new| old.0 == new.0)?;
/// assert_eq!(store.read(), [("cuda:0".to_owned(), 66.5)]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JsonStore<T> {
    file: PathBuf,
    entry: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> JsonStore<T> {
    /// Uses this file, which need not exist.
    pub fn new(file: PathBuf) -> Self {
        Self { file, entry: PhantomData }
    }

    /// Returns all entries that this version of the program understands. A missing or unreadable file has no entries,
    /// because everything in it can be found out again.
    pub fn read(&self) -> Vec<T> {
        let text = fs::read(&self.file).unwrap_or_default();
        entries(&text).iter().filter_map(parse_entry).collect()
    }

    /// Adds entries. An old entry is removed if `is_same(old, new)` is true for one of the new ones. Entries of another
    /// version of the program stay.
    ///
    /// # Errors
    /// The file cannot be read or written. The error names the file.
    pub fn insert(&self, new: Vec<T>, is_same: impl Fn(&T, &T) -> bool) -> io::Result<()> {
        let change = |before: Option<Vec<u8>>| -> io::Result<Vec<u8>> {
            let mut all = entries(&before.unwrap_or_default());
            all.retain(|entry| {
                parse_entry(entry).is_none_or(|old: T| !new.iter().any(|new| is_same(&old, new)))
            });
            for entry in &new {
                all.push(serde_json::to_value(entry)?);
            }
            Ok(serde_json::to_vec_pretty(&all)?)
        };
        update(&self.file, change).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", self.file.display()))
        })
    }
}

fn entries(text: &[u8]) -> Vec<Value> {
    serde_json::from_slice(text).unwrap_or_default()
}

fn parse_entry<T: DeserializeOwned>(entry: &Value) -> Option<T> {
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
                let store = JsonStore::<(u32, u32)>::new(file.clone());
                scope.spawn(move || {
                    for entry in 0..10 {
                        store.insert(vec![(run, entry)], |a, b| a == b).expect("written");
                    }
                });
            }
        });
        let mut all = JsonStore::<(u32, u32)>::new(file).read();
        all.sort_unstable();
        let expected: Vec<_> = (0..8).flat_map(|run| (0..10).map(move |n| (run, n))).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn entries_of_another_version_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("peaks.json");
        fs::write(&file, r#"[{"of": "another version"}, [1, 1]]"#).expect("written");
        let store = JsonStore::<(u32, u32)>::new(file.clone());
        store.insert(vec![(1, 2)], |a, b| a.0 == b.0).expect("written");
        assert_eq!(store.read(), [(1, 2)]);
        assert!(fs::read_to_string(file).expect("there").contains("another version"));
    }
}
