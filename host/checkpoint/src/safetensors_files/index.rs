//! The file that names the files of a checkpoint that is in several.

use crate::{Error, Result, stand_in, text_file};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

/// What `model.safetensors.index.json` says.
pub struct Index {
    /// Where it is.
    pub path: PathBuf,
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads it.
    ///
    /// # Errors
    /// It is not an index, or names files outside its own folder.
    pub fn read(path: PathBuf) -> Result<Self> {
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

    /// The distinct files that it names, in order.
    pub fn file_names(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// The file that it says a tensor is in.
    pub fn file_of(&self, tensor: &str) -> Option<&str> {
        self.weight_map.get(tensor).map(String::as_str)
    }

    /// A part of a checkpoint that lies beside it and that it does not name.
    pub fn unnamed(&self) -> Option<String> {
        let names = self.file_names();
        let files = self.path.parent()?.read_dir().ok()?.flatten();
        let mut unnamed: Vec<String> = files
            .filter_map(|file| file.file_name().into_string().ok())
            .filter(|name| name.starts_with("model-") && name.ends_with(".safetensors"))
            .filter(|name| !names.contains(&name[..]))
            .collect();
        unnamed.sort_unstable();
        unnamed.into_iter().next()
    }

    /// Refuses an index of which files are missing.
    ///
    /// # Errors
    /// One is.
    pub fn check_files(&self) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let names = self.file_names();
        let missing: Vec<&str> =
            names.iter().copied().filter(|name| !folder.join(name).is_file()).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        if let Some(reason) = stand_in::absence(&folder.join(first)) {
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

/// The distinct files of an index, in order.
pub(crate) fn file_names(index: &Path) -> Result<Vec<String>> {
    Ok(Index::read(index.to_path_buf())?.file_names().into_iter().map(str::to_owned).collect())
}

/// Whether a name leads to a file of the folder that it is joined to, or of one within, on any system.
pub(crate) fn is_within(name: &str) -> bool {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.is_empty()
        && !name.contains(['\\', ':', '\0'])
        && Path::new(name).components().all(is_plain)
}
