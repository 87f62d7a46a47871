//! Tensors of a checkpoint by their names, from memory-mapped files or from a random generator.

use super::{gguf_weights, matrix::Matrix, synthetic_weights};
use crate::{DType, Error, Result, gpu::Backend, memory::MemoryReservation, parallel::Shard};
use llem_checkpoint::Tensors;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// The tensors of a checkpoint under a dotted prefix, as one rank sees them.
#[derive(Clone)]
pub(crate) struct Weights {
    store: Arc<WeightStore>,
    prefix: String,
    /// The part of split tensors that this rank has.
    shard: Shard,
    /// Whether parameters that are loaded through this value are counted.
    counts: bool,
}

struct WeightStore {
    origin: Arc<Tensors>,
    dtype: DType,
    place: Backend,
    parameters: AtomicU64,
    bytes: AtomicU64,
    /// The part of `bytes` that is in the machine's memory.
    held: MemoryReservation,
    /// The first tensor in which NaN or infinity was found.
    damaged: OnceLock<String>,
}

impl Weights {
    /// Creates a view of all tensors for one rank, in this number format and on this device. On the CPU, quantised
    /// tensors stay quantised.
    pub(crate) fn new(origin: Tensors, dtype: DType, place: &Backend) -> Self {
        Self::with_origin(Arc::new(origin), dtype, place, Shard::unsplit())
    }

    fn with_origin(origin: Arc<Tensors>, dtype: DType, place: &Backend, shard: Shard) -> Self {
        let store = WeightStore {
            origin,
            dtype,
            place: place.clone(),
            parameters: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            held: MemoryReservation::default(),
            damaged: OnceLock::new(),
        };
        let counts = shard.index == 0;
        Self { store: Arc::new(store), prefix: String::new(), shard, counts }
    }

    /// Returns a view of the same tensors for a rank that has `shard` of them. The rank counts its own parameters and
    /// bytes.
    pub(crate) fn for_rank(&self, shard: Shard, place: &Backend) -> Self {
        Self::with_origin(Arc::clone(&self.store.origin), self.store.dtype, place, shard)
    }

    /// Returns a view of this prefix without sharding, for an expert that belongs to this rank only (expert
    /// parallelism).
    pub(crate) fn without_sharding(&self) -> Self {
        Self { shard: Shard::unsplit(), counts: true, ..self.clone() }
    }

    /// Returns a view of this prefix whose parameters are not counted, because another rank counts them.
    pub(crate) fn without_counting(&self) -> Self {
        Self { counts: false, ..self.clone() }
    }

    /// Returns the number of inputs of a weight that must stay together: 1, or the widest block of the quantised
    /// formats.
    pub(crate) fn block(&self) -> usize {
        match &*self.store.origin {
            Tensors::Gguf(gguf) => gguf.widest_block(),
            Tensors::Safetensors(_) | Tensors::Synthetic(_) => 1,
        }
    }

    /// Returns the bytes of all tensors of the files as the CPU stores them, or `None` for random weights.
    pub(crate) fn bytes_of_files(&self) -> Option<usize> {
        let size = self.store.dtype.size();
        match &*self.store.origin {
            Tensors::Safetensors(files) => Some(files.element_count().saturating_mul(size)),
            Tensors::Gguf(gguf) => Some(gguf_weights::bytes(gguf, size)),
            Tensors::Synthetic(_) => None,
        }
    }

    /// Returns the part of split tensors that this rank has.
    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Returns a view of the tensors under `name` below this prefix.
    pub(crate) fn at(&self, name: &str) -> Self {
        Self { prefix: join_names(&self.prefix, name), ..self.clone() }
    }

    /// Returns transformers' name of the module at this prefix. Adapters use that name.
    pub(crate) fn module(&self) -> String {
        match &*self.store.origin {
            Tensors::Gguf(gguf) => gguf.module_name(&self.prefix),
            Tensors::Safetensors(_) | Tensors::Synthetic(_) => self.prefix.clone(),
        }
    }

    /// Returns the number format of weights that are not quantised.
    pub(crate) fn dtype(&self) -> DType {
        self.store.dtype
    }

    /// Returns the device on which weights are stored.
    pub(crate) fn place(&self) -> &Backend {
        &self.store.place
    }

    /// Loads a vector `[len]`.
    ///
    /// # Errors
    /// The tensor is missing or has another shape.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let name = join_names(&self.prefix, name);
        let numbers = match &*self.store.origin {
            Tensors::Safetensors(files) => files.find(&name, &[len])?.vector(len),
            Tensors::Gguf(gguf) => gguf.vector(&name, len)?,
            // Gains are one, as before training. Biases are not zero, so that a missing addition shows.
            Tensors::Synthetic(_) if name.ends_with("weight") => vec![1.0; len],
            Tensors::Synthetic(seed) => {
                let mut numbers = vec![0.0; len];
                synthetic_weights::fill(synthetic_weights::key(*seed, &name), 0, &mut numbers);
                numbers
            }
        };
        self.store.check_finite(&name, &numbers);
        self.count(len);
        self.reserve(size_of_val(&numbers[..]));
        Ok(numbers)
    }

    /// Opens a matrix `[rows, columns]` without reading it. If `transposed`, the checkpoint stores it as `[columns,
    /// rows]`.
    ///
    /// # Errors
    /// The tensor is missing or has another shape.
    pub(crate) fn matrix(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
        transposed: bool,
    ) -> Result<Matrix> {
        let name = join_names(&self.prefix, name);
        let store = Arc::clone(&self.store);
        let noted = {
            let (store, name) = (Arc::clone(&store), name.clone());
            move |numbers: &[f32]| store.check_finite(&name, numbers)
        };
        self.count(rows * columns);
        Ok(match &*self.store.origin {
            Tensors::Gguf(gguf) => gguf_weights::matrix(gguf, &name, rows, columns)?,
            Tensors::Safetensors(files) => {
                let kept = if transposed { [columns, rows] } else { [rows, columns] };
                let raw = files.find(&name, &kept)?;
                let lease = Arc::clone(raw.mapped_bytes());
                let read = move |row: usize, first: usize, out: &mut [f32]| {
                    raw.read_row(row, first, [rows, columns], transposed, out);
                    noted(out);
                };
                Matrix::from_numbers(rows, columns, Arc::new(read)).with_lease(lease)
            }
            Tensors::Synthetic(seed) => {
                Matrix::synthetic(rows, columns, synthetic_weights::key(*seed, &name))
            }
        })
    }

    /// Records that this rank stores so many bytes of weights.
    pub(crate) fn reserve(&self, bytes: usize) {
        self.store.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.store.place.is_in_system_memory() {
            self.store.held.add(bytes);
        }
    }

    fn count(&self, numbers: usize) {
        if self.counts {
            self.store.parameters.fetch_add(numbers as u64, Ordering::Relaxed);
        }
    }

    /// Returns the number of distinct parameters that this rank has counted so far. All ranks together count each
    /// parameter once.
    pub(crate) fn parameters(&self) -> u64 {
        self.store.parameters.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the weights that this rank has stored so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.bytes.load(Ordering::Relaxed)
    }

    /// Refuses the checkpoint if a tensor that was read so far contains NaN or infinity.
    pub(crate) fn check(&self) -> Result<()> {
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

/// Joins two parts of a dotted name. Either part may be empty.
fn join_names(prefix: &str, name: &str) -> String {
    let dot = if prefix.is_empty() || name.is_empty() { "" } else { "." };
    format!("{prefix}{dot}{name}")
}

impl WeightStore {
    fn check_finite(&self, name: &str, numbers: &[f32]) {
        // A sum is finite only if all of its terms are. One sum is faster than a test for each number.
        if !numbers.iter().map(|x| x * 0.0).sum::<f32>().is_finite() {
            let _ = self.damaged.set(name.to_owned());
        }
    }
}
