//! Loading the change that an adapter makes to one linear layer.

use super::{LinearAdapter, SavedWeight};
use crate::{
    Result,
    adapters::{AdapterTensors, BaseRows, Factors, WholeWeight, is_same},
    cpu::threads::{SharedRows, for_each_chunk},
    layers::{
        adapter_target::AdapterTotals,
        linear_spec::{InputFeatures, LinearModule},
        low_rank::{FactorSharding, LowRank, ModuleFactors, PackedFactor},
        placement::Placement,
        weight::Weight,
    },
    load::matrix::{Matrix, ReadRow},
};
use std::{ops::Range, sync::Arc};

impl LinearAdapter {
    /// Loads what an adapter changes about a linear layer. `base` are the layer's matrices and biases, with all
    /// outputs of `modules` and all inputs. Returns `None` instead of a change if the adapter does not name the
    /// layer.
    pub(crate) fn load(
        tensors: &mut AdapterTensors,
        modules: &[LinearModule],
        base: &[(&Matrix, Option<&[f32]>)],
        inputs: &InputFeatures,
        placement: &Placement,
    ) -> Result<(Option<Self>, AdapterTotals)> {
        let outputs = modules.last().map_or(0, |module| module.outputs.end);
        let bias: Vec<f32> = base.iter().filter_map(|(_, bias)| *bias).flatten().copied().collect();
        let mut loader = LinearAdapterLoader {
            base,
            bias: (bias.len() == outputs).then_some(bias),
            inputs,
            outputs,
            placement,
            blocks: Vec::new(),
            gain: None,
            shift: None,
            saved: Vec::new(),
            added: AdapterTotals::default(),
        };
        for module in modules {
            let changes = [
                loader.take_factors(tensors, module)?,
                loader.take_saved(tensors, module)? || loader.take_bias(tensors, module)?,
            ];
            loader.added.modules += usize::from(changes.contains(&true));
        }
        loader.finish()
    }
}

/// The parts of a change that have been loaded so far.
struct LinearAdapterLoader<'a> {
    base: &'a [(&'a Matrix, Option<&'a [f32]>)],
    /// The base model's bias of all outputs, if the layer has one.
    bias: Option<Vec<f32>>,
    inputs: &'a InputFeatures,
    outputs: usize,
    placement: &'a Placement,
    blocks: Vec<ModuleFactors>,
    gain: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
    saved: Vec<SavedWeight>,
    added: AdapterTotals,
}

impl LinearAdapterLoader<'_> {
    /// Loads the low-rank factors of a module. Returns false if there are none.
    fn take_factors(
        &mut self,
        tensors: &mut AdapterTensors,
        module: &LinearModule,
    ) -> Result<bool> {
        // PEFT repeats the weight of an LM head that it changes. Other programs repeat the weights of all modules.
        tensors.check_base(module.to_whole_module(self.inputs.total), &self.base_rows(module)?)?;
        let (inputs, own) = (self.inputs.total, self.inputs.own.clone());
        let factors =
            tensors.factors(&module.name, module.role, module.checkpoint_outputs, inputs)?;
        let Some(factors) = factors else { return Ok(false) };
        self.added.count_factors(&factors, self.placement);
        let factors = in_row_order(factors, module);
        if let Some(magnitude) = &factors.magnitude {
            let rows = base_row_reader(self.base, &module.outputs)?;
            let norms = compute_row_norms(&*rows, &factors, inputs)?;
            let gain = self.gain.get_or_insert_with(|| vec![1f32; self.outputs]);
            let gains = magnitude.iter().zip(norms).map(|(magnitude, norm)| magnitude / norm);
            gain[module.outputs.clone()].iter_mut().zip(gains).for_each(|(gain, new)| *gain = new);
        }
        if let Some(bias) = &factors.bias {
            self.add_shift(&module.outputs, bias);
        }
        let Factors { down, up, .. } = factors;
        let down = down.chunks_exact(inputs).flat_map(|row| &row[own.clone()]).copied().collect();
        self.blocks.push(ModuleFactors { outputs: module.outputs.clone(), down, up });
        Ok(true)
    }

    /// Loads a weight that replaces the module's, with its bias. Returns false if there is none.
    fn take_saved(&mut self, tensors: &mut AdapterTensors, module: &LinearModule) -> Result<bool> {
        let outputs = &module.outputs;
        let whole = module.to_whole_module(self.inputs.total);
        let all = whole.rows * whole.columns;
        let in_row_order = |matrix: Matrix| match module.order.clone() {
            Some(order) => matrix.select(outputs.len(), move |row| order(row)),
            None => matrix,
        };
        let base = self.base_rows(module)?;
        let (numbers, matrix) = match (tensors.trained_tokens(whole)?, tensors.whole_weight(whole)?)
        {
            (Some(tokens), _) => {
                let table = base_row_reader(self.base, outputs)?;
                let table = Matrix::from_numbers(outputs.len(), whole.columns, table);
                (tokens.numbers(), tokens.apply_to(&table, &base)?)
            }
            (None, Some(WholeWeight::Saved(matrix))) => (all, in_row_order(matrix)),
            (None, Some(WholeWeight::InPlace(matrix))) => {
                let matrix = in_row_order(matrix);
                if is_same(&matrix, &base)? {
                    return Ok(false);
                }
                (all, matrix)
            }
            (None, None) => return Ok(false),
        };
        self.added.count_saved(numbers, all, self.placement);
        let matrix = matrix.columns(self.inputs.own.clone())?;
        let bias = match trained_bias(tensors, module)? {
            Some(bias) => Some(bias),
            None => self.bias.as_ref().map(|bias| bias[outputs.clone()].to_vec()),
        };
        let bias = bias.filter(|_| self.inputs.has_vectors(self.placement));
        let weight = Weight::new(&matrix, self.placement)?;
        let device_bias = self.placement.upload(bias.as_deref())?;
        self.saved.push(SavedWeight {
            outputs: outputs.clone(),
            matrix,
            weight,
            bias,
            device_bias,
        });
        Ok(true)
    }

    /// Returns a reader of the module's rows in the base model.
    fn base_rows<'m>(&self, module: &'m LinearModule) -> Result<BaseRows<'m>> {
        let is_quantised = self.base.iter().any(|(matrix, _)| matrix.is_quantised());
        let read = match is_quantised {
            true => None,
            false => Some(base_row_reader(self.base, &module.outputs)?),
        };
        Ok(BaseRows { read, count: module.outputs.len(), order: module.order.as_ref() })
    }

    /// Loads a bias that was trained while the weight was not. Returns false if there is none.
    ///
    /// # Errors
    /// Returns an error if the base model's module has no bias.
    fn take_bias(&mut self, tensors: &mut AdapterTensors, module: &LinearModule) -> Result<bool> {
        let Some(new) = trained_bias(tensors, module)? else { return Ok(false) };
        let Some(old) = &self.bias else {
            return Err(tensors.file_error(&format!(
                "it holds a bias for {}, which has none in the base model",
                module.name
            )));
        };
        let old = &old[module.outputs.clone()];
        let difference: Vec<f32> = new.iter().zip(old).map(|(new, old)| new - old).collect();
        self.added.count_vector(module.checkpoint_outputs);
        self.add_shift(&module.outputs, &difference);
        Ok(true)
    }

    fn add_shift(&mut self, outputs: &Range<usize>, numbers: &[f32]) {
        let shift = self.shift.get_or_insert_with(|| vec![0f32; self.outputs]);
        let shift = shift[outputs.clone()].iter_mut();
        shift.zip(numbers).for_each(|(shift, number)| *shift += number);
    }

    fn finish(self) -> Result<(Option<LinearAdapter>, AdapterTotals)> {
        let Self { outputs, placement, gain, shift, saved, added, .. } = self;
        let (inputs, has_vectors) = (self.inputs.own.len(), self.inputs.has_vectors(placement));
        let sharing = FactorSharding::new(self.inputs, outputs, placement);
        let low_rank = match &self.blocks[..] {
            [] => None,
            _ => Some(LowRank::new(self.blocks, inputs, outputs, sharing, placement)?),
        };
        // g (y - b) + b + s = g y + (1 - g) b + s
        let rest = (has_vectors && (gain.is_some() || shift.is_some())).then(|| {
            let number = |numbers: &Option<Vec<f32>>, index: usize, other: f32| {
                numbers.as_ref().map_or(other, |numbers| numbers[index])
            };
            let rest = |index: usize| {
                let kept = 1.0 - number(&gain, index, 1.0);
                kept * number(&self.bias, index, 0.0) + number(&shift, index, 0.0)
            };
            (0..outputs).map(rest).collect::<Vec<f32>>()
        });
        let on_device =
            [placement.upload_f32(gain.as_deref())?, placement.upload_f32(rest.as_deref())?];
        let change =
            LinearAdapter { low_rank, gain, shift, rest, saved, inputs, outputs, on_device };
        Ok(((added.modules > 0).then_some(change), added))
    }
}

/// Returns the trained bias of a module, in the order of the layer's outputs.
fn trained_bias(tensors: &mut AdapterTensors, module: &LinearModule) -> Result<Option<Vec<f32>>> {
    let bias = tensors.bias(&module.name, module.checkpoint_outputs)?;
    let count = module.outputs.len();
    Ok(match (bias, &module.order) {
        (Some(bias), Some(order)) => Some((0..count).map(|row| bias[order(row)]).collect()),
        (bias, _) => bias,
    })
}

/// Sorts factors into the order of the layer's outputs.
fn in_row_order(factors: Factors, module: &LinearModule) -> Factors {
    let Some(order) = &module.order else { return factors };
    let count = module.outputs.len();
    let vector = |numbers: Vec<f32>| (0..count).map(|row| numbers[order(row)]).collect();
    let rank = factors.rank;
    let up = (0..count).flat_map(|row| &factors.up[order(row) * rank..][..rank]);
    Factors {
        up: up.copied().collect(),
        bias: factors.bias.map(vector),
        magnitude: factors.magnitude.map(vector),
        ..factors
    }
}

/// Returns a reader of the base weight's rows, counted from the first of `outputs`.
fn base_row_reader(base: &[(&Matrix, Option<&[f32]>)], outputs: &Range<usize>) -> Result<ReadRow> {
    let mut start = 0;
    for (matrix, _) in base {
        if outputs.start < start + matrix.rows {
            let first = outputs.start - start;
            return matrix.select(outputs.len(), move |row| first + row).widened();
        }
        start += matrix.rows;
    }
    Ok(Arc::new(|_, _, _| ()))
}

/// The output features whose `B A` is in memory at a time.
const NORM_ROWS: usize = 1024;

/// Computes the norms of the rows of `W + B A`.
///
/// # Shapes
/// - returns: `[outputs]`
fn compute_row_norms(
    base: &(dyn Fn(usize, usize, &mut [f32]) + Sync),
    factors: &Factors,
    inputs: usize,
) -> Result<Vec<f32>> {
    let expansion = PackedFactor::new(&factors.down, factors.rank, inputs);
    let mut norms = vec![0f32; factors.up.len() / factors.rank];
    for (chunk, norms) in norms.chunks_mut(NORM_ROWS).enumerate() {
        let first = chunk * NORM_ROWS;
        let up = &factors.up[first * factors.rank..][..norms.len() * factors.rank];
        let change = expansion.rows(up)?;
        let count = norms.len();
        let target = SharedRows::from_slice(norms, 1);
        for_each_chunk(count, |range| {
            let mut row = vec![0f32; inputs];
            for index in range {
                base(first + index, 0, &mut row);
                let change = &change[index * inputs..][..inputs];
                let sum: f64 = row.iter().zip(change).map(|(w, d)| f64::from(w + d).powi(2)).sum();
                // SAFETY: an index belongs to one range.
                unsafe { target.write(index, sum.sqrt() as f32) };
            }
        });
    }
    Ok(norms)
}
