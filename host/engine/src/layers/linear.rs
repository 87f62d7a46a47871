//! A matrix product with a weight, and the one place where adapters and shards attach.
//!
//! ```text
//! column-parallel   each rank has some outputs    y = [ x W0ᵀ | x W1ᵀ ]     QKV, gate and up, LM head
//! row-parallel      each rank has some inputs     y = x0 W0ᵀ + x1 W1ᵀ       O, down: summed over ranks
//! ```

use super::{
    adapted::{Adapt, Added, Changes},
    adapter_rows::{AdapterRows, RowSubset},
    change::Change,
    features::{Inputs, Module, Part, Product, in_turn},
    host,
    weight::{Placement, Weight},
};
use crate::{
    Error, Result,
    adapters::{AdapterId, AdapterTensors, Tie},
    cpu::{
        Activations,
        parallel::{SharedRows, for_each_chunk, threads},
    },
    load::{Weights, matrix::Matrix},
};
use candle_core::Tensor;
use llem_checkpoint::adapters::Role;
use llem_compute::Buffer;
use std::{
    iter,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// `y = x Wᵀ + b`, and for rows with an adapter what that changes.
///
/// On the CPU activations are f32 whatever the weights' format, and the product is ours, or
/// candle's for quantised blocks other than Q8_0. On a device both are of the model's format.
pub struct Linear {
    /// Output features one after another. More than one where they are quantised differently.
    slices: Vec<OutputSlice>,
    /// What transformers calls its parts, in the same order.
    modules: Vec<Module>,
    pub(super) inputs: Inputs,
    pub(super) place: Placement,
    pub(super) changes: Changes<Change>,
    /// Whether one of them is in the weights.
    is_merged: bool,
    /// The weights and biases in use: one for each slice, or on a device one for all.
    pub(super) used: Vec<Used>,
    /// What kernels are told of adapters, by their slots.
    pub(super) table: Option<Buffer>,
    /// The adapters of the slots.
    pub(super) slots: Vec<AdapterId>,
}

/// Some of the output features, which are kept in one format.
struct OutputSlice {
    outputs: Range<usize>,
    /// What the weight is made of, to be read again: this rank's outputs, and all inputs.
    matrix: Matrix,
    bias: Option<Vec<f32>>,
    /// The weight as an embedding keeps it in memory, where it is one.
    shared: Option<Arc<Weight>>,
}

/// A weight and bias in use: the checkpoint's, or with an adapter merged into them.
pub(super) struct Used {
    pub(super) weight: Arc<Weight>,
    bias: Option<Vec<f32>>,
    /// The bias on a device.
    pub(super) device_bias: Option<Buffer>,
}

impl Linear {
    /// A product with matrices stacked below one another, and their biases. Each has a module. They
    /// hold this rank's outputs, and all inputs.
    pub fn new(
        weights: &Weights,
        modules: Vec<Module>,
        parts: &[Matrix],
        biases: Vec<Option<Vec<f32>>>,
        inputs: Inputs,
    ) -> Result<Self> {
        let place = Placement::of(weights);
        let new = |start, matrix: Matrix, bias| {
            weights.holds(place.bytes_of(&matrix.columns(inputs.taken.clone())?));
            let outputs = start..start + matrix.rows;
            Ok::<_, Error>(OutputSlice { outputs, matrix, bias, shared: None })
        };
        let slices = match Matrix::stack(parts) {
            Some(whole) => {
                let joined: Vec<f32> = biases.into_iter().flatten().flatten().collect();
                let bias = (!joined.is_empty()).then_some(joined);
                vec![new(0, whole, bias)?]
            }
            None => parts
                .iter()
                .zip(biases)
                .zip(&modules)
                .map(|((part, bias), module)| new(module.outputs.start, part.clone(), bias))
                .collect::<Result<_>>()?,
        };
        let used = Used::of_slices(&slices, &inputs, &place)?;
        Ok(Self::of(slices, modules, inputs, place, used))
    }

    fn of(
        slices: Vec<OutputSlice>,
        modules: Vec<Module>,
        inputs: Inputs,
        place: Placement,
        used: Vec<Used>,
    ) -> Self {
        let (changes, table, slots) = (Changes::none(), None, Vec::new());
        Self { slices, modules, inputs, place, changes, is_merged: false, used, table, slots }
    }

    /// Loads `weight` (and `bias`) of each part and stacks them.
    pub fn load(weights: &Weights, product: Product<'_>) -> Result<Self> {
        let Product { parts, inputs, bias, transposed } = product;
        let (mut modules, mut matrices, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for Part { name, outputs: whole, kept } in parts {
            let place = weights.at(name);
            let matrix = place.matrix("weight", whole, inputs.all, transposed)?;
            let bias = bias.then(|| place.vector("bias", whole)).transpose()?;
            let count: usize = kept.iter().map(Range::len).sum();
            let is_whole = kept.first() == Some(&(0..whole));
            let order = (!is_whole).then(|| in_turn(kept));
            matrices.push(match order.clone() {
                Some(order) => matrix.select(count, move |row| order(row)),
                None => matrix,
            });
            biases.push(match &order {
                Some(order) => bias.map(|bias| (0..count).map(|row| bias[order(row)]).collect()),
                None => bias,
            });
            let outputs = start..start + count;
            start += count;
            let (name, role) = (place.module(), Role::Projection);
            modules.push(Module { name, role, outputs, whole, order, transposed, tie: None });
        }
        Self::new(weights, modules, &matrices, biases, inputs)
    }

    /// The product with rows `kept` of a table: the LM head of a model whose head is its embedding.
    /// `matrix` and `weight` hold those rows.
    pub fn tied(
        tie: Arc<Tie>,
        kept: Range<usize>,
        whole: usize,
        matrix: Matrix,
        weight: Arc<Weight>,
        place: Placement,
    ) -> Self {
        let outputs = 0..matrix.rows;
        let order = (kept != (0..whole)).then(|| in_turn(iter::once(kept).collect()));
        let role = Role::Head;
        let module = Module {
            name: tie.head.clone(),
            role,
            outputs: outputs.clone(),
            whole,
            order,
            transposed: false,
            tie: Some(tie),
        };
        let shared = Some(Arc::clone(&weight));
        let used = Used { weight, bias: None, device_bias: None };
        let inputs = Inputs::whole(matrix.columns);
        let slice = OutputSlice { outputs, matrix, bias: None, shared };
        Self::of(vec![slice], vec![module], inputs, place, vec![used])
    }

    /// The same, its modules being of these kinds rather than projections.
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.modules.iter_mut().zip(roles).for_each(|(module, role)| module.role = role);
        self
    }

    /// Output features of this rank.
    pub fn outputs(&self) -> usize {
        self.slices.last().map_or(0, |slice| slice.outputs.end)
    }

    /// This rank's inputs `[rows, in]` to its outputs `[rows, out]`.
    pub fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let y = self.product(x, rows)?;
        if self.inputs.summed { self.place.shard.sum(y) } else { Ok(y) }
    }

    fn product(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let changes: Vec<(&Change, &RowSubset)> = rows
            .subsets()
            .iter()
            .filter_map(|group| Some((self.changes.of(group.adapter)?, group)))
            .collect();
        let y = host::with_slice(x, |x| {
            let x = Activations::new(x, self.inputs.taken.len());
            let mut y = self.on_host(&x)?;
            change_on_host(&changes, &x, &mut y, self.outputs())?;
            Ok::<_, Error>(y)
        })??;
        host::rows(y, self.outputs())
    }

    fn on_host(&self, x: &Activations<'_>) -> Result<Vec<f32>> {
        if let [used] = &self.used[..] {
            return used.weight.on_host(x, used.bias.as_deref());
        }
        let width = self.outputs();
        let mut y = vec![0f32; x.rows() * width];
        for (slice, used) in self.slices.iter().zip(&self.used) {
            let part = used.weight.on_host(x, used.bias.as_deref())?;
            let rows = y.chunks_exact_mut(width).zip(part.chunks_exact(slice.outputs.len()));
            rows.for_each(|(row, part)| row[slice.outputs.clone()].copy_from_slice(part));
        }
        Ok(y)
    }
}

/// Lets each adapter change its own rows: side by side where that keeps all threads busy, and where no
/// other rank waits for them to come in turn.
fn change_on_host(
    changes: &[(&Change, &RowSubset)],
    x: &Activations<'_>,
    y: &mut [f32],
    width: usize,
) -> Result<()> {
    let y = SharedRows::over(y, width);
    let each = |range: Range<usize>| -> Result<()> {
        // SAFETY: y holds numbers, and a row belongs to one group.
        changes[range]
            .iter()
            .try_for_each(|(change, group)| unsafe { change.on_host(x, &y, group) })
    };
    let rows = changes.iter().map(|(_, group)| group.rows.len());
    let (most, all) = (rows.clone().max().unwrap_or(0), rows.sum::<usize>());
    let in_turn = changes.iter().any(|(change, _)| change.is_shared());
    if changes.len() < 2 || in_turn || most * threads() > all {
        return each(0..changes.len());
    }
    let failed = Mutex::new(None);
    for_each_chunk(changes.len(), |range| {
        if let Err(error) = each(range) {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

impl Used {
    /// What slices hold: this rank's inputs of their matrices.
    fn of_slices(slices: &[OutputSlice], inputs: &Inputs, place: &Placement) -> Result<Vec<Self>> {
        let parts = slices.iter().map(|slice| {
            let matrix = slice.matrix.columns(inputs.taken.clone())?;
            Ok((matrix, slice.bias.clone()))
        });
        Self::of_parts(parts.collect::<Result<_>>()?, inputs, place)
    }

    /// Of matrices of this rank's inputs, and biases.
    fn of_parts(
        parts: Vec<(Matrix, Option<Vec<f32>>)>,
        inputs: &Inputs,
        place: &Placement,
    ) -> Result<Vec<Self>> {
        let has_vectors = inputs.has_vectors(place);
        if place.place.is_host() {
            let used = |(matrix, bias): (Matrix, Option<Vec<f32>>)| {
                let weight = Arc::new(Weight::new(&matrix, place)?);
                Ok(Self { weight, bias: bias.filter(|_| has_vectors), device_bias: None })
            };
            return parts.into_iter().map(used).collect();
        }
        let has_bias = has_vectors && parts.iter().any(|(_, bias)| bias.is_some());
        let bias: Option<Vec<f32>> = has_bias.then(|| {
            let bias = |(matrix, bias): &(Matrix, Option<Vec<f32>>)| {
                bias.clone().unwrap_or_else(|| vec![0f32; matrix.rows])
            };
            parts.iter().flat_map(bias).collect()
        });
        let matrices: Vec<Matrix> = parts.into_iter().map(|(matrix, _)| matrix).collect();
        let weight = Arc::new(Weight::stacked(&matrices, place)?);
        let device_bias = place.upload(bias.as_deref())?;
        Ok(vec![Self { weight, bias: None, device_bias }])
    }
}

impl Adapt for Linear {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Added> {
        let base: Vec<_> =
            self.slices.iter().map(|slice| (&slice.matrix, slice.bias.as_deref())).collect();
        let (change, added) =
            Change::load(tensors, &self.modules, &base, &self.inputs, &self.place)?;
        if let Some(change) = change {
            self.changes.add(id, change);
        }
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
        let merged = self
            .slices
            .iter()
            .map(|slice| {
                let base = slice.matrix.columns(self.inputs.taken.clone())?;
                let matrix = change.merged_matrix(&base, slice.outputs.clone())?;
                let bias = change.merged_bias(slice.bias.as_deref(), slice.outputs.clone());
                Ok((matrix, bias))
            })
            .collect::<Result<Vec<_>>>()?;
        self.used = Used::of_parts(merged, &self.inputs, &self.place)?;
        self.is_merged = true;
        Ok(())
    }

    fn unmerge(&mut self) -> Result<()> {
        if !self.is_merged {
            return Ok(());
        }
        self.used = match &self.slices[..] {
            [OutputSlice { shared: Some(weight), .. }] => {
                vec![Used { weight: Arc::clone(weight), bias: None, device_bias: None }]
            }
            // Reading the same numbers again gives the same weight, bit by bit.
            slices => Used::of_slices(slices, &self.inputs, &self.place)?,
        };
        self.is_merged = false;
        Ok(())
    }

    fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        self.write_table(slots)
    }
}
