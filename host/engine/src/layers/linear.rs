//! The linear layer: a matrix product with a weight. Adapters and tensor parallelism attach here and nowhere else.
//!
//! ```text
//! column-parallel   each rank has some outputs    y = [ x W0ᵀ | x W1ᵀ ]     QKV, gate and up, LM head
//! row-parallel      each rank has some inputs     y = x0 W0ᵀ + x1 W1ᵀ       O, down: summed over ranks
//! ```
//!
//! Start at [`Linear::load`] and [`Linear::forward`].

use super::{
    adapter_rows::{AdapterRows, RowSubset},
    adapter_target::{AdapterMap, AdapterTarget, AdapterTotals},
    cpu_tensor,
    linear_adapter::LinearAdapter,
    linear_spec::{InputFeatures, LinearModule, LinearSpec, ModuleSlice, concatenate_ranges},
    placement::Placement,
    weight::Weight,
};
use crate::{
    Error, Result,
    adapters::{AdapterId, AdapterTensors, Tie},
    cpu::{
        ProductInput,
        threads::{SharedRows, for_each_chunk, threads},
    },
    load::{Weights, matrix::Matrix},
};
use candle_core::Tensor;
use llem_checkpoint::ModuleKind;
use llem_compute::Buffer;
use std::{
    iter,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// A linear layer, `y = x Wᵀ + b`, with the changes that adapters make to their rows.
///
/// On the CPU the activations are f32, whatever the weights' format. The product is computed by llem's kernels, or by
/// candle's for quantised blocks other than Q8_0. On a device both operands are in the model's format.
pub(crate) struct Linear {
    /// The output features. There is more than one slice if the modules are quantised differently.
    slices: Vec<OutputSlice>,
    /// The modules of the checkpoint, in the order of their outputs.
    modules: Vec<LinearModule>,
    pub(super) inputs: InputFeatures,
    pub(super) placement: Placement,
    pub(super) changes: AdapterMap<LinearAdapter>,
    /// True if an adapter is merged into the weights in use.
    is_merged: bool,
    /// The weights and biases in use: one for each slice on the CPU, and one for all slices on a device.
    pub(super) used: Vec<ActiveWeight>,
    /// The table that kernels read about adapters, by slot.
    pub(super) table: Option<Buffer>,
    /// The adapter of each slot.
    pub(super) slots: Vec<AdapterId>,
}

/// Output features whose weights have one format.
struct OutputSlice {
    outputs: Range<usize>,
    /// The source of the weight: this rank's outputs and all inputs. It is read again to merge an adapter.
    matrix: Matrix,
    bias: Option<Vec<f32>>,
    /// The weight that an embedding has in memory already, for a tied LM head.
    shared: Option<Arc<Weight>>,
}

/// A weight and a bias in use: the numbers of the checkpoint, or these with an adapter merged into them.
pub(super) struct ActiveWeight {
    pub(super) weight: Arc<Weight>,
    bias: Option<Vec<f32>>,
    pub(super) device_bias: Option<Buffer>,
}

impl Linear {
    /// Makes a layer from matrices that are stacked first to last, and their biases. Each matrix belongs to the
    /// module of the same index, and has this rank's outputs and all inputs.
    pub(crate) fn new(
        weights: &Weights,
        modules: Vec<LinearModule>,
        parts: &[Matrix],
        biases: Vec<Option<Vec<f32>>>,
        inputs: InputFeatures,
    ) -> Result<Self> {
        let placement = Placement::from_weights(weights);
        let new = |start, matrix: Matrix, bias| {
            weights.reserve(placement.bytes_of(&matrix.columns(inputs.own.clone())?));
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
        let used = ActiveWeight::from_slices(&slices, &inputs, &placement)?;
        Ok(Self::with_slices(slices, modules, inputs, placement, used))
    }

    fn with_slices(
        slices: Vec<OutputSlice>,
        modules: Vec<LinearModule>,
        inputs: InputFeatures,
        placement: Placement,
        used: Vec<ActiveWeight>,
    ) -> Self {
        let (changes, table, slots) = (AdapterMap::new(), None, Vec::new());
        Self { slices, modules, inputs, placement, changes, is_merged: false, used, table, slots }
    }

    /// Loads `weight` (and `bias`) of each module and stacks them.
    pub(crate) fn load(weights: &Weights, spec: LinearSpec<'_>) -> Result<Self> {
        let LinearSpec { modules: slices, inputs, bias, transposed } = spec;
        let (mut modules, mut matrices, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for ModuleSlice { name, outputs: whole, kept } in slices {
            let module = weights.at(name);
            let matrix = module.matrix("weight", whole, inputs.total, transposed)?;
            let bias = bias.then(|| module.vector("bias", whole)).transpose()?;
            let count: usize = kept.iter().map(Range::len).sum();
            let is_whole = kept.first() == Some(&(0..whole));
            let order = (!is_whole).then(|| concatenate_ranges(kept));
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
            let (name, role) = (module.module(), ModuleKind::Projection);
            modules.push(LinearModule {
                name,
                role,
                outputs,
                checkpoint_outputs: whole,
                order,
                transposed,
                tie: None,
            });
        }
        Self::new(weights, modules, &matrices, biases, inputs)
    }

    /// Makes the LM head of a model whose head is its embedding. `matrix` and `weight` are the rows `kept` of the
    /// table, which has `whole` rows on all ranks together.
    pub(crate) fn from_tied(
        tie: Arc<Tie>,
        kept: Range<usize>,
        whole: usize,
        matrix: Matrix,
        weight: Arc<Weight>,
        placement: Placement,
    ) -> Self {
        let outputs = 0..matrix.rows;
        let order = (kept != (0..whole)).then(|| concatenate_ranges(iter::once(kept).collect()));
        let role = ModuleKind::Head;
        let module = LinearModule {
            name: tie.head.clone(),
            role,
            outputs: outputs.clone(),
            checkpoint_outputs: whole,
            order,
            transposed: false,
            tie: Some(tie),
        };
        let shared = Some(Arc::clone(&weight));
        let used = ActiveWeight { weight, bias: None, device_bias: None };
        let inputs = InputFeatures::new(matrix.columns);
        let slice = OutputSlice { outputs, matrix, bias: None, shared };
        Self::with_slices(vec![slice], vec![module], inputs, placement, vec![used])
    }

    /// Sets the role of each module. Without this call all modules are projections.
    pub(crate) fn with_roles(mut self, roles: impl IntoIterator<Item = ModuleKind>) -> Self {
        self.modules.iter_mut().zip(roles).for_each(|(module, role)| module.role = role);
        self
    }

    /// Returns the number of this rank's output features.
    pub(crate) fn outputs(&self) -> usize {
        self.slices.last().map_or(0, |slice| slice.outputs.end)
    }

    /// Computes the layer on the CPU. `rows` names the rows that run with adapters.
    ///
    /// # Shapes
    /// - `x`: `[rows, this rank's inputs]`
    /// - returns: `[rows, this rank's outputs]`, summed over ranks if the layer is row-parallel
    pub(crate) fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let y = self.multiply_with_adapters(x, rows)?;
        if self.inputs.summed { self.placement.shard.sum(y) } else { Ok(y) }
    }

    fn multiply_with_adapters(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let changes: Vec<(&LinearAdapter, &RowSubset)> = rows
            .subsets()
            .iter()
            .filter_map(|group| Some((self.changes.get(group.adapter)?, group)))
            .collect();
        let y = cpu_tensor::with_slice(x, |x| {
            let x = ProductInput::new(x, self.inputs.own.len());
            let mut y = self.multiply_on_cpu(&x)?;
            apply_adapters(&changes, &x, &mut y, self.outputs())?;
            Ok::<_, Error>(y)
        })??;
        cpu_tensor::from_rows(y, self.outputs())
    }

    fn multiply_on_cpu(&self, x: &ProductInput<'_>) -> Result<Vec<f32>> {
        if let [used] = &self.used[..] {
            return used.weight.product_on_cpu(x, used.bias.as_deref());
        }
        let width = self.outputs();
        let mut y = vec![0f32; x.rows() * width];
        for (slice, used) in self.slices.iter().zip(&self.used) {
            let part = used.weight.product_on_cpu(x, used.bias.as_deref())?;
            let rows = y.chunks_exact_mut(width).zip(part.chunks_exact(slice.outputs.len()));
            rows.for_each(|(row, part)| row[slice.outputs.clone()].copy_from_slice(part));
        }
        Ok(y)
    }
}

/// Applies each adapter to its own rows. Adapters run at the same time if that keeps all threads busy. Adapters whose
/// factors are shared across ranks run one after another, because all ranks have to reach them in the same order.
fn apply_adapters(
    changes: &[(&LinearAdapter, &RowSubset)],
    x: &ProductInput<'_>,
    y: &mut [f32],
    width: usize,
) -> Result<()> {
    let y = SharedRows::from_slice(y, width);
    let each = |range: Range<usize>| -> Result<()> {
        // SAFETY: `y` is initialised, and a row belongs to one adapter only.
        changes[range]
            .iter()
            .try_for_each(|(change, group)| unsafe { change.apply_on_cpu(x, &y, group) })
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

impl ActiveWeight {
    /// Reads the weights of slices: this rank's inputs of their matrices.
    fn from_slices(
        slices: &[OutputSlice],
        inputs: &InputFeatures,
        placement: &Placement,
    ) -> Result<Vec<Self>> {
        let parts = slices.iter().map(|slice| {
            let matrix = slice.matrix.columns(inputs.own.clone())?;
            Ok((matrix, slice.bias.clone()))
        });
        Self::from_parts(parts.collect::<Result<_>>()?, inputs, placement)
    }

    /// Reads weights from matrices that have only this rank's inputs, and their biases.
    fn from_parts(
        parts: Vec<(Matrix, Option<Vec<f32>>)>,
        inputs: &InputFeatures,
        placement: &Placement,
    ) -> Result<Vec<Self>> {
        let has_vectors = inputs.has_vectors(placement);
        if placement.backend.is_cpu() {
            let used = |(matrix, bias): (Matrix, Option<Vec<f32>>)| {
                let weight = Arc::new(Weight::new(&matrix, placement)?);
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
        let weight = Arc::new(Weight::from_stacked(&matrices, placement)?);
        let device_bias = placement.upload(bias.as_deref())?;
        Ok(vec![Self { weight, bias: None, device_bias }])
    }
}

impl AdapterTarget for Linear {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<AdapterTotals> {
        let base: Vec<_> =
            self.slices.iter().map(|slice| (&slice.matrix, slice.bias.as_deref())).collect();
        let (change, added) =
            LinearAdapter::load(tensors, &self.modules, &base, &self.inputs, &self.placement)?;
        if let Some(change) = change {
            self.changes.insert(id, change);
        }
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
        let merged = self
            .slices
            .iter()
            .map(|slice| {
                let base = slice.matrix.columns(self.inputs.own.clone())?;
                let matrix = change.merged_matrix(&base, slice.outputs.clone())?;
                let bias = change.merged_bias(slice.bias.as_deref(), slice.outputs.clone());
                Ok((matrix, bias))
            })
            .collect::<Result<Vec<_>>>()?;
        self.used = ActiveWeight::from_parts(merged, &self.inputs, &self.placement)?;
        self.is_merged = true;
        Ok(())
    }

    fn unmerge(&mut self) -> Result<()> {
        if !self.is_merged {
            return Ok(());
        }
        self.used = match &self.slices[..] {
            [OutputSlice { shared: Some(weight), .. }] => {
                vec![ActiveWeight { weight: Arc::clone(weight), bias: None, device_bias: None }]
            }
            // Reading the same numbers again gives the same weight, bit by bit.
            slices => ActiveWeight::from_slices(slices, &self.inputs, &self.placement)?,
        };
        self.is_merged = false;
        Ok(())
    }

    fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        self.write_table(slots)
    }
}
