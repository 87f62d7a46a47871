//! The safetensors files of a model's folder, mapped into memory, and their tensors by the names of the model's family.
//!
//! ```text
//! folder ─► index ─► tensor_file ─► names ─► stacked_experts ─► head ─► wanted ─► missing, unread
//!           (which    (one file)    (the       (one tensor of    (tied   (what a
//!            files)                  family's)  several experts)  or not) model has)
//! ```

mod head;
mod index;
mod missing;
mod names;
mod stacked_experts;
mod tensor_file;
#[cfg(test)]
mod tests;
mod unread;
mod wanted;

pub(crate) use index::{file_names, is_within};
pub use tensor_file::{Raw, TensorFile};
pub(crate) use wanted::layer_products;

use crate::{Error, Result, families::Shape, not_safetensors, stand_in};
use index::Index;
use names::CanonicalNames;
use safetensors::Dtype;
use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
};

/// The file of a checkpoint that is in one.
pub const SINGLE: &str = "model.safetensors";
/// The file that names the files of a checkpoint that is in several.
pub const INDEX: &str = "model.safetensors.index.json";

/// The safetensors files of a folder.
pub struct SafetensorsFiles {
    folder: PathBuf,
    /// What names them, where they are several.
    index: Option<Index>,
    files: Vec<TensorFile>,
    /// Where tensors are, by name.
    places: HashMap<String, Place>,
    /// Tensors that several files have, by the name in them.
    repeated: Vec<String>,
}

/// Where a tensor is.
#[derive(Clone, Debug)]
struct Place {
    /// Which file holds it.
    file: usize,
    /// Its name there.
    name: String,
    /// The shape there, and which of the numbers are the tensor's, if it is part of a larger one.
    part: Option<(Vec<usize>, Range<usize>)>,
}

impl SafetensorsFiles {
    /// Maps `model.safetensors`, or every file that `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// There is none of them, or one is not what it should be.
    pub fn open(folder: &Path) -> Result<Self> {
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        let (index, paths) = if single.is_file() {
            (None, vec![single])
        } else if index.is_file() {
            let index = Index::read(index)?;
            index.check_files()?;
            let paths = index.file_names().iter().map(|name| folder.join(name)).collect();
            (Some(index), paths)
        } else if let Some(reason) = stand_in::absence(&single) {
            return Err(Error::file(single, reason));
        } else {
            return Err(Error::file(folder, not_safetensors::reason(folder)));
        };
        let files: Vec<TensorFile> =
            paths.into_iter().map(TensorFile::open).collect::<Result<_>>()?;
        let (mut places, mut repeated) = (HashMap::new(), Vec::new());
        for (file, tensors) in files.iter().enumerate() {
            for name in tensors.names() {
                // The last file's goes before the others', as in transformers.
                let place = Place { file, name: name.clone(), part: None };
                if places.insert(name.clone(), place).is_some() {
                    repeated.push(name);
                }
            }
        }
        repeated.sort_unstable();
        Ok(Self { folder: folder.to_path_buf(), index, files, places, repeated })
    }

    /// Names the tensors as the model's family does, and finds out whether its LM head is its embedding. Says in
    /// sentences what is odd about them and does no harm.
    ///
    /// # Errors
    /// A tensor of the model is missing.
    pub fn fit(&mut self, shape: &mut Shape) -> Result<Vec<String>> {
        let mut warnings = self.oddities();
        let bad = |reason| Error::file(&self.folder, reason);
        let names = self.places.keys().map(String::as_str);
        let found = CanonicalNames::of(names, &shape.names).map_err(bad)?;
        let places = found
            .in_files
            .iter()
            .map(|(name, in_file)| (name.clone(), self.places[in_file].clone()));
        self.places = places.collect();
        if let Some(name) = &found.wrapped {
            warnings.push(format!(
                "names of tensors are those of a wrapper, a larger model or an old version ('{name}'); the decoder's own are found in them"
            ));
        }
        self.part_stacked_experts(shape);
        warnings.extend(self.tie_head(shape)?);
        let wanted = wanted::names(shape);
        self.check_missing(&wanted, shape)?;
        warnings.extend(self.unread(&wanted, shape, found.root.as_deref()));
        Ok(warnings)
    }

    /// What is odd about the files themselves.
    fn oddities(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.index.is_none() && self.folder.join(INDEX).is_file() {
            said.push(format!(
                "{SINGLE} is read, as in transformers, and not the files that {INDEX} beside it names"
            ));
        }
        if let Some(first) = self.repeated.first() {
            said.push(format!(
                "several files hold the same tensors ({first}{}); the last file's are read, as in transformers",
                and_others(self.repeated.len())
            ));
        }
        said
    }

    /// The file that names them; none where it is a single one.
    pub fn index(&self) -> Option<&Path> {
        self.index.as_ref().map(|index| index.path.as_path())
    }

    /// The files, in order.
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// Numbers of all tensors.
    pub fn numbers(&self) -> usize {
        self.files.iter().map(TensorFile::numbers).fold(0, usize::saturating_add)
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A tensor that must have exactly the shape `dims`.
    ///
    /// # Errors
    /// There is none, or it has another shape or numbers of a format that is not read.
    pub fn find(&self, name: &str, dims: &[usize]) -> Result<Raw> {
        let Some(Place { file, name, part }) = self.places.get(name) else {
            let reason = format!("tensor {name} is missing from its safetensors files");
            return Err(Error::file(&self.folder, reason));
        };
        let file = &self.files[*file];
        match part {
            Some((whole, part)) => file.find_slice(name, whole, part.clone(), IMPLIED),
            None => file.find(name, dims, IMPLIED),
        }
    }

    /// The format of the first tensor of floating-point numbers in the first file, by name: transformers runs a model in
    /// it whose config says none (`get_state_dict_dtype`). `None` if there is no such tensor.
    pub fn first_format(&self) -> Option<Dtype> {
        let file = self.files.first()?;
        let mut names: Vec<String> = file.names().collect();
        names.sort_unstable();
        let is_float =
            |dtype: &Dtype| [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(dtype);
        names.iter().filter_map(|name| file.dtype(name)).find(is_float)
    }
}

/// Who says what shape a tensor must have.
const IMPLIED: &str = "config.json implies";

/// What follows the first of several names.
fn and_others(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        2 => " and another".to_owned(),
        _ => format!(" and {} others", count - 1),
    }
}
