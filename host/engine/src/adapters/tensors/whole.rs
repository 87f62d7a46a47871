//! Whole weights that an adapter brings in place of the base model's, and rows of tables that were trained.
//!
//! PEFT puts a tensor of the base model's own name into its weight, whether or not `modules_to_save` names the
//! module: so come the embedding and the head of a vocabulary that a trainer has resized. Where embedding and head
//! are one weight, that changes both; a module of `modules_to_save` is a copy, and changes alone.

use super::{AdapterTensors, Origin, Part};
use crate::{
    Result,
    layers::features::Order,
    load::matrix::{Matrix, ReadRow},
};
use llem_checkpoint::adapters::{PREFIX, Role};
use std::sync::Arc;

/// The largest relative error of rounding to bf16, which has 8 bits of significand.
const BF16_ROUNDING: f32 = 1.0 / 256.0;

/// An embedding and a head that are one weight, by their modules' names.
#[derive(Debug)]
pub struct Tie {
    /// The table of embeddings.
    pub embedding: String,
    /// The LM head.
    pub head: String,
}

/// A module whose weight an adapter may hold whole.
#[derive(Clone, Copy)]
pub struct WholeModule<'a> {
    /// Its name.
    pub name: &'a str,
    /// What kind of module it is.
    pub role: Role,
    /// What it shares its weight with.
    pub tie: Option<&'a Tie>,
    /// Output features; rows of a table.
    pub rows: usize,
    /// Input features; columns of a table.
    pub columns: usize,
    /// Whether the checkpoint keeps it as `[columns, rows]`.
    pub transposed: bool,
}

impl WholeModule<'_> {
    /// Which of its sides is the vocabulary, if one is.
    fn vocabulary(&self) -> Option<usize> {
        matches!(self.role, Role::Embedding | Role::Head).then_some(self.rows)
    }

    /// How the checkpoint keeps it.
    fn dims(&self) -> [usize; 2] {
        if self.transposed { [self.columns, self.rows] } else { [self.rows, self.columns] }
    }
}

/// The rows of the base model's weight that a rank holds.
pub struct BaseRows<'a> {
    /// How they are read; `None` if they are quantised, which rounds them.
    pub read: Option<ReadRow>,
    /// How many they are.
    pub count: usize,
    /// Which they are of the whole weight's; `None` means the first ones.
    pub order: Option<&'a Order>,
}

impl BaseRows<'_> {
    /// All rows of a weight.
    pub fn of(matrix: &Matrix) -> Result<Self> {
        let read = if matrix.is_quantised() { None } else { Some(matrix.widened()?) };
        Ok(Self { read, count: matrix.rows, order: None })
    }

    /// The row of the whole weight.
    fn whole(&self, row: usize) -> usize {
        self.order.map_or(row, |order| order(row))
    }
}

/// A whole weight.
pub enum Whole {
    /// Of a module of `modules_to_save`.
    Saved(Matrix),
    /// In place of the base model's, which it may be equal to.
    InPlace(Matrix),
}

/// Rows of a table that were trained (`trainable_token_indices`).
pub struct Tokens {
    /// Which rows.
    rows: Vec<usize>,
    /// `[rows, hidden]`, one after another.
    numbers: Vec<f32>,
}

impl Tokens {
    /// Numbers that they are.
    pub fn numbers(&self) -> usize {
        self.numbers.len()
    }

    /// The table with these rows in place of its own.
    pub fn over(self, table: &Matrix, base: &BaseRows<'_>) -> Result<Matrix> {
        let (read, order) = (table.widened()?, base.order.cloned());
        let columns = table.columns;
        let read = move |row: usize, first: usize, out: &mut [f32]| {
            let whole = order.as_ref().map_or(row, |order| order(row));
            // Of a row that is named twice, the last counts, as in torch's index_copy.
            match self.rows.iter().rposition(|&changed| changed == whole) {
                Some(index) => {
                    out.copy_from_slice(&self.numbers[index * columns + first..][..out.len()])
                }
                None => read(row, first, out),
            }
        };
        Ok(Matrix::of_numbers(table.rows, columns, Arc::new(read)))
    }
}

impl AdapterTensors {
    /// A whole weight in place of a module's.
    pub fn whole(&mut self, module: WholeModule<'_>) -> Result<Option<Whole>> {
        self.asked.insert(module.name.to_owned());
        let is_saved = self.config.saves(module.name);
        let Some(source) = self.source(module)? else { return Ok(None) };
        let Some(name) = self.take_shared(&source, Part::Weight) else { return Ok(None) };
        if source != module.name {
            // What PEFT loads first and overwrites.
            self.take_name(module.name, Part::Weight);
        }
        let dims = module.dims();
        if let Some(vocabulary) = module.vocabulary() {
            self.check_vocabulary(&name, vocabulary, &dims)?;
        }
        let Origin::File { file, .. } = &self.origin else { return Ok(None) };
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
        let matrix = Matrix::of_numbers(rows, columns, Arc::new(read));
        Ok(Some(if is_saved { Whole::Saved(matrix) } else { Whole::InPlace(matrix) }))
    }

    /// The module under whose name a module's whole weight is kept.
    fn source(&self, module: WholeModule<'_>) -> Result<Option<String>> {
        if self.config.saves(module.name) {
            return match self.holds(module.name, Part::Weight) {
                true => Ok(Some(module.name.to_owned())),
                false => Err(self.bad(&format!(
                    "tensor {PREFIX}{}.weight is missing, though modules_to_save names it",
                    module.name
                ))),
            };
        }
        let Some(tie) = module.tie else { return Ok(Some(module.name.to_owned())) };
        // The head is loaded after the embedding, so that its tensor is what both become.
        let in_place = |name: &&String| self.holds(name, Part::Weight) && !self.config.saves(name);
        let Some(source) = [&tie.head, &tie.embedding].into_iter().find(in_place) else {
            return Ok(None);
        };
        match self.config.targets(module.name, module.role) {
            true => Err(self.bad(&format!(
                "it holds a whole weight of {source}, which is also the weight of {}, and factors beside it, which is not supported: merge it with PEFT's merge_and_unload and load the saved model",
                module.name
            ))),
            false => Ok(Some(source.clone())),
        }
    }

    /// Rows of a table that were trained.
    pub fn tokens(&mut self, module: WholeModule<'_>) -> Result<Option<Tokens>> {
        let own = self.holds(module.name, Part::Tokens).then_some(module.name);
        let tied = module.tie.map(|tie| &*tie.embedding);
        let tied = tied.filter(|embedding| self.holds(embedding, Part::Tokens));
        let Some(source) = own.or(tied).map(ToOwned::to_owned) else { return Ok(None) };
        let Some(name) = self.take_shared(&source, Part::Tokens) else { return Ok(None) };
        let Some(rows) = self.config.tokens(&source).map(<[usize]>::to_vec) else {
            return Err(self.bad(&format!(
                "tensor {name} is there, but trainable_token_indices does not name its tokens"
            )));
        };
        if let Some(row) = rows.iter().find(|row| **row >= module.rows) {
            return Err(self.bad(&format!(
                "trainable_token_indices names token {row}, but the base model has {}: give the base model that it was trained on, its vocabulary resized alike",
                module.rows
            )));
        }
        let dims = [rows.len(), module.columns];
        let Origin::File { file, .. } = &self.origin else { return Ok(None) };
        let raw = file.find(&name, &dims, "its config and the base model imply")?;
        let numbers = raw.vector(dims.iter().product());
        self.check_finite(&name, &numbers)?;
        Ok(Some(Tokens { rows, numbers }))
    }

    /// A whole vector in place of a norm's gain.
    pub fn gain(&mut self, module: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.asked.insert(module.to_owned());
        if self.config.saves(module) && self.name(module, Part::Weight).is_none() {
            return Err(self.bad(&format!(
                "tensor {PREFIX}{module}.weight is missing, though modules_to_save names it"
            )));
        }
        self.vector(module, Part::Weight, len)
    }

    /// A whole bias in place of a module's (`bias` and `modules_to_save`).
    pub fn bias(&mut self, module: &str, len: usize) -> Result<Option<Vec<f32>>> {
        self.vector(module, Part::Bias, len)
    }

    fn vector(&mut self, module: &str, part: Part, len: usize) -> Result<Option<Vec<f32>>> {
        let Some(name) = self.take_name(module, part) else { return Ok(None) };
        let Origin::File { file, .. } = &self.origin else { return Ok(None) };
        let numbers = file.find(&name, &[len], "the base model implies")?.vector(len);
        self.check_finite(&name, &numbers)?;
        Ok(Some(numbers))
    }

    /// Refuses an adapter that repeats another weight than the base model's beside the factors of a module: it was
    /// made for a resized vocabulary, or for another model. Formats of fewer bits than f32 may round.
    pub fn check_base(&mut self, module: WholeModule<'_>, base: &BaseRows<'_>) -> Result<()> {
        let beside = self.config.targets(module.name, module.role).then_some(Part::Weight);
        for part in [Some(Part::Base), beside].into_iter().flatten() {
            let Some(name) = self.take_name(module.name, part) else { continue };
            let dims = module.dims();
            if let Some(vocabulary) = module.vocabulary() {
                self.check_vocabulary(&name, vocabulary, &dims)?;
            }
            let Origin::File { file, .. } = &self.origin else { return Ok(()) };
            let raw = file.find(&name, &dims, "the base model's is")?;
            let Some(read) = &base.read else { continue };
            let (mut ours, mut theirs) = (vec![0f32; module.columns], vec![0f32; module.columns]);
            for row in 0..base.count {
                read(row, 0, &mut ours);
                let shape = [module.rows, module.columns];
                raw.read_row(base.whole(row), 0, shape, module.transposed, &mut theirs);
                let differ = |(ours, theirs): (&f32, &f32)| {
                    (ours - theirs).abs() > BF16_ROUNDING * ours.abs().max(theirs.abs())
                };
                if ours.iter().zip(&theirs).any(differ) {
                    return Err(self.bad(&format!(
                        "tensor {name} is not the base model's weight: the adapter was made for another model, or for a resized vocabulary; give that model, or merge the adapter there with PEFT's merge_and_unload and load what is saved"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether the file holds a tensor, taken or not.
    fn holds(&self, module: &str, part: Part) -> bool {
        let Origin::File { shared, .. } = &self.origin else { return false };
        self.name(module, part).is_some() || shared.contains_key(&(module.to_owned(), part))
    }

    /// Takes a tensor that other modules may take too.
    fn take_shared(&mut self, module: &str, part: Part) -> Option<String> {
        let key = (module.to_owned(), part);
        let taken = self.take_name(module, part);
        let Origin::File { shared, .. } = &mut self.origin else { return None };
        if let Some(name) = taken {
            shared.insert(key, name.clone());
            return Some(name);
        }
        shared.get(&key).cloned()
    }
}

/// Whether a weight, of which `matrix` holds the rows that a rank has, is the base model's to the last bit.
pub fn is_same(matrix: &Matrix, base: &BaseRows<'_>) -> Result<bool> {
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
