//! Taking from an adapter what it says of one product.

use super::{Change, Saved};
use crate::{
    Result,
    adapters::{AdapterTensors, BaseRows, Factors, Whole, is_same},
    cpu::parallel::{SharedRows, for_each_chunk},
    layers::{
        adapted::Added,
        features::{Inputs, Module},
        low_rank::{Block, Expansion, LowRank, Sharing},
        weight::{Placement, Weight},
    },
    load::matrix::{Matrix, ReadRow},
};
use std::{ops::Range, sync::Arc};

impl Change {
    /// Takes from an adapter what it says of a product's modules; `base` are the product's matrices
    /// and biases, which together hold the modules' outputs, and all inputs.
    pub fn load(
        tensors: &mut AdapterTensors,
        modules: &[Module],
        base: &[(&Matrix, Option<&[f32]>)],
        inputs: &Inputs,
        place: &Placement,
    ) -> Result<(Option<Self>, Added)> {
        let outputs = modules.last().map_or(0, |module| module.outputs.end);
        let bias: Vec<f32> = base.iter().filter_map(|(_, bias)| *bias).flatten().copied().collect();
        let mut taken = Taken {
            base,
            bias: (bias.len() == outputs).then_some(bias),
            inputs,
            outputs,
            place,
            blocks: Vec::new(),
            gain: None,
            shift: None,
            saved: Vec::new(),
            added: Added::default(),
        };
        for module in modules {
            let changes = [
                taken.factors(tensors, module)?,
                taken.saved(tensors, module)? || taken.bias(tensors, module)?,
            ];
            taken.added.modules += usize::from(changes.contains(&true));
        }
        taken.finish()
    }
}

/// What has been taken so far.
struct Taken<'a> {
    base: &'a [(&'a Matrix, Option<&'a [f32]>)],
    /// The base model's, of all outputs.
    bias: Option<Vec<f32>>,
    inputs: &'a Inputs,
    outputs: usize,
    place: &'a Placement,
    blocks: Vec<Block>,
    gain: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
    saved: Vec<Saved>,
    added: Added,
}

impl Taken<'_> {
    /// Takes low-rank factors, if there are any.
    fn factors(&mut self, tensors: &mut AdapterTensors, module: &Module) -> Result<bool> {
        // PEFT repeats the weight of an LM head that it changes, and other programs those of all modules.
        tensors.check_base(module.whole(self.inputs.all), &self.base_rows(module)?)?;
        let (inputs, taken) = (self.inputs.all, self.inputs.taken.clone());
        let factors = tensors.factors(&module.name, module.role, module.whole, inputs)?;
        let Some(factors) = factors else { return Ok(false) };
        self.added.count_factors(&factors, self.place);
        let factors = in_order(factors, module);
        if let Some(magnitude) = &factors.magnitude {
            let rows = rows_of(self.base, &module.outputs)?;
            let norms = norms(&*rows, &factors, inputs)?;
            let gain = self.gain.get_or_insert_with(|| vec![1f32; self.outputs]);
            let gains = magnitude.iter().zip(norms).map(|(magnitude, norm)| magnitude / norm);
            gain[module.outputs.clone()].iter_mut().zip(gains).for_each(|(gain, new)| *gain = new);
        }
        if let Some(bias) = &factors.bias {
            self.shift(&module.outputs, bias);
        }
        let Factors { down, up, .. } = factors;
        let down = down.chunks_exact(inputs).flat_map(|row| &row[taken.clone()]).copied().collect();
        self.blocks.push(Block { outputs: module.outputs.clone(), down, up });
        Ok(true)
    }

    /// Takes a whole weight with its bias, if there is one.
    fn saved(&mut self, tensors: &mut AdapterTensors, module: &Module) -> Result<bool> {
        let outputs = &module.outputs;
        let whole = module.whole(self.inputs.all);
        let all = whole.rows * whole.columns;
        let in_order = |matrix: Matrix| match module.order.clone() {
            Some(order) => matrix.select(outputs.len(), move |row| order(row)),
            None => matrix,
        };
        let base = self.base_rows(module)?;
        let (numbers, matrix) = match (tensors.tokens(whole)?, tensors.whole(whole)?) {
            (Some(tokens), _) => {
                let table = rows_of(self.base, outputs)?;
                let table = Matrix::of_numbers(outputs.len(), whole.columns, table);
                (tokens.numbers(), tokens.over(&table, &base)?)
            }
            (None, Some(Whole::Saved(matrix))) => (all, in_order(matrix)),
            (None, Some(Whole::InPlace(matrix))) => {
                let matrix = in_order(matrix);
                if is_same(&matrix, &base)? {
                    return Ok(false);
                }
                (all, matrix)
            }
            (None, None) => return Ok(false),
        };
        self.added.count_saved(numbers, all, self.place);
        let matrix = matrix.columns(self.inputs.taken.clone())?;
        let bias = match new_bias(tensors, module)? {
            Some(bias) => Some(bias),
            None => self.bias.as_ref().map(|bias| bias[outputs.clone()].to_vec()),
        };
        let bias = bias.filter(|_| self.inputs.has_vectors(self.place));
        let weight = Weight::new(&matrix, self.place)?;
        let device_bias = self.place.upload(bias.as_deref())?;
        self.saved.push(Saved { outputs: outputs.clone(), matrix, weight, bias, device_bias });
        Ok(true)
    }

    /// The base model's rows of a module.
    fn base_rows<'m>(&self, module: &'m Module) -> Result<BaseRows<'m>> {
        let is_quantised = self.base.iter().any(|(matrix, _)| matrix.is_quantised());
        let read = match is_quantised {
            true => None,
            false => Some(rows_of(self.base, &module.outputs)?),
        };
        Ok(BaseRows { read, count: module.outputs.len(), order: module.order.as_ref() })
    }

    /// Takes a bias that was trained where the weight was not, if there is one.
    fn bias(&mut self, tensors: &mut AdapterTensors, module: &Module) -> Result<bool> {
        let Some(new) = new_bias(tensors, module)? else { return Ok(false) };
        let Some(old) = &self.bias else {
            return Err(tensors.bad(&format!(
                "it holds a bias for {}, which has none in the base model",
                module.name
            )));
        };
        let old = &old[module.outputs.clone()];
        let difference: Vec<f32> = new.iter().zip(old).map(|(new, old)| new - old).collect();
        self.added.count_vector(module.whole);
        self.shift(&module.outputs, &difference);
        Ok(true)
    }

    fn shift(&mut self, outputs: &Range<usize>, numbers: &[f32]) {
        let shift = self.shift.get_or_insert_with(|| vec![0f32; self.outputs]);
        let shift = shift[outputs.clone()].iter_mut();
        shift.zip(numbers).for_each(|(shift, number)| *shift += number);
    }

    fn finish(self) -> Result<(Option<Change>, Added)> {
        let Self { outputs, place, gain, shift, saved, added, .. } = self;
        let (inputs, has_vectors) = (self.inputs.taken.len(), self.inputs.has_vectors(place));
        let sharing = Sharing::of(self.inputs, outputs, place);
        let low_rank = match &self.blocks[..] {
            [] => None,
            _ => Some(LowRank::new(self.blocks, inputs, outputs, sharing, place)?),
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
        let on_device = [place.upload_f32(gain.as_deref())?, place.upload_f32(rest.as_deref())?];
        let change = Change { low_rank, gain, shift, rest, saved, inputs, outputs, on_device };
        Ok(((added.modules > 0).then_some(change), added))
    }
}

/// A trained bias with its outputs in the product's order.
fn new_bias(tensors: &mut AdapterTensors, module: &Module) -> Result<Option<Vec<f32>>> {
    let bias = tensors.bias(&module.name, module.whole)?;
    let count = module.outputs.len();
    Ok(match (bias, &module.order) {
        (Some(bias), Some(order)) => Some((0..count).map(|row| bias[order(row)]).collect()),
        (bias, _) => bias,
    })
}

/// Factors with their outputs in the product's order.
fn in_order(factors: Factors, module: &Module) -> Factors {
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

/// How rows of the base weight are read, counted from the first of `outputs`.
fn rows_of(base: &[(&Matrix, Option<&[f32]>)], outputs: &Range<usize>) -> Result<ReadRow> {
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

/// Output features whose `B A` is held at a time.
const NORM_ROWS: usize = 1024;

/// The norms of the rows of W + B A.
fn norms(
    base: &(dyn Fn(usize, usize, &mut [f32]) + Sync),
    factors: &Factors,
    inputs: usize,
) -> Result<Vec<f32>> {
    let expansion = Expansion::new(&factors.down, factors.rank, inputs);
    let mut norms = vec![0f32; factors.up.len() / factors.rank];
    for (chunk, norms) in norms.chunks_mut(NORM_ROWS).enumerate() {
        let first = chunk * NORM_ROWS;
        let up = &factors.up[first * factors.rank..][..norms.len() * factors.rank];
        let change = expansion.rows(up)?;
        let count = norms.len();
        let target = SharedRows::over(norms, 1);
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
