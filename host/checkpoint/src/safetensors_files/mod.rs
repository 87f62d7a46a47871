//! The safetensors files of a model's folder, mapped into memory. Their tensors are found by the names that the model's
//! family uses.
//!
//! ```text
//! folder ─► weight_index ─► tensor_file ─► canonical_names ─► stacked_experts ─► tied_head ─► expected_tensors
//!           which files      one file       the family's      one tensor of      is the LM    what the model has
//!                                           names             several experts    head tied?   ─► missing, unread
//! ```
//!
//! Start at [`SafetensorsFiles::open`] and [`SafetensorsFiles::match_to_shape`].

mod canonical_names;
mod expected_tensors;
mod folder_contents;
mod missing_tensors;
mod stacked_experts;
mod tensor_file;
#[cfg(test)]
mod tests;
mod tied_head;
mod unread_tensors;
mod weight_index;

pub(crate) use expected_tensors::layer_products;
pub(crate) use folder_contents::check_config;
pub use tensor_file::{TensorData, TensorFile};
pub(crate) use weight_index::{file_names, is_within};

use crate::{Error, Result, families::Shape, placeholder};
use canonical_names::CanonicalNames;
use safetensors::Dtype;
use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
};
use weight_index::WeightIndex;

/// The weight file of a checkpoint that has one file.
pub(crate) const SINGLE_FILE: &str = "model.safetensors";
/// The index of a checkpoint that has several weight files.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";

/// The safetensors files of a model's folder.
pub struct SafetensorsFiles {
    folder: PathBuf,
    /// The index. `None` if there is a single file.
    index: Option<WeightIndex>,
    files: Vec<TensorFile>,
    /// The location of each tensor, by name.
    locations: HashMap<String, TensorLocation>,
    /// The names of tensors that are in more than one file.
    repeated: Vec<String>,
}

/// Where the numbers of a tensor are.
#[derive(Clone, Debug)]
struct TensorLocation {
    /// The index of the file in [`SafetensorsFiles::files`].
    file: usize,
    /// The tensor's name in the file.
    name: String,
    /// If the tensor is part of a larger tensor of the file: the shape of the larger tensor, and which of its numbers
    /// belong to the part.
    part: Option<(Vec<usize>, Range<usize>)>,
}

impl SafetensorsFiles {
    /// Maps `model.safetensors`, or all files that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// Returns an error if there are no such files, or if one is missing or damaged.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let (single, index) = (folder.join(SINGLE_FILE), folder.join(INDEX_FILE));
        let (index, paths) = if single.is_file() {
            (None, vec![single])
        } else if index.is_file() {
            let index = WeightIndex::read(index)?;
            index.check_files()?;
            let paths = index.file_names().iter().map(|name| folder.join(name)).collect();
            (Some(index), paths)
        } else if let Some(reason) = placeholder::explain_absence(&single) {
            return Err(Error::file(single, reason));
        } else {
            return Err(Error::file(folder, folder_contents::explain_missing_weights(folder)));
        };
        let files: Vec<TensorFile> =
            paths.into_iter().map(TensorFile::open).collect::<Result<_>>()?;
        let (mut locations, mut repeated) = (HashMap::new(), Vec::new());
        for (file, tensors) in files.iter().enumerate() {
            for name in tensors.names() {
                // The tensor of the last file wins, as in transformers.
                let place = TensorLocation { file, name: name.clone(), part: None };
                if locations.insert(name.clone(), place).is_some() {
                    repeated.push(name);
                }
            }
        }
        repeated.sort_unstable();
        Ok(Self { folder: folder.to_path_buf(), index, files, locations, repeated })
    }

    /// Renames the tensors to the names of the model's family, and corrects `shape.tied_head` by the files. Returns
    /// warnings about what is unusual in the files and harmless.
    ///
    /// # Errors
    /// Returns an error if a tensor of the model is missing.
    pub(crate) fn match_to_shape(&mut self, shape: &mut Shape) -> Result<Vec<String>> {
        let mut warnings = self.file_warnings();
        let names = self.locations.keys().map(String::as_str);
        let found = CanonicalNames::new(names, &shape.names)
            .map_err(|cause| Error::file(&self.folder, cause.to_string()))?;
        let locations = found
            .in_files
            .iter()
            .map(|(name, in_file)| (name.clone(), self.locations[in_file].clone()));
        self.locations = locations.collect();
        if let Some(name) = &found.wrapped {
            warnings.push(format!(
                "names of tensors are those of a wrapper, a larger model or an old version ('{name}'); the decoder's own are found in them"
            ));
        }
        self.split_stacked_experts(shape);
        warnings.extend(self.tie_head(shape)?);
        let expected = expected_tensors::expected_tensors(shape);
        self.check_missing(&expected, shape)?;
        warnings.extend(self.warn_of_unread(&expected, shape, found.root.as_deref()));
        Ok(warnings)
    }

    /// Returns warnings about the files themselves.
    fn file_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.index.is_none() && self.folder.join(INDEX_FILE).is_file() {
            warnings.push(format!(
                "{SINGLE_FILE} is read, as in transformers, and not the files that {INDEX_FILE} beside it names"
            ));
        }
        if let Some(first) = self.repeated.first() {
            warnings.push(format!(
                "several files hold the same tensors ({first}{}); the last file's are read, as in transformers",
                and_others(self.repeated.len())
            ));
        }
        warnings
    }

    /// Returns the path of the index. Returns `None` if there is a single weight file.
    pub(crate) fn index(&self) -> Option<&Path> {
        self.index.as_ref().map(|index| index.path.as_path())
    }

    /// Returns the files, in the order of their names.
    pub(crate) fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// Returns how many numbers all tensors have together.
    pub fn element_count(&self) -> usize {
        self.files.iter().map(TensorFile::element_count).fold(0, usize::saturating_add)
    }

    /// Returns the names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.locations.keys().map(String::as_str)
    }

    /// Returns the folder of the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds a tensor, which must have exactly the shape `dims`.
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, has another shape, or has a number format that is not read.
    pub fn find(&self, name: &str, dims: &[usize]) -> Result<TensorData> {
        let Some(TensorLocation { file, name, part }) = self.locations.get(name) else {
            let reason = format!("tensor {name} is missing from its safetensors files");
            return Err(Error::file(&self.folder, reason));
        };
        let file = &self.files[*file];
        match part {
            Some((whole, part)) => file.find_slice(name, whole, part.clone(), SHAPE_SOURCE),
            None => file.find(name, dims, SHAPE_SOURCE),
        }
    }

    /// Returns the format of the first floating-point tensor, by name, of the first file. If a config names no format,
    /// transformers runs the model in this one (`get_state_dict_dtype`). Returns `None` if there is no such tensor.
    pub(crate) fn first_float_dtype(&self) -> Option<Dtype> {
        let file = self.files.first()?;
        let mut names: Vec<String> = file.names().collect();
        names.sort_unstable();
        let is_float =
            |dtype: &Dtype| [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(dtype);
        names.iter().filter_map(|name| file.dtype(name)).find(is_float)
    }
}

/// The words before the expected shape in messages.
const SHAPE_SOURCE: &str = "config.json implies";

/// Returns the words that follow the first of `count` names in a message.
fn and_others(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        2 => " and another".to_owned(),
        _ => format!(" and {} others", count - 1),
    }
}
