//! A matrix product with a weight, and the one place where adapters (and shards) attach.

use super::{
    adapted::{Adapt, Added, Changes},
    adapter_rows::{AdapterRows, Group},
    change::Change,
    host,
    weight::{Place, Weight},
};
use crate::{
    Error, Result,
    adapters::{AdapterId, AdapterTensors, Role},
    kernels::{
        Activations,
        parallel::{SharedRows, for_each_chunk, threads},
    },
    load::{Weights, matrix::Matrix},
};
use candle_core::Tensor;
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// `y = x Wᵀ + b`, and for rows with an adapter what that changes.
///
/// On the CPU activations are f32 whatever the weights' format, and the product is ours, or
/// candle's for quantised blocks other than Q8_0. Elsewhere both are tensors of one format.
pub struct Linear {
    /// Output features one after another. More than one where they are quantised differently.
    pieces: Vec<Piece>,
    /// What transformers calls its parts, in the same order.
    modules: Vec<Module>,
    place: Place,
    changes: Changes<Change>,
    /// Whether one of them is in the weights.
    is_merged: bool,
}

/// A part of a product that the checkpoint has a name for.
#[derive(Clone)]
pub struct Module {
    /// transformers' name: `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// What kind of module it is.
    pub role: Role,
    /// Its output features among those of the product.
    pub outputs: Range<usize>,
    /// Where its rows lie in the checkpoint, if not in this order.
    pub order: Option<Arc<dyn Fn(usize) -> usize + Send + Sync>>,
    /// Whether the checkpoint keeps it as `[inputs, outputs]`.
    pub transposed: bool,
}

struct Piece {
    outputs: Range<usize>,
    /// What the weight is made of, to be read again.
    matrix: Matrix,
    bias: Option<Vec<f32>>,
    /// The weight as an embedding keeps it in memory, where it is one.
    shared: Option<Arc<Weight>>,
    /// The weight and bias in use: those above, or with an adapter merged into them.
    used: Used,
}

#[derive(Clone)]
struct Used {
    weight: Arc<Weight>,
    bias: Option<Vec<f32>>,
    /// The bias on a device.
    bias_tensor: Option<Tensor>,
}

impl Linear {
    /// A product with matrices stacked below one another, and their biases. Each has a module.
    pub fn new(
        weights: &Weights,
        modules: Vec<Module>,
        parts: &[Matrix],
        biases: Vec<Option<Vec<f32>>>,
    ) -> Result<Self> {
        let place = Place::of(weights);
        let pieces = match Matrix::stack(parts) {
            Some(whole) => {
                let joined: Vec<f32> = biases.into_iter().flatten().flatten().collect();
                let bias = (!joined.is_empty()).then_some(joined);
                vec![Piece::new(0, whole, bias, &place)?]
            }
            None => parts
                .iter()
                .zip(biases)
                .zip(&modules)
                .map(|((part, bias), module)| {
                    Piece::new(module.outputs.start, part.clone(), bias, &place)
                })
                .collect::<Result<_>>()?,
        };
        Ok(Self { pieces, modules, place, changes: Changes::none(), is_merged: false })
    }

    /// Loads `weight` `[outputs, inputs]` (and `bias`) under each of `names` and stacks them.
    pub fn load(
        weights: &Weights,
        names: &[(&str, usize)],
        inputs: usize,
        bias: bool,
        transposed: bool,
    ) -> Result<Self> {
        let (mut modules, mut parts, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for &(name, outputs) in names {
            let place = weights.at(name);
            modules.push(Module {
                name: place.module(),
                role: Role::Projection,
                outputs: start..start + outputs,
                order: None,
                transposed,
            });
            start += outputs;
            parts.push(place.matrix("weight", outputs, inputs, transposed)?);
            biases.push(bias.then(|| place.vector("bias", outputs)).transpose()?);
        }
        Self::new(weights, modules, &parts, biases)
    }

    /// The product with a table's rows: the LM head of a model whose head is its embedding.
    pub fn tied(name: String, matrix: Matrix, weight: Arc<Weight>, place: Place) -> Self {
        let outputs = 0..matrix.rows;
        let module = Module {
            name,
            role: Role::Head,
            outputs: outputs.clone(),
            order: None,
            transposed: false,
        };
        let shared = Some(Arc::clone(&weight));
        let used = Used { weight, bias: None, bias_tensor: None };
        let piece = Piece { outputs, matrix, bias: None, shared, used };
        Self {
            pieces: vec![piece],
            modules: vec![module],
            place,
            changes: Changes::none(),
            is_merged: false,
        }
    }

    /// The same, its modules being of these kinds rather than projections.
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.modules.iter_mut().zip(roles).for_each(|(module, role)| module.role = role);
        self
    }

    /// Input features.
    pub fn inputs(&self) -> usize {
        self.pieces.first().map_or(0, |piece| piece.matrix.columns)
    }

    /// Output features.
    pub fn outputs(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.outputs.end)
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: &Tensor, rows: &AdapterRows) -> Result<Tensor> {
        let changes: Vec<(&Change, &Group)> = rows
            .groups()
            .iter()
            .filter_map(|group| Some((self.changes.of(group.adapter)?, group)))
            .collect();
        if host::computes(x.device()) {
            let y = host::with_slice(x, |x| {
                let x = Activations::new(x, self.inputs());
                let mut y = self.on_host(&x)?;
                change_on_host(&changes, &x, &mut y, self.outputs())?;
                Ok::<_, Error>(y)
            })??;
            return host::rows(y, self.outputs());
        }
        let mut y = self.on_device(x)?;
        for (change, group) in changes {
            y = change.on_device(x, y, group)?;
        }
        Ok(y)
    }

    fn on_host(&self, x: &Activations<'_>) -> Result<Vec<f32>> {
        if let [piece] = &self.pieces[..] {
            return piece.used.weight.on_host(x, piece.used.bias.as_deref());
        }
        let width = self.outputs();
        let mut y = vec![0f32; x.rows() * width];
        for piece in &self.pieces {
            let part = piece.used.weight.on_host(x, piece.used.bias.as_deref())?;
            let rows = y.chunks_exact_mut(width).zip(part.chunks_exact(piece.outputs.len()));
            rows.for_each(|(row, part)| row[piece.outputs.clone()].copy_from_slice(part));
        }
        Ok(y)
    }

    fn on_device(&self, x: &Tensor) -> Result<Tensor> {
        let product = |piece: &Piece| {
            let y = piece.used.weight.on_device(x)?;
            Ok(match &piece.used.bias_tensor {
                Some(bias) => y.broadcast_add(bias)?,
                None => y,
            })
        };
        let mut parts = self.pieces.iter().map(product).collect::<Result<Vec<_>>>()?;
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(Tensor::cat(&parts, 1)?),
        }
    }
}

/// Lets each adapter change its own rows: side by side where that keeps all threads busy.
fn change_on_host(
    changes: &[(&Change, &Group)],
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
    if changes.len() < 2 || most * threads() > all {
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

impl Piece {
    fn new(start: usize, matrix: Matrix, bias: Option<Vec<f32>>, place: &Place) -> Result<Self> {
        let used = Used::new(&matrix, bias.clone(), place)?;
        Ok(Self { outputs: start..start + matrix.rows, matrix, bias, shared: None, used })
    }
}

impl Used {
    fn new(matrix: &Matrix, bias: Option<Vec<f32>>, place: &Place) -> Result<Self> {
        let weight = Weight::new(matrix, place)?;
        let bias_tensor = place.upload(bias.as_deref())?;
        Ok(Self { weight: Arc::new(weight), bias, bias_tensor })
    }
}

impl Adapt for Linear {
    fn attach(&mut self, id: AdapterId, tensors: &mut AdapterTensors) -> Result<Added> {
        let base: Vec<_> =
            self.pieces.iter().map(|piece| (&piece.matrix, piece.bias.as_deref())).collect();
        let (change, added) = Change::load(tensors, &self.modules, &base, &self.place)?;
        if let Some(change) = change {
            self.changes.add(id, change);
        }
        Ok(added)
    }

    fn detach(&mut self, id: AdapterId) {
        self.changes.forget(id);
    }

    fn merge(&mut self, id: AdapterId) -> Result<()> {
        let Some(change) = self.changes.of(id) else { return Ok(()) };
        let merged = self
            .pieces
            .iter()
            .map(|piece| {
                let matrix = change.merged_matrix(&piece.matrix, piece.outputs.clone())?;
                let bias = change.merged_bias(piece.bias.as_deref(), piece.outputs.clone());
                Used::new(&matrix, bias, &self.place)
            })
            .collect::<Result<Vec<_>>>()?;
        self.pieces.iter_mut().zip(merged).for_each(|(piece, merged)| piece.used = merged);
        self.is_merged = true;
        Ok(())
    }

    fn unmerge(&mut self) -> Result<()> {
        if !self.is_merged {
            return Ok(());
        }
        for piece in &mut self.pieces {
            piece.used = match &piece.shared {
                Some(weight) => Used { weight: Arc::clone(weight), bias: None, bias_tensor: None },
                // Reading the same numbers again gives the same weight, bit by bit.
                None => Used::new(&piece.matrix, piece.bias.clone(), &self.place)?,
            };
        }
        self.is_merged = false;
        Ok(())
    }
}
