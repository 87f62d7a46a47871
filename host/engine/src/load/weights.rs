//! Tensors by the checkpoint's names, from memory-mapped safetensors or made on the spot.

use super::{gguf_weights, matrix::Matrix, synthetic};
use crate::{DType, Error, Result, gpu::Place, memory::Held, parallel::Shard};
use llem_checkpoint::checkpoint::Tensors;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// A place within a checkpoint: its tensors under a dotted prefix.
#[derive(Clone)]
pub struct Weights {
    store: Arc<Store>,
    prefix: String,
    /// Which part of what is cut this rank has.
    shard: Shard,
    /// Whether numbers loaded through it are counted as the model's.
    counts: bool,
}

struct Store {
    origin: Arc<Tensors>,
    dtype: DType,
    place: Place,
    parameters: AtomicU64,
    bytes: AtomicU64,
    /// Of them, what is in the machine's memory.
    held: Held,
    /// The first tensor that was found to hold NaN or infinity.
    damaged: OnceLock<String>,
}

impl Weights {
    /// Tensors in the number format and on the device asked for; those that are quantised stay so on the CPU.
    pub fn new(origin: Tensors, dtype: DType, place: &Place) -> Self {
        Self::over(Arc::new(origin), dtype, place, Shard::whole())
    }

    fn over(origin: Arc<Tensors>, dtype: DType, place: &Place, shard: Shard) -> Self {
        let store = Store {
            origin,
            dtype,
            place: place.clone(),
            parameters: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            held: Held::default(),
            damaged: OnceLock::new(),
        };
        let counts = shard.index == 0;
        Self { store: Arc::new(store), prefix: String::new(), shard, counts }
    }

    /// The same tensors for a rank that has `shard` of them and counts its own.
    pub fn for_rank(&self, shard: Shard, place: &Place) -> Self {
        Self::over(Arc::clone(&self.store.origin), self.store.dtype, place, shard)
    }

    /// The same place, of which this rank has all, and no other any: an expert that is its own.
    pub fn owned(&self) -> Self {
        Self { shard: Shard::whole(), counts: true, ..self.clone() }
    }

    /// The same place, whose numbers another rank has counted.
    pub fn uncounted(&self) -> Self {
        Self { counts: false, ..self.clone() }
    }

    /// Inputs of a weight that are kept together, and not cut: 1, or the widest block of its quantised
    /// formats.
    pub fn block(&self) -> usize {
        match &*self.store.origin {
            Tensors::Gguf(gguf) => gguf.block(),
            Tensors::Safetensors(_) | Tensors::Synthetic(_) => 1,
        }
    }

    /// Bytes that its files would fill on the CPU, if all that is in them were loaded; none without files.
    pub fn bytes_of_files(&self) -> Option<usize> {
        let size = self.store.dtype.size();
        match &*self.store.origin {
            Tensors::Safetensors(files) => Some(files.numbers().saturating_mul(size)),
            Tensors::Gguf(gguf) => Some(gguf_weights::bytes(gguf, size)),
            Tensors::Synthetic(_) => None,
        }
    }

    /// Which part of what is cut this rank has.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The place `name` below this one.
    pub fn at(&self, name: &str) -> Self {
        Self { prefix: joined(&self.prefix, name), ..self.clone() }
    }

    /// What transformers calls the module at this place, which is how adapters name it.
    pub fn module(&self) -> String {
        match &*self.store.origin {
            Tensors::Gguf(gguf) => gguf.module(&self.prefix),
            Tensors::Safetensors(_) | Tensors::Synthetic(_) => self.prefix.clone(),
        }
    }

    /// The format that weights are to be in.
    pub fn dtype(&self) -> DType {
        self.store.dtype
    }

    /// Where weights are to live.
    pub fn place(&self) -> &Place {
        &self.store.place
    }

    /// A vector, which must have exactly `len` numbers.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let name = joined(&self.prefix, name);
        let numbers = match &*self.store.origin {
            Tensors::Safetensors(files) => files.find(&name, &[len])?.vector(len),
            Tensors::Gguf(gguf) => gguf.vector(&name, len)?,
            // Gains are one, as before training; biases are not zero, so that adding them shows.
            Tensors::Synthetic(_) if name.ends_with("weight") => vec![1.0; len],
            Tensors::Synthetic(seed) => {
                let mut numbers = vec![0.0; len];
                synthetic::fill(synthetic::key(*seed, &name), 0, &mut numbers);
                numbers
            }
        };
        self.store.note(&name, &numbers);
        self.count(len);
        self.holds(size_of_val(&numbers[..]));
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
        let name = joined(&self.prefix, name);
        let store = Arc::clone(&self.store);
        let noted = {
            let (store, name) = (Arc::clone(&store), name.clone());
            move |numbers: &[f32]| store.note(&name, numbers)
        };
        self.count(rows * columns);
        Ok(match &*self.store.origin {
            Tensors::Gguf(gguf) => gguf_weights::matrix(gguf, &name, rows, columns)?,
            Tensors::Safetensors(files) => {
                let kept = if transposed { [columns, rows] } else { [rows, columns] };
                let raw = files.find(&name, &kept)?;
                let lease = Arc::clone(raw.lease());
                let read = move |row: usize, first: usize, out: &mut [f32]| {
                    raw.read_row(row, first, [rows, columns], transposed, out);
                    noted(out);
                };
                Matrix::of_numbers(rows, columns, Arc::new(read)).mapped(lease)
            }
            Tensors::Synthetic(seed) => {
                Matrix::synthetic(rows, columns, synthetic::key(*seed, &name))
            }
        })
    }

    /// Notes that this rank keeps so many bytes of weights in memory.
    pub fn holds(&self, bytes: usize) {
        self.store.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.store.place.is_in_machine() {
            self.store.held.add(bytes);
        }
    }

    fn count(&self, numbers: usize) {
        if self.counts {
            self.store.parameters.fetch_add(numbers as u64, Ordering::Relaxed);
        }
    }

    /// Distinct numbers of the model that this rank counts, of those loaded so far: together the ranks
    /// count each once, whoever holds it.
    pub fn parameters(&self) -> u64 {
        self.store.parameters.load(Ordering::Relaxed)
    }

    /// Bytes of what this rank has loaded so far, in the formats that it is kept in.
    pub fn bytes(&self) -> u64 {
        self.store.bytes.load(Ordering::Relaxed)
    }

    /// Refuses a checkpoint of which a tensor read so far holds NaN or infinity.
    pub fn check(&self) -> Result<()> {
        match (self.store.damaged.get(), &*self.store.origin) {
            (None, _) => Ok(()),
            (Some(name), Tensors::Safetensors(files)) => Err(Error::file(
                files.folder(),
                format!(
                    "tensor {name} holds NaN or infinity: the checkpoint is damaged, fetch it again"
                ),
            )),
            (Some(name), _) => Err(Error::Invalid(format!("tensor {name} holds NaN or infinity"))),
        }
    }
}

/// Two parts of a dotted name, either of which may be empty.
fn joined(prefix: &str, name: &str) -> String {
    let dot = if prefix.is_empty() || name.is_empty() { "" } else { "." };
    format!("{prefix}{dot}{name}")
}

impl Store {
    fn note(&self, name: &str, numbers: &[f32]) {
        // A sum is finite only if all of its terms are, and is quicker than asking each.
        if !numbers.iter().map(|x| x * 0.0).sum::<f32>().is_finite() {
            let _ = self.damaged.set(name.to_owned());
        }
    }
}
