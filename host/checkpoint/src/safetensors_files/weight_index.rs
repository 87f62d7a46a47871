//! Reads `model.safetensors.index.json`, the index of a checkpoint that has several weight files.

use crate::{Error, Result, placeholder, text_file};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

/// The index of a checkpoint's weight files.
pub(super) struct WeightIndex {
    /// The path of the index.
    pub path: PathBuf,
    /// The file name for each tensor name.
    weight_map: BTreeMap<String, String>,
}

impl WeightIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// Returns an error if the file is no index, or if it names a file outside its own folder.
    pub(super) fn read(path: PathBuf) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Json {
            weight_map: BTreeMap<String, String>,
        }
        let Json { weight_map } = text_file::parse(&text_file::read(&path)?, &path)?;
        if weight_map.is_empty() {
            return Err(Error::file(&path, "weight_map names no tensor: fetch it again"));
        }
        if let Some(name) = weight_map.values().find(|name| !is_within(name)) {
            let reason = format!("it names the file '{name}', which is not in its own folder");
            return Err(Error::file(&path, reason));
        }
        Ok(Self { path, weight_map })
    }

    /// Returns the distinct file names, sorted.
    pub(super) fn file_names(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Returns the name of the file that should contain a tensor.
    pub(super) fn file_of(&self, tensor: &str) -> Option<&str> {
        self.weight_map.get(tensor).map(String::as_str)
    }

    /// Returns the first weight file, by name, that is in the same folder and not in the index.
    pub(super) fn find_unlisted_file(&self) -> Option<String> {
        let names = self.file_names();
        let files = self.path.parent()?.read_dir().ok()?.flatten();
        let mut unlisted: Vec<String> = files
            .filter_map(|file| file.file_name().into_string().ok())
            .filter(|name| name.starts_with("model-") && name.ends_with(".safetensors"))
            .filter(|name| !names.contains(&name[..]))
            .collect();
        unlisted.sort_unstable();
        unlisted.into_iter().next()
    }

    /// Checks that all files of the index exist.
    ///
    /// # Errors
    /// Returns an error that names the first missing file.
    pub(super) fn check_files(&self) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let names = self.file_names();
        let missing: Vec<&str> =
            names.iter().copied().filter(|name| !folder.join(name).is_file()).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        if let Some(reason) = placeholder::explain_absence(&folder.join(first)) {
            return Err(Error::file(folder.join(first), reason));
        }
        let reason = format!(
            "it names {} files, of which {} are not there ({first}{}): fetch them",
            names.len(),
            missing.len(),
            if missing.len() > 1 { ", ..." } else { "" }
        );
        Err(Error::file(&self.path, reason))
    }
}

/// Returns the distinct file names in an index, sorted.
pub(crate) fn file_names(index: &Path) -> Result<Vec<String>> {
    Ok(WeightIndex::read(index.to_path_buf())?
        .file_names()
        .into_iter()
        .map(str::to_owned)
        .collect())
}

/// Returns `true` if a file name stays within the folder that it is joined to, on every operating system.
pub(crate) fn is_within(name: &str) -> bool {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.is_empty()
        && !name.contains(['\\', ':', '\0'])
        && Path::new(name).components().all(is_plain)
}
