//! Tensors by the checkpoint's names, from memory-mapped safetensors or made on the spot.

use super::{gguf::Gguf, matrix::Matrix, synthetic};
use crate::{DType, Error, Result, config::read_text};
use candle_core::Device;
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{SafeTensors, tensor::Metadata};
use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A place within a checkpoint: its tensors under a dotted prefix.
#[derive(Clone)]
pub struct Weights {
    store: Arc<Store>,
    prefix: String,
}

struct Store {
    origin: Origin,
    dtype: DType,
    device: Device,
    parameters: AtomicU64,
    bytes: AtomicU64,
    /// The first tensor that was found to hold NaN or infinity.
    damaged: OnceLock<String>,
}

enum Origin {
    Files(Files),
    Gguf(Gguf),
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

/// Numbers of a tensor in a mapped file.
#[derive(Clone, Copy)]
struct Raw<'a> {
    dtype: DType,
    bytes: &'a [u8],
}

impl Raw<'_> {
    /// Numbers `start, start + stride, ...`.
    fn read(&self, start: usize, stride: usize, out: &mut [f32]) {
        fn each<const N: usize>(
            bytes: &[u8],
            start: usize,
            stride: usize,
            out: &mut [f32],
            widen: impl Fn([u8; N]) -> f32,
        ) {
            let numbers = bytes.as_chunks::<N>().0[start..].iter().step_by(stride);
            for (out, number) in out.iter_mut().zip(numbers) {
                *out = widen(*number);
            }
        }
        match self.dtype {
            DType::F32 => each(self.bytes, start, stride, out, f32::from_le_bytes),
            DType::Bf16 => {
                each(self.bytes, start, stride, out, |bytes| bf16::from_le_bytes(bytes).to_f32());
            }
            DType::F16 => {
                each(self.bytes, start, stride, out, |bytes| f16::from_le_bytes(bytes).to_f32());
            }
        }
    }
}

impl Weights {
    /// Tensors of a folder's files, in the number format and on the device asked for.
    pub fn from_files(files: Files, dtype: DType, device: &Device) -> Self {
        Self::new(Origin::Files(files), dtype, device)
    }

    /// Tensors of a GGUF file; those that are quantised stay so on the CPU.
    pub fn from_gguf(gguf: Gguf, dtype: DType, device: &Device) -> Self {
        Self::new(Origin::Gguf(gguf), dtype, device)
    }

    /// Tensors made from a seed.
    pub fn synthetic(seed: u64, dtype: DType, device: &Device) -> Self {
        Self::new(Origin::Synthetic { seed }, dtype, device)
    }

    fn new(origin: Origin, dtype: DType, device: &Device) -> Self {
        let store = Store {
            origin,
            dtype,
            device: device.clone(),
            parameters: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            damaged: OnceLock::new(),
        };
        Self { store: Arc::new(store), prefix: String::new() }
    }

    /// The place `name` below this one.
    pub fn at(&self, name: &str) -> Self {
        Self { store: Arc::clone(&self.store), prefix: self.full_name(name) }
    }

    /// The place `base`, or this one where the checkpoint has nothing there: models saved without
    /// their head leave the prefix out.
    pub fn at_if_present(&self, base: &str) -> Self {
        let below = self.at(base);
        let start = format!("{}.", below.prefix);
        match &self.store.origin {
            Origin::Files(files) if !files.places.keys().any(|name| name.starts_with(&start)) => {
                self.clone()
            }
            _ => below,
        }
    }

    /// The format that weights are to be in.
    pub fn dtype(&self) -> DType {
        self.store.dtype
    }

    /// Where weights are to live.
    pub fn device(&self) -> &Device {
        &self.store.device
    }

    /// A vector, which must have exactly `len` numbers.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let name = self.full_name(name);
        let mut numbers = vec![0f32; len];
        match &self.store.origin {
            Origin::Files(files) => files.find(&name, &[len])?.read(0, 1, &mut numbers),
            Origin::Gguf(gguf) => gguf.vector(&name, &mut numbers)?,
            // Gains are one, as before training; biases are not zero, so that adding them shows.
            Origin::Synthetic { .. } if name.ends_with("weight") => numbers.fill(1.0),
            Origin::Synthetic { seed } => synthetic::fill(*seed, &name, 0, &mut numbers),
        }
        self.store.note(&name, &numbers);
        self.store.count(len, size_of_val(&numbers[..]));
        Ok(numbers)
    }

    /// A matrix `[rows, columns]`, which must have exactly that shape. Kept `transposed`, it is
    /// `[columns, rows]` in the checkpoint.
    pub fn matrix(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
        transposed: bool,
    ) -> Result<Matrix> {
        let name = self.full_name(name);
        let store = Arc::clone(&self.store);
        let count = rows * columns;
        match &self.store.origin {
            Origin::Files(files) => {
                let kept = if transposed { [columns, rows] } else { [rows, columns] };
                files.find(&name, &kept)?;
            }
            Origin::Gguf(gguf) => {
                let (matrix, bytes) = gguf.matrix(&name, rows, columns)?;
                self.store.count(count, bytes.unwrap_or(count * store.dtype.size()));
                return Ok(matrix);
            }
            Origin::Synthetic { .. } => {}
        }
        self.store.count(count, count * store.dtype.size());
        let read = move |row: usize, out: &mut [f32]| {
            match &store.origin {
                Origin::Files(files) => {
                    if let Ok(raw) = files.raw(&name) {
                        let (start, stride) =
                            if transposed { (row, rows) } else { (row * columns, 1) };
                        raw.read(start, stride, out);
                    }
                }
                Origin::Synthetic { seed } => {
                    synthetic::fill(*seed, &name, row * columns, out);
                }
                Origin::Gguf(_) => {}
            }
            store.note(&name, out);
        };
        Ok(Matrix::of_numbers(rows, columns, Arc::new(read)))
    }

    /// Distinct numbers loaded so far.
    pub fn parameters(&self) -> u64 {
        self.store.parameters.load(Ordering::Relaxed)
    }

    /// Bytes of what was loaded so far, in the formats that it is kept in.
    pub fn bytes(&self) -> u64 {
        self.store.bytes.load(Ordering::Relaxed)
    }

    /// Refuses a checkpoint of which a tensor read so far holds NaN or infinity.
    pub fn check(&self) -> Result<()> {
        match (self.store.damaged.get(), &self.store.origin) {
            (None, _) => Ok(()),
            (Some(name), Origin::Files(files)) => Err(Error::file(
                &files.folder,
                format!(
                    "tensor {name} holds NaN or infinity: the checkpoint is damaged, fetch it again"
                ),
            )),
            (Some(name), _) => Err(Error::Invalid(format!("tensor {name} holds NaN or infinity"))),
        }
    }

    fn full_name(&self, name: &str) -> String {
        match (self.prefix.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => self.prefix.clone(),
            _ => format!("{}.{name}", self.prefix),
        }
    }
}

impl Store {
    fn count(&self, numbers: usize, bytes: usize) {
        self.parameters.fetch_add(numbers as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn note(&self, name: &str, numbers: &[f32]) {
        // A sum is finite only if all of its terms are, and is quicker than asking each.
        if !numbers.iter().map(|x| x * 0.0).sum::<f32>().is_finite() {
            let _ = self.damaged.set(name.to_owned());
        }
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

    /// A tensor that must have exactly the shape `dims`.
    fn find(&self, name: &str, dims: &[usize]) -> Result<Raw<'_>> {
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
        self.raw(name)
    }

    fn raw(&self, name: &str) -> Result<Raw<'_>> {
        let shard = self.places.get(name).map(|&place| &self.shards[place]);
        let info = shard.and_then(|shard| Some((shard, shard.contents.info(name)?)));
        let (shard, info) =
            info.ok_or_else(|| Error::file(&self.folder, format!("tensor {name} is missing")))?;
        let dtype = match info.dtype {
            safetensors::Dtype::F32 => DType::F32,
            safetensors::Dtype::BF16 => DType::Bf16,
            safetensors::Dtype::F16 => DType::F16,
            other => {
                return Err(Error::file(
                    &shard.path,
                    format!("tensor {name} has the number format {other:?}; use f32, bf16 or f16"),
                ));
            }
        };
        let (begin, end) = info.data_offsets;
        Ok(Raw { dtype, bytes: &shard.bytes[shard.data + begin..shard.data + end] })
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
