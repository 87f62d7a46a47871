//! Tensors by the checkpoint's names, from memory-mapped safetensors or made on the spot.

use super::synthetic;
use crate::{Error, Result, config::read_text};
use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::{SafeTensors, tensor::Metadata};
use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
    rc::Rc,
};

/// A place within a checkpoint: its tensors under a dotted prefix.
#[derive(Clone)]
pub struct Weights {
    store: Rc<Store>,
    prefix: String,
}

struct Store {
    origin: Origin,
    dtype: DType,
    device: Device,
    parameters: Cell<u64>,
}

enum Origin {
    Files(Files),
    Synthetic { seed: u64 },
}

/// The safetensors files of a folder.
pub struct Files {
    folder: PathBuf,
    shards: Vec<Shard>,
    /// Which shard holds a tensor.
    places: HashMap<String, usize>,
}

/// One file.
pub struct Shard {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Mmap,
    /// Its table of contents, whose offsets count from `data`.
    contents: Metadata,
    /// Where the tensors' bytes begin.
    data: usize,
}

/// A safetensors file begins with the length of its JSON header, 8 bytes (the format's README).
const LENGTH_BYTES: usize = 8;

impl Weights {
    /// Tensors of a folder's files, in the number format and on the device asked for.
    pub fn from_files(files: Files, dtype: DType, device: &Device) -> Self {
        Self::new(Origin::Files(files), dtype, device)
    }

    /// Tensors made from a seed.
    pub fn synthetic(seed: u64, dtype: DType, device: &Device) -> Self {
        Self::new(Origin::Synthetic { seed }, dtype, device)
    }

    fn new(origin: Origin, dtype: DType, device: &Device) -> Self {
        let store = Store { origin, dtype, device: device.clone(), parameters: Cell::new(0) };
        Self { store: Rc::new(store), prefix: String::new() }
    }

    /// The place `name` below this one.
    pub fn at(&self, name: &str) -> Self {
        Self { store: Rc::clone(&self.store), prefix: self.full_name(name) }
    }

    /// Loads a tensor, which must have exactly the shape `dims`.
    pub fn get(&self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let name = self.full_name(name);
        let store = &*self.store;
        let tensor = match &store.origin {
            Origin::Files(files) => {
                files.load(&name, dims, &store.device)?.to_dtype(store.dtype)?
            }
            Origin::Synthetic { seed } => {
                let mut values = vec![0f32; dims.iter().product()];
                synthetic::fill(*seed, &name, &mut values);
                Tensor::from_vec(values, dims, &Device::Cpu)?
                    .to_dtype(store.dtype)?
                    .to_device(&store.device)?
            }
        };
        store.parameters.set(store.parameters.get() + tensor.elem_count() as u64);
        Ok(tensor)
    }

    /// Distinct numbers loaded so far.
    pub fn parameters(&self) -> u64 {
        self.store.parameters.get()
    }

    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}

impl Files {
    /// Maps `model.safetensors`, or every shard that `model.safetensors.index.json` names.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let names = if single.is_file() {
            vec!["model.safetensors".to_owned()]
        } else if index.is_file() {
            shard_names(&index)?
        } else {
            return Err(Error::file(
                folder,
                "no model.safetensors and no model.safetensors.index.json; other weight formats \
                 can be converted with transformers' save_pretrained",
            ));
        };
        let mut shards = Vec::new();
        let mut places = HashMap::new();
        for name in names {
            let shard = Shard::open(folder.join(name))?;
            places.extend(shard.contents.tensors().into_keys().map(|name| (name, shards.len())));
            shards.push(shard);
        }
        Ok(Self { folder: folder.to_path_buf(), shards, places })
    }

    /// The files, in order.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    fn load(&self, name: &str, dims: &[usize], device: &Device) -> Result<Tensor> {
        let place = self.places.get(name).ok_or_else(|| {
            Error::file(
                &self.folder,
                format!("tensor {name} is missing from its safetensors files"),
            )
        })?;
        let shard = &self.shards[*place];
        let bad = |reason: String| Error::file(&shard.path, format!("tensor {name} {reason}"));
        let info = shard.contents.info(name).ok_or_else(|| bad("is missing".to_owned()))?;
        if info.shape != dims {
            return Err(bad(format!(
                "has shape {:?}, but config.json implies {dims:?}",
                info.shape
            )));
        }
        let dtype = DType::try_from(info.dtype).map_err(|_| {
            bad(format!("has the number format {:?}; use f32, bf16 or f16", info.dtype))
        })?;
        let (begin, end) = info.data_offsets;
        let bytes = &shard.bytes[shard.data + begin..shard.data + end];
        Ok(Tensor::from_raw_buffer(bytes, dtype, dims, device)?)
    }
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).map_err(|error| Error::file(&path, error.to_string()))?;
        // SAFETY: the map is read-only; a file that another program shortens meanwhile ends this
        // process with SIGBUS, as it does in every loader that maps checkpoints.
        let bytes =
            unsafe { Mmap::map(&file) }.map_err(|error| Error::file(&path, error.to_string()))?;
        // Also checks that the file is as long as its table of contents says.
        let (header, contents) = SafeTensors::read_metadata(&bytes).map_err(|error| {
            let reason = format!("truncated or damaged safetensors file ({error}); fetch it again");
            Error::file(&path, reason)
        })?;
        Ok(Self { path, bytes, contents, data: LENGTH_BYTES + header })
    }

    /// The header and the first kilobyte of data: what a file is, without reading all of it.
    pub fn beginning(&self) -> &[u8] {
        &self.bytes[..(self.data + 1024).min(self.bytes.len())]
    }
}

/// The distinct files of an index, in order.
pub(super) fn shard_names(index: &Path) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let index_of: Index = serde_json::from_str(&read_text(index)?)
        .map_err(|error| Error::file(index, error.to_string()))?;
    let names: BTreeSet<_> = index_of.weight_map.into_values().collect();
    Ok(names.into_iter().collect())
}
