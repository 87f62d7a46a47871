//! A table of vectors, looked up by token or position, and what adapters change about it.

use super::{
    adapted::{Adapt, Added, Changes},
    adapter_rows::{AdapterRows, RowSubset},
    host,
    linear::Linear,
    low_rank::{self, Expansion},
    weight::{Placement, Weight},
};
use crate::{
    Result,
    adapters::{AdapterId, AdapterTensors, BaseRows, Factors, Tie, Whole, WholeModule, is_same},
    gpu::Run,
    load::{Weights, matrix::Matrix},
};
use candle_core::Tensor;
use llem_checkpoint::adapters::Role;
use llem_compute::{
    Buffer, View,
    ops::{
        bytes_of,
        embedding::{Lookup, LowRankTable},
        norm::AddNorm,
    },
};
use std::{ops::Range, sync::Arc};

/// `[vocabulary, hidden]`.
pub struct Embedding {
    /// What transformers calls it.
    module: String,
    /// What the table is made of, to be read again: all of it.
    matrix: Matrix,
    /// The rows that this rank has.
    kept: Range<usize>,
    base: Arc<Weight>,
    /// The table in use: the one above, or one with an adapter merged into it.
    used: Arc<Weight>,
    place: Placement,
    /// The head that is the same weight.
    tie: Option<Arc<Tie>>,
    changes: Changes<Change>,
    /// What kernels are told of adapters, by their slots.
    pub(super) tables: Option<Tables>,
}

/// What kernels are told of adapters, by their slots.
pub(super) struct Tables {
    /// u64: the addresses of other tables.
    pub saved: Option<Buffer>,
    /// Of [`LowRankTable`].
    pub low_rank: Option<Buffer>,
}

/// What one adapter makes of a table: `g (E + (B A)ᵀ)`, or another table.
enum Change {
    LowRank {
        factors: Factors,
        /// B, ready to be multiplied with columns of A.
        expansion: Expansion,
        /// DoRA's magnitudes over the norms of the table's columns, `[hidden]`.
        gain: Option<Vec<f32>>,
        /// On a device: A transposed, B and the gain, in f32.
        on_device: Option<(Buffer, Buffer, Option<Buffer>)>,
    },
    Saved(Matrix, Weight),
}

impl Embedding {
    /// Loads `weight`, `[rows, width]`, at the place that `weights` stands at; of a table that is `cut`,
    /// only this rank's rows.
    pub fn load(weights: &Weights, rows: usize, width: usize, cut: bool) -> Result<Self> {
        let matrix = weights.matrix("weight", rows, width, false)?;
        let place = Placement::of(weights);
        let kept = if cut { place.shard.of(rows) } else { 0..rows };
        let base = only(&matrix, &kept);
        weights.holds(place.bytes_of(&base));
        let base = Arc::new(Weight::new(&base, &place)?);
        let module = weights.module();
        let (used, changes) = (Arc::clone(&base), Changes::none());
        let tie = None;
        Ok(Self { module, matrix, kept, used, base, place, tie, changes, tables: None })
    }

    /// Bytes of this rank's rows of it.
    pub fn bytes(&self) -> usize {
        self.place.bytes_of(&only(&self.matrix, &self.kept))
    }

    /// The product with the table's rows, under a module's name of its own. What adapters change about
    /// the one they do not change about the other.
    pub fn head(&mut self, name: String) -> Linear {
        let tie = Arc::new(Tie { embedding: self.module.clone(), head: name });
        self.tie = Some(Arc::clone(&tie));
        let (kept, matrix) = (self.kept.clone(), only(&self.matrix, &self.kept));
        let weight = Arc::clone(&self.base);
        Linear::tied(tie, kept, self.matrix.rows, matrix, weight, self.place.clone())
    }

    /// Vectors `[ids, hidden]`.
    pub fn lookup(&self, ids: &[u32], rows: &AdapterRows) -> Result<Tensor> {
        let mut y = self.rows_of(&self.used, ids)?;
        for subset in rows.subsets() {
            if let Some(change) = self.changes.of(subset.adapter) {
                y = self.changed(change, ids, y, subset)?;
            }
        }
        Ok(y)
    }

    /// Rows of a table of which each rank has some.
    fn rows_of(&self, table: &Weight, ids: &[u32]) -> Result<Tensor> {
        if self.kept == (0..self.matrix.rows) {
            return table.lookup(ids);
        }
        self.place.shard.sum(table.lookup_kept(ids, &self.kept)?)
    }

    fn changed(
        &self,
        change: &Change,
        ids: &[u32],
        y: Tensor,
        subset: &RowSubset,
    ) -> Result<Tensor> {
        let ids: Vec<u32> = subset.rows.iter().map(|&row| ids[row as usize]).collect();
        let new = match change {
            Change::Saved(_, weight) => self.rows_of(weight, &ids)?,
            Change::LowRank { factors, expansion, gain, .. } => {
                let mut numbers = subset.of(&y)?.flatten_all()?.to_vec1::<f32>()?;
                change_rows(&mut numbers, &ids, factors, expansion, gain.as_deref())?;
                host::rows(numbers, self.matrix.columns)?
            }
        };
        subset.put(y, new)
    }
}

/// Changes rows of a table, those of `ids`.
fn change_rows(
    rows: &mut [f32],
    ids: &[u32],
    factors: &Factors,
    expansion: &Expansion,
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

/// Rows of a table that are changed at a time.
const CHUNK: usize = 4096;

/// Some rows of a table.
fn only(matrix: &Matrix, kept: &Range<usize>) -> Matrix {
    let start = kept.start;
    if *kept == (0..matrix.rows) {
        return matrix.clone();
    }
    matrix.select(kept.len(), move |row| start + row)
}

impl Embedding {
    /// Vectors `[rows, hidden]` times `scale` on a device, added to what is in `out` if `accumulate`.
    pub fn run(
        &self,
        run: &Run<'_>,
        ids: View<'_>,
        scale: f32,
        accumulate: bool,
        out: View<'_>,
    ) -> Result<()> {
        let (rows, width) = (run.rows, self.matrix.columns);
        let adapters = run.changed(|id| self.changes.of(id).is_some());
        let tables = adapters.and(self.tables.as_ref());
        let low_rank = tables.and_then(|tables| tables.low_rank.as_ref());
        let is_cut = self.kept != (0..self.matrix.rows);
        if (is_cut || low_rank.is_some()) && accumulate {
            // Adapters and other ranks change what was looked up, and not what it is added to.
            return run.arena.scoped(|| {
                let own = run.take(rows, width)?;
                self.run(run, ids, scale, false, own)?;
                let (deltas, x) = ([Some(own), None], out);
                let (post, norm, index, adapters) = (None, None, None, None);
                let sum = AddNorm { rows, width, x, deltas, post, norm, index, adapters };
                Ok(run.gpu.norms.add_norm(&sum)?)
            });
        }
        // What an adapter changes is scaled with the rest, at the end.
        let first_scale = if low_rank.is_some() { 1.0 } else { scale };
        run.gpu.embeddings.lookup(&Lookup {
            rows,
            width,
            ids,
            table: self.used.on_device()?,
            first: self.kept.start,
            kept: self.kept.len(),
            changes: tables.and_then(|tables| tables.saved.as_ref()).map(Buffer::view),
            adapters: adapters.map(|adapters| adapters.rows),
            scale: first_scale,
            accumulate,
            out,
        })?;
        if is_cut {
            run.group.all_reduce(out, rows * width, run.gpu.dtype)?;
        }
        if let (Some(table), Some(adapters)) = (low_rank, adapters) {
            let table = table.view();
            run.gpu.embeddings.low_rank(rows, width, ids, adapters.rows, table, scale, out)?;
        }
        Ok(())
    }

    fn upload(
        &self,
        factors: &Factors,
        gain: Option<&[f32]>,
    ) -> Result<Option<(Buffer, Buffer, Option<Buffer>)>> {
        let Some(gpu) = self.place.place.gpu() else { return Ok(None) };
        let (rank, rows) = (factors.rank, self.matrix.rows);
        let column = |id: usize| (0..rank).map(move |row| factors.down[row * rows + id]);
        let down: Vec<f32> = (0..rows).flat_map(column).collect();
        let f32s = |numbers: &[f32]| Buffer::of_f32(&gpu.device, numbers);
        Ok(Some((f32s(&down)?, f32s(&factors.up)?, gain.map(f32s).transpose()?)))
    }

    fn write_tables(&mut self, slots: &[AdapterId]) -> Result<()> {
        let Some(gpu) = self.place.place.gpu() else { return Ok(()) };
        let mut saved = vec![0u64; slots.len()];
        let mut low_rank = vec![LowRankTable::default(); slots.len()];
        for (slot, &id) in slots.iter().enumerate() {
            match self.changes.of(id) {
                Some(Change::Saved(_, weight)) => saved[slot] = weight.on_device()?.address,
                Some(Change::LowRank { factors, on_device: Some((down, up, gain)), .. }) => {
                    low_rank[slot] = LowRankTable {
                        down: down.view().address,
                        up: up.view().address,
                        gain: gain.as_ref().map_or(0, |gain| gain.view().address),
                        rank: factors.rank as u32,
                        unused: 0,
                    };
                }
                Some(Change::LowRank { .. }) | None => {}
            }
        }
        let has_saved = saved.iter().any(|&address| address != 0);
        let has_low_rank = low_rank.iter().any(|table| table.down != 0);
        // SAFETY: plain numbers without padding.
        let (saved, low_rank) = unsafe { (bytes_of(&saved), bytes_of(&low_rank)) };
        let upload = |bytes: &[u8]| Buffer::of_bytes(&gpu.device, bytes);
        self.tables = Some(Tables {
            saved: has_saved.then(|| upload(saved)).transpose()?,
            low_rank: has_low_rank.then(|| upload(low_rank)).transpose()?,
        });
        Ok(())
    }
}

impl Embedding {
    /// Rows of the table, changed, handed out in chunks.
    fn for_each_changed(
        &self,
        rows: Range<usize>,
        factors: &Factors,
        expansion: &Expansion,
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

    /// The norms of the changed table's columns.
    fn norms(&self, factors: &Factors, expansion: &Expansion) -> Result<Vec<f32>> {
        let mut sums = vec![0f64; self.matrix.columns];
        self.for_each_changed(0..self.matrix.rows, factors, expansion, None, |rows| {
            for row in rows.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x).powi(2));
            }
        })?;
        Ok(sums.into_iter().map(|sum| sum.sqrt() as f32).collect())
    }
}

impl Adapt for Embedding {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Added> {
        let (rows, width) = (self.matrix.rows, self.matrix.columns);
        let mut added = Added::default();
        let module = WholeModule {
            name: &self.module,
            role: Role::Embedding,
            tie: self.tie.as_deref(),
            rows,
            columns: width,
            transposed: false,
        };
        let base = BaseRows::of(&self.matrix)?;
        tensors.check_base(module, &base)?;
        if let Some(factors) = tensors.factors(&self.module, Role::Embedding, width, rows)? {
            added.modules = 1;
            added.rank = factors.rank;
            added.count_vector(factors.down.len() + factors.up.len());
            added.count_vector(factors.magnitude.as_ref().map_or(0, Vec::len));
            // A column of A is looked up, and only B is multiplied with.
            added.flops_per_row = 2.0 * factors.up.len() as f64;
            let expansion = Expansion::of_rows(&factors.up, factors.rank);
            let gain = match &factors.magnitude {
                Some(magnitude) => {
                    let norms = self.norms(&factors, &expansion)?;
                    Some(magnitude.iter().zip(norms).map(|(size, norm)| size / norm).collect())
                }
                None => None,
            };
            let on_device = self.upload(&factors, gain.as_deref())?;
            self.changes.add(id, Change::LowRank { factors, expansion, gain, on_device });
        }
        let whole = match tensors.whole(module)? {
            Some(Whole::InPlace(matrix)) if is_same(&matrix, &base)? => None,
            Some(Whole::InPlace(matrix) | Whole::Saved(matrix)) => Some((rows * width, matrix)),
            None => None,
        };
        let trained = match tensors.tokens(module)? {
            Some(tokens) => Some((tokens.numbers(), tokens.over(&self.matrix, &base)?)),
            None => None,
        };
        if let Some((numbers, matrix)) = trained.or(whole) {
            added.modules = 1;
            let matrix = only(&matrix, &self.kept);
            added.count_saved(numbers, rows * width, &self.place);
            let weight = Weight::new(&matrix, &self.place)?;
            self.changes.add(id, Change::Saved(matrix, weight));
        }
        self.matrix.release();
        Ok(added)
    }

    fn tells(&self) -> bool {
        self.place.shard.index == 0
    }

    fn detach(&mut self, id: AdapterId) {
        self.changes.forget(id);
    }

    fn merge(&mut self, id: AdapterId) -> Result<()> {
        let Some(change) = self.changes.of(id) else { return Ok(()) };
        let merged = match change {
            Change::Saved(matrix, _) => Weight::new(matrix, &self.place)?,
            Change::LowRank { factors, expansion, gain, .. } => {
                let mut all = Vec::with_capacity(self.kept.len() * self.matrix.columns);
                let rows = self.kept.clone();
                self.for_each_changed(rows, factors, expansion, gain.as_deref(), |rows| {
                    all.extend_from_slice(rows);
                })?;
                Weight::new(&low_rank::matrix(all, self.matrix.columns), &self.place)?
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
