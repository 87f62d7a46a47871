//! Whole weights that an adapter puts in place of the base model's, and single rows of tables that were trained.
//!
//! If a tensor has the name of a base model's weight, PEFT loads it into that weight, whether or not
//! `modules_to_save` names the module. That is how an adapter brings the embedding and the head of a resized
//! vocabulary. If embedding and head share one weight, both change. A module of `modules_to_save` is a copy, so only
//! the copy changes.

use super::{AdapterTensors, TensorKind, TensorOrigin};
use crate::{
    Result,
    layers::RowOrder,
    load::matrix::{Matrix, ReadRow},
};
use llem_checkpoint::{ModuleKind, PEFT_PREFIX};
use std::sync::Arc;

/// The largest relative error of rounding to bf16, which has 8 bits of significand.
const BF16_ROUNDING: f32 = 1.0 / 256.0;

/// The module names of an embedding and a head that share one weight.
#[derive(Debug)]
pub(crate) struct Tie {
    pub embedding: String,
    pub head: String,
}

/// A module whose weight an adapter may replace.
#[derive(Clone, Copy)]
pub(crate) struct WholeModule<'a> {
    pub name: &'a str,
    pub role: ModuleKind,
    /// The embedding and head that share this weight, if it is shared.
    pub tie: Option<&'a Tie>,
    /// Number of output features, or of rows of a table.
    pub rows: usize,
    /// Number of input features, or of columns of a table.
    pub columns: usize,
    /// Whether the checkpoint stores the weight as `[columns, rows]`.
    pub transposed: bool,
}

impl WholeModule<'_> {
    /// Returns the vocabulary size if one side of the weight is the vocabulary.
    fn vocabulary(&self) -> Option<usize> {
        matches!(self.role, ModuleKind::Embedding | ModuleKind::Head).then_some(self.rows)
    }

    /// Returns the shape of the weight in the checkpoint.
    fn dims(&self) -> [usize; 2] {
        if self.transposed { [self.columns, self.rows] } else { [self.rows, self.columns] }
    }
}

/// The rows of a base model's weight that a rank has.
pub(crate) struct BaseRows<'a> {
    /// Reads a row. `None` if the rows are quantised, because quantised rows are rounded.
    pub read: Option<ReadRow>,
    /// Number of rows.
    pub count: usize,
    /// Maps a row to its index in the whole weight. `None` means that the rows are the first ones.
    pub order: Option<&'a RowOrder>,
}

impl BaseRows<'_> {
    /// Creates the rows of a weight that this rank has whole.
    pub(crate) fn from_matrix(matrix: &Matrix) -> Result<Self> {
        let read = if matrix.is_quantised() { None } else { Some(matrix.widened()?) };
        Ok(Self { read, count: matrix.rows, order: None })
    }

    /// Returns the index of a row in the whole weight.
    fn whole_row(&self, row: usize) -> usize {
        self.order.map_or(row, |order| order(row))
    }
}

/// A whole weight of an adapter.
pub(crate) enum WholeWeight {
    /// The weight of a module that `modules_to_save` names.
    Saved(Matrix),
    /// A weight that replaces the base model's. Both may be equal.
    InPlace(Matrix),
}

/// Trained rows of a table (`trainable_token_indices`).
pub(crate) struct TrainedTokens {
    /// Indices of the rows.
    rows: Vec<usize>,
    /// The rows' numbers, `[rows, hidden]`.
    numbers: Vec<f32>,
}

impl TrainedTokens {
    /// Returns the number of parameters.
    pub(crate) fn numbers(&self) -> usize {
        self.numbers.len()
    }

    /// Returns the table with these rows in place of its own.
    pub(crate) fn apply_to(self, table: &Matrix, base: &BaseRows<'_>) -> Result<Matrix> {
        let (read, order) = (table.widened()?, base.order.cloned());
        let columns = table.columns;
        let read = move |row: usize, first: usize, out: &mut [f32]| {
            let whole = order.as_ref().map_or(row, |order| order(row));
            // If a row is named twice, the last one counts, as in torch's index_copy.
            match self.rows.iter().rposition(|&changed| changed == whole) {
                Some(index) => {
                    out.copy_from_slice(&self.numbers[index * columns + first..][..out.len()])
                }
                None => read(row, first, out),
            }
        };
        Ok(Matrix::from_numbers(table.rows, columns, Arc::new(read)))
    }
}

impl AdapterTensors {
    /// Returns the whole weight that replaces a module's weight, or `None` if the adapter has none.
    ///
    /// # Errors
    /// The tensor is missing, has another shape or contains NaN or infinity.
    pub(crate) fn whole_weight(&mut self, module: WholeModule<'_>) -> Result<Option<WholeWeight>> {
        self.asked.insert(module.name.to_owned());
        let is_saved = self.config.saves(module.name);
        let Some(source) = self.source_module(module)? else { return Ok(None) };
        let Some(name) = self.take_shared(&source, TensorKind::Weight) else { return Ok(None) };
        if source != module.name {
            // PEFT loads this tensor first and then overwrites it.
            self.take_name(module.name, TensorKind::Weight);
        }
        let dims = module.dims();
        if let Some(vocabulary) = module.vocabulary() {
            self.check_vocabulary(&name, vocabulary, &dims)?;
        }
        let TensorOrigin::File { file, .. } = &self.origin else { return Ok(None) };
        let raw = file.find(&name, &dims, "the base model's weight there is")?;
        let WholeModule { rows, columns, transposed, .. } = module;
        let read = move |row: usize, first: usize, out: &mut [f32]| {
            raw.read_row(row, first, [rows, columns], transposed, out);
        };
        let mut numbers = vec![0f32; columns];
        for row in 0..rows {
            read(row, 0, &mut numbers);
            self.check_finite(&name, &numbers)?;
        }
        let matrix = Matrix::from_numbers(rows, columns, Arc::new(read));
        Ok(Some(if is_saved { WholeWeight::Saved(matrix) } else { WholeWeight::InPlace(matrix) }))
    }

    /// Returns the module under whose name a module's whole weight is stored, or `None` if the adapter has no such
    /// weight.
    fn source_module(&self, module: WholeModule<'_>) -> Result<Option<String>> {
        if self.config.saves(module.name) {
            return match self.has_tensor(module.name, TensorKind::Weight) {
                true => Ok(Some(module.name.to_owned())),
                false => Err(self.file_error(&format!(
                    "tensor {PEFT_PREFIX}{}.weight is missing, though modules_to_save names it",
                    module.name
                ))),
            };
        }
        let Some(tie) = module.tie else { return Ok(Some(module.name.to_owned())) };
        // PEFT loads the head after the embedding, so both become the head's tensor.
        let in_place =
            |name: &&String| self.has_tensor(name, TensorKind::Weight) && !self.config.saves(name);
        let Some(source) = [&tie.head, &tie.embedding].into_iter().find(in_place) else {
            return Ok(None);
        };
        match self.config.targets(module.name, module.role) {
            true => Err(self.file_error(&format!(
                "it holds a whole weight of {source}, which is also the weight of {}, and factors beside it, which is not supported: merge it with PEFT's merge_and_unload and load the saved model",
                module.name
            ))),
            false => Ok(Some(source.clone())),
        }
    }

    /// Returns the trained rows of a table, or `None` if the adapter has none.
    ///
    /// # Errors
    /// The config does not name the rows, a row is outside the table, or the tensor has another shape or contains NaN
    /// or infinity.
    pub(crate) fn trained_tokens(
        &mut self,
        module: WholeModule<'_>,
    ) -> Result<Option<TrainedTokens>> {
        let own = self.has_tensor(module.name, TensorKind::Tokens).then_some(module.name);
        let tied = module.tie.map(|tie| &*tie.embedding);
        let tied = tied.filter(|embedding| self.has_tensor(embedding, TensorKind::Tokens));
        let Some(source) = own.or(tied).map(ToOwned::to_owned) else { return Ok(None) };
        let Some(name) = self.take_shared(&source, TensorKind::Tokens) else { return Ok(None) };
        let Some(rows) = self.config.trained_tokens(&source).map(<[usize]>::to_vec) else {
            return Err(self.file_error(&format!(
                "tensor {name} is there, but trainable_token_indices does not name its tokens"
            )));
        };
        if let Some(row) = rows.iter().find(|row| **row >= module.rows) {
            return Err(self.file_error(&format!(
                "trainable_token_indices names token {row}, but the base model has {}: give the base model that it was trained on, its vocabulary resized alike",
                module.rows
            )));
        }
        let dims = [rows.len(), module.columns];
        let TensorOrigin::File { file, .. } = &self.origin else { return Ok(None) };
        let raw = file.find(&name, &dims, "its config and the base model imply")?;
        let numbers = raw.vector(dims.iter().product());
        self.check_finite(&name, &numbers)?;
        Ok(Some(TrainedTokens { rows, numbers }))
    }

    /// Returns the vector `[len]` that replaces a norm's gain, or `None` if the adapter has none.
    pub(crate) fn gain(&mut self, module: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.asked.insert(module.to_owned());
        if self.config.saves(module) && self.name(module, TensorKind::Weight).is_none() {
            return Err(self.file_error(&format!(
                "tensor {PEFT_PREFIX}{module}.weight is missing, though modules_to_save names it"
            )));
        }
        self.vector(module, TensorKind::Weight, len)
    }

    /// Returns the vector `[len]` that replaces a module's bias (`bias` and `modules_to_save`), or `None` if the
    /// adapter has none.
    pub(crate) fn bias(&mut self, module: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.vector(module, TensorKind::Bias, len)
    }

    fn vector(&mut self, module: &str, part: TensorKind, len: usize) -> Result<Option<Vec<f32>>> {
        let Some(name) = self.take_name(module, part) else { return Ok(None) };
        let TensorOrigin::File { file, .. } = &self.origin else { return Ok(None) };
        let numbers = file.find(&name, &[len], "the base model implies")?.vector(len);
        self.check_finite(&name, &numbers)?;
        Ok(Some(numbers))
    }

    /// Refuses an adapter that also contains the base model's weight of a module, if that weight differs from the
    /// model's. The adapter was then made for a resized vocabulary or for another model. Differences up to the
    /// rounding of bf16 are allowed.
    pub(crate) fn check_base(
        &mut self,
        module: WholeModule<'_>,
        base: &BaseRows<'_>,
    ) -> Result<()> {
        let beside = self.config.targets(module.name, module.role).then_some(TensorKind::Weight);
        for part in [Some(TensorKind::Base), beside].into_iter().flatten() {
            let Some(name) = self.take_name(module.name, part) else { continue };
            let dims = module.dims();
            if let Some(vocabulary) = module.vocabulary() {
                self.check_vocabulary(&name, vocabulary, &dims)?;
            }
            let TensorOrigin::File { file, .. } = &self.origin else { return Ok(()) };
            let raw = file.find(&name, &dims, "the base model's is")?;
            let Some(read) = &base.read else { continue };
            let (mut ours, mut theirs) = (vec![0f32; module.columns], vec![0f32; module.columns]);
            for row in 0..base.count {
                read(row, 0, &mut ours);
                let shape = [module.rows, module.columns];
                raw.read_row(base.whole_row(row), 0, shape, module.transposed, &mut theirs);
                let differ = |(ours, theirs): (&f32, &f32)| {
                    (ours - theirs).abs() > BF16_ROUNDING * ours.abs().max(theirs.abs())
                };
                if ours.iter().zip(&theirs).any(differ) {
                    return Err(self.file_error(&format!(
                        "tensor {name} is not the base model's weight: the adapter was made for another model, or for a resized vocabulary; give that model, or merge the adapter there with PEFT's merge_and_unload and load what is saved"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Returns true if the file has this tensor, taken or not.
    fn has_tensor(&self, module: &str, part: TensorKind) -> bool {
        let TensorOrigin::File { shared, .. } = &self.origin else { return false };
        self.name(module, part).is_some() || shared.contains_key(&(module.to_owned(), part))
    }

    /// Takes a tensor that other modules may take too, and returns its name in the file.
    fn take_shared(&mut self, module: &str, part: TensorKind) -> Option<String> {
        let key = (module.to_owned(), part);
        let taken = self.take_name(module, part);
        let TensorOrigin::File { shared, .. } = &mut self.origin else { return None };
        if let Some(name) = taken {
            shared.insert(key, name.clone());
            return Some(name);
        }
        shared.get(&key).cloned()
    }
}

/// Returns true if the rows of `matrix` are equal to the base model's rows to the last bit.
pub(crate) fn is_same(matrix: &Matrix, base: &BaseRows<'_>) -> Result<bool> {
    let Some(read_base) = &base.read else { return Ok(false) };
    let read = matrix.widened()?;
    let (mut ours, mut theirs) = (vec![0f32; matrix.columns], vec![0f32; matrix.columns]);
    for row in 0..base.count {
        read_base(row, 0, &mut ours);
        read(row, 0, &mut theirs);
        if ours != theirs {
            return Ok(false);
        }
    }
    Ok(true)
}
