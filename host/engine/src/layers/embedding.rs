//! The table of vectors that tokens or positions look up, and the changes that adapters make to it.

use super::{
    adapter_rows::{AdapterRows, RowSubset},
    adapter_target::{AdapterMap, AdapterTarget, AdapterTotals},
    cpu_tensor,
    embedding_device::AdapterTables,
    linear::Linear,
    low_rank::{self, PackedFactor},
    placement::Placement,
    weight::Weight,
};
use crate::{
    Result,
    adapters::{
        AdapterId, AdapterTensors, BaseRows, Factors, Tie, WholeModule, WholeWeight, is_same,
    },
    load::{Weights, matrix::Matrix},
};
use candle_core::Tensor;
use llem_checkpoint::ModuleKind;
use llem_compute::Buffer;
use std::{ops::Range, sync::Arc};

/// An embedding table, `[vocabulary, hidden]`, of which this rank may have some rows.
pub(crate) struct Embedding {
    /// The module's name in transformers.
    module: String,
    /// The source of the table: all rows. It is read again to merge an adapter.
    pub(super) matrix: Matrix,
    /// The rows that this rank has.
    pub(super) kept: Range<usize>,
    base: Arc<Weight>,
    /// The table in use: the base model's, or one with an adapter merged into it.
    pub(super) used: Arc<Weight>,
    pub(super) placement: Placement,
    /// The LM head that shares the weight.
    tie: Option<Arc<Tie>>,
    pub(super) changes: AdapterMap<EmbeddingAdapter>,
    /// The tables that kernels read about adapters, by slot.
    pub(super) tables: Option<AdapterTables>,
}

/// The change that one adapter makes: `g (E + (B A)ᵀ)` instead of the table `E`, or another table.
pub(super) enum EmbeddingAdapter {
    LowRank {
        factors: Factors,
        /// The factor B, packed to be multiplied with columns of A.
        expansion: PackedFactor,
        /// DoRA's magnitudes divided by the norms of the changed table's columns, `[hidden]`.
        gain: Option<Vec<f32>>,
        /// On a device: A transposed, B and the gain, in f32.
        on_device: Option<(Buffer, Buffer, Option<Buffer>)>,
    },
    Saved(Matrix, Weight),
}

impl Embedding {
    /// Loads `weight`, `[rows, width]`, under the prefix of `weights`. If `cut` is true, this rank takes only its
    /// part of the rows.
    pub(crate) fn load(weights: &Weights, rows: usize, width: usize, cut: bool) -> Result<Self> {
        let matrix = weights.matrix("weight", rows, width, false)?;
        let placement = Placement::from_weights(weights);
        let kept = if cut { placement.shard.range_of(rows) } else { 0..rows };
        let base = select_rows(&matrix, &kept);
        weights.reserve(placement.bytes_of(&base));
        let base = Arc::new(Weight::new(&base, &placement)?);
        let module = weights.module();
        let (used, changes) = (Arc::clone(&base), AdapterMap::new());
        let tie = None;
        Ok(Self { module, matrix, kept, used, base, placement, tie, changes, tables: None })
    }

    /// Returns the memory that this rank's rows take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.placement.bytes_of(&select_rows(&self.matrix, &self.kept))
    }

    /// Makes the LM head `name`, which multiplies with this table's rows. A change that an adapter makes to the table
    /// does not change the head, and the other way round.
    pub(crate) fn tie_head(&mut self, name: String) -> Linear {
        let tie = Arc::new(Tie { embedding: self.module.clone(), head: name });
        self.tie = Some(Arc::clone(&tie));
        let (kept, matrix) = (self.kept.clone(), select_rows(&self.matrix, &self.kept));
        let weight = Arc::clone(&self.base);
        Linear::from_tied(tie, kept, self.matrix.rows, matrix, weight, self.placement.clone())
    }

    /// Looks up vectors on the CPU. `rows` names the rows that run with adapters.
    ///
    /// # Shapes
    /// - `ids`: `[ids]`
    /// - returns: `[ids, hidden]`
    pub(crate) fn lookup(&self, ids: &[u32], rows: &AdapterRows) -> Result<Tensor> {
        let mut y = self.lookup_rows(&self.used, ids)?;
        for subset in rows.subsets() {
            if let Some(change) = self.changes.get(subset.adapter) {
                y = self.apply_adapter(change, ids, y, subset)?;
            }
        }
        Ok(y)
    }

    /// Looks up rows of a table on the CPU. If each rank has some of the rows, the ranks sum what they find.
    fn lookup_rows(&self, table: &Weight, ids: &[u32]) -> Result<Tensor> {
        if self.kept == (0..self.matrix.rows) {
            return table.lookup(ids);
        }
        self.placement.shard.sum(table.lookup_sharded(ids, &self.kept)?)
    }

    /// Replaces the rows of one adapter by vectors of the changed table.
    ///
    /// # Shapes
    /// - `y`: `[ids, hidden]`
    /// - returns: `[ids, hidden]`
    fn apply_adapter(
        &self,
        change: &EmbeddingAdapter,
        ids: &[u32],
        y: Tensor,
        subset: &RowSubset,
    ) -> Result<Tensor> {
        let ids: Vec<u32> = subset.rows.iter().map(|&row| ids[row as usize]).collect();
        let new = match change {
            EmbeddingAdapter::Saved(_, weight) => self.lookup_rows(weight, &ids)?,
            EmbeddingAdapter::LowRank { factors, expansion, gain, .. } => {
                let mut numbers = subset.gather(&y)?.flatten_all()?.to_vec1::<f32>()?;
                change_rows(&mut numbers, &ids, factors, expansion, gain.as_deref())?;
                cpu_tensor::from_rows(numbers, self.matrix.columns)?
            }
        };
        subset.replace_in(y, new)
    }
}

/// Changes the vectors of `ids` as an adapter with low-rank factors does.
///
/// # Shapes
/// - `rows`: `[ids, hidden]`, flat, changed in place
fn change_rows(
    rows: &mut [f32],
    ids: &[u32],
    factors: &Factors,
    expansion: &PackedFactor,
    gain: Option<&[f32]>,
) -> Result<()> {
    let (rank, vocabulary) = (factors.rank, factors.down.len() / factors.rank);
    let column = |&id: &u32| (0..rank).map(move |row| factors.down[row * vocabulary + id as usize]);
    let columns: Vec<f32> = ids.iter().flat_map(column).collect();
    let changes = expansion.rows(&columns)?;
    rows.iter_mut().zip(changes).for_each(|(number, change)| *number += change);
    if let Some(gain) = gain {
        for row in rows.chunks_exact_mut(gain.len()) {
            row.iter_mut().zip(gain).for_each(|(number, gain)| *number *= gain);
        }
    }
    Ok(())
}

/// The rows of a table that are changed at a time. This bounds the memory that the changed rows take.
const CHUNK: usize = 4096;

/// Selects the rows `kept` of a matrix.
fn select_rows(matrix: &Matrix, kept: &Range<usize>) -> Matrix {
    let start = kept.start;
    if *kept == (0..matrix.rows) {
        return matrix.clone();
    }
    matrix.select(kept.len(), move |row| start + row)
}

impl Embedding {
    /// Calls `each` with the changed rows of the table, a chunk at a time.
    fn for_each_changed(
        &self,
        rows: Range<usize>,
        factors: &Factors,
        expansion: &PackedFactor,
        gain: Option<&[f32]>,
        mut each: impl FnMut(&[f32]),
    ) -> Result<()> {
        let (read, width) = (self.matrix.widened()?, self.matrix.columns);
        for first in rows.clone().step_by(CHUNK) {
            let ids: Vec<u32> = (first..rows.end.min(first + CHUNK)).map(|id| id as u32).collect();
            let mut rows = vec![0f32; ids.len() * width];
            for (row, &id) in rows.chunks_exact_mut(width).zip(&ids) {
                read(id as usize, 0, row);
            }
            change_rows(&mut rows, &ids, factors, expansion, gain)?;
            each(&rows);
        }
        self.matrix.release();
        Ok(())
    }

    /// Computes the norms of the changed table's columns, `[hidden]`, in f64.
    fn column_norms(&self, factors: &Factors, expansion: &PackedFactor) -> Result<Vec<f32>> {
        let mut sums = vec![0f64; self.matrix.columns];
        self.for_each_changed(0..self.matrix.rows, factors, expansion, None, |rows| {
            for row in rows.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x).powi(2));
            }
        })?;
        Ok(sums.into_iter().map(|sum| sum.sqrt() as f32).collect())
    }
}

impl AdapterTarget for Embedding {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<AdapterTotals> {
        let (rows, width) = (self.matrix.rows, self.matrix.columns);
        let mut added = AdapterTotals::default();
        let module = WholeModule {
            name: &self.module,
            role: ModuleKind::Embedding,
            tie: self.tie.as_deref(),
            rows,
            columns: width,
            transposed: false,
        };
        let base = BaseRows::from_matrix(&self.matrix)?;
        tensors.check_base(module, &base)?;
        if let Some(factors) = tensors.factors(&self.module, ModuleKind::Embedding, width, rows)? {
            added.modules = 1;
            added.rank = factors.rank;
            added.count_vector(factors.down.len() + factors.up.len());
            added.count_vector(factors.magnitude.as_ref().map_or(0, Vec::len));
            // A column of A is looked up. Only B is multiplied with.
            added.flops_per_row = 2.0 * factors.up.len() as f64;
            let expansion = PackedFactor::from_rows(&factors.up, factors.rank);
            let gain = match &factors.magnitude {
                Some(magnitude) => {
                    let norms = self.column_norms(&factors, &expansion)?;
                    Some(magnitude.iter().zip(norms).map(|(size, norm)| size / norm).collect())
                }
                None => None,
            };
            let on_device = self.upload(&factors, gain.as_deref())?;
            self.changes
                .insert(id, EmbeddingAdapter::LowRank { factors, expansion, gain, on_device });
        }
        let whole = match tensors.whole_weight(module)? {
            Some(WholeWeight::InPlace(matrix)) if is_same(&matrix, &base)? => None,
            Some(WholeWeight::InPlace(matrix) | WholeWeight::Saved(matrix)) => {
                Some((rows * width, matrix))
            }
            None => None,
        };
        let trained = match tensors.trained_tokens(module)? {
            Some(tokens) => Some((tokens.numbers(), tokens.apply_to(&self.matrix, &base)?)),
            None => None,
        };
        if let Some((numbers, matrix)) = trained.or(whole) {
            added.modules = 1;
            let matrix = select_rows(&matrix, &self.kept);
            added.count_saved(numbers, rows * width, &self.placement);
            let weight = Weight::new(&matrix, &self.placement)?;
            self.changes.insert(id, EmbeddingAdapter::Saved(matrix, weight));
        }
        self.matrix.release();
        Ok(added)
    }

    fn reports_totals(&self) -> bool {
        self.placement.shard.index == 0
    }

    fn detach(&mut self, id: AdapterId) {
        self.changes.remove(id);
    }

    fn merge(&mut self, id: AdapterId) -> Result<()> {
        let Some(change) = self.changes.get(id) else { return Ok(()) };
        let merged = match change {
            EmbeddingAdapter::Saved(matrix, _) => Weight::new(matrix, &self.placement)?,
            EmbeddingAdapter::LowRank { factors, expansion, gain, .. } => {
                let mut all = Vec::with_capacity(self.kept.len() * self.matrix.columns);
                let rows = self.kept.clone();
                self.for_each_changed(rows, factors, expansion, gain.as_deref(), |rows| {
                    all.extend_from_slice(rows);
                })?;
                Weight::new(
                    &low_rank::matrix_from_numbers(all, self.matrix.columns),
                    &self.placement,
                )?
            }
        };
        self.used = Arc::new(merged);
        Ok(())
    }

    fn unmerge(&mut self) -> Result<()> {
        self.used = Arc::clone(&self.base);
        Ok(())
    }

    fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        self.write_tables(slots)
    }
}
