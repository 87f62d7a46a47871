//! Finds the rows of a weight that the decoder requests by llama.cpp's name. Converters have stacked some tensors:
//!
//! ```text
//! requested                           in the file, the first of these that exists
//! blk.0.attn_k.weight                 blk.0.attn_k.weight, or the rows of blk.0.attn_qkv.weight after the rows of Q
//! blk.0.experts.3.ffn_up_exps.weight  part 3 of blk.0.ffn_up_exps.weight,
//!                                     the lower half of part 3 of blk.0.ffn_gate_up_exps.weight,
//!                                     or blk.0.ffn_up.3.weight (llama.cpp before April 2024)
//! ```

use super::{BlockFormat, Gguf, tensors::Tensor};
use crate::{Error, Result, mapped::MappedBytes};
use memmap2::Mmap;
use std::{collections::HashSet, ops::Range, sync::Arc};

/// How the tensors of the file are converted to the weights that the decoder requests.
#[derive(Default)]
pub(super) struct TensorLayout {
    /// The width of a head if the rows of Q and K are reordered. llama.cpp does so in its architecture `llama`: two
    /// rows that are rotated together are neighbours in the file.
    pub interleaved_head: Option<usize>,
    /// The numbers of rows of Q, of K and of V.
    pub qkv: [usize; 3],
    /// The names of biases that are absent in some layers or projections and present in others. They are read as zeros.
    pub zeros: HashSet<String>,
}

/// The rows of a weight, or the numbers of a vector, in a mapped GGUF file.
pub struct WeightRows {
    /// The number format of the rows.
    pub format: BlockFormat,
    /// The mapped file.
    map: Arc<Mmap>,
    /// The range of the rows' bytes in the file, in the file's order of rows.
    range: Range<usize>,
    /// The size of a row in bytes.
    pub row_bytes: usize,
    /// The width of a head if the rows are reordered.
    interleaved_head: Option<usize>,
}

impl WeightRows {
    /// Returns the mapped bytes of all rows, in the file's order of rows.
    pub fn mapped_bytes(&self) -> MappedBytes {
        MappedBytes::new(&self.map, self.range.clone())
    }

    /// Returns the number of the row in the file for row `index` of the weight.
    pub fn file_row(&self, index: usize) -> usize {
        match self.interleaved_head {
            None => index,
            // In the weight, the first rows of all pairs of a head come before the second rows. In the file, the two
            // rows of a pair are neighbours.
            Some(width) => {
                let (head, row) = (index / width, index % width);
                head * width + row % (width / 2) * 2 + row / (width / 2)
            }
        }
    }
}

/// A range of rows of a tensor.
struct TensorSlice {
    tensor: String,
    /// The index in the first dimension, if the tensor has one dimension more than the weight.
    part: Option<usize>,
    /// The first row of the slice.
    first: usize,
    /// The number of all rows of the tensor, or of its part.
    all: usize,
}

impl Gguf {
    /// Finds the rows of a weight, which must have exactly the given shape.
    ///
    /// # Shapes
    /// - the weight: `[rows, columns]`, or `[rows]` if `columns` is `None`
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, has another shape, or has an unknown number format.
    pub fn rows(&self, name: &str, rows: usize, columns: Option<usize>) -> Result<WeightRows> {
        let slice = self.locate(name, rows);
        let bad =
            |reason: String| Error::file(&self.path, format!("tensor {} {reason}", slice.tensor));
        let tensor = self.tensors.get(&slice.tensor);
        let tensor = tensor.ok_or_else(|| bad("is missing".to_owned()))?;
        let format = tensor.format().map_err(|cause| bad(format!("is {cause}")))?;
        let begin = first_number(tensor, &slice, columns).ok_or_else(|| {
            let dims: Vec<usize> = [slice.all].into_iter().chain(columns).collect();
            bad(format!("has shape {:?}, but the metadata imply {dims:?}", tensor.dims))
        })?;
        let bytes_of = |numbers: usize| numbers / format.block_len() * format.block_bytes();
        let row_bytes = bytes_of(columns.unwrap_or(1));
        let start = tensor.range().start + bytes_of(begin);
        let map = Arc::clone(&self.files[tensor.file].bytes);
        let range = start..start + rows * row_bytes;
        let reordered = [".attn_q.", ".attn_k."].iter().any(|part| name.contains(part));
        let interleaved_head = self.layout.interleaved_head.filter(|_| reordered);
        Ok(WeightRows { format, map, range, row_bytes, interleaved_head })
    }

    /// Reads a vector, which must have the length `len`, as f32.
    ///
    /// # Errors
    /// Returns the errors of [`Gguf::rows`], and an error if the numbers are not in F32, F16 or BF16.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        if self.layout.zeros.contains(name) {
            return Ok(vec![0.0; len]);
        }
        let rows = self.rows(name, len, None)?;
        let number: fn(&[u8]) -> f32 = match rows.format {
            BlockFormat::F32 => |bytes| f32::from_bits(bits(bytes)),
            BlockFormat::F16 => |bytes| half::f16::from_bits(bits(bytes) as u16).to_f32(),
            BlockFormat::BF16 => |bytes| half::bf16::from_bits(bits(bytes) as u16).to_f32(),
            other => {
                return Err(Error::file(
                    &self.path,
                    format!(
                        "tensor {name} is in {other}, in which vectors are not read: use a file whose norms and biases are in F32"
                    ),
                ));
            }
        };
        let bytes = &rows.map[rows.range.clone()];
        let at = |index: usize| &bytes[rows.file_row(index) * rows.row_bytes..][..rows.row_bytes];
        Ok((0..len).map(|index| number(at(index))).collect())
    }

    /// Returns the name of the tensor in the file that contains the weight `name`.
    pub(super) fn file_tensor_name(&self, name: &str) -> String {
        self.locate(name, 0).tensor
    }

    /// Finds the slice of a tensor in the file that is the weight `name` with `rows` rows.
    fn locate(&self, name: &str, rows: usize) -> TensorSlice {
        let whole = |tensor: String| TensorSlice { tensor, part: None, first: 0, all: rows };
        if let Some((layer, expert, rest)) = split_expert_name(name) {
            return self.locate_expert(layer, expert, rest, rows);
        }
        let [q, k, v] = self.layout.qkv;
        let stacked = [("attn_q", 0), ("attn_k", q), ("attn_v", q + k)];
        let found = stacked.iter().find_map(|&(part, first)| {
            let tensor = name.replace(&format!(".{part}."), ".attn_qkv.");
            (tensor != name).then_some((tensor, first))
        });
        match found {
            Some((tensor, first)) if !self.has(name) && self.has(&tensor) => {
                TensorSlice { tensor, part: None, first, all: q + k + v }
            }
            _ => whole(name.to_owned()),
        }
    }

    /// Finds the slice of a tensor in the file that is a weight of an expert. `rest` is the weight's name within the
    /// layer, such as `ffn_up_exps.weight`.
    fn locate_expert(&self, layer: &str, expert: usize, rest: &str, rows: usize) -> TensorSlice {
        let all = format!("{layer}.{rest}");
        let with_gate = format!("{layer}.ffn_gate_up_exps.weight");
        let alone = format!("{layer}.{}", rest.replace("_exps.", &format!(".{expert}.")));
        let is_down = rest.starts_with("ffn_down");
        if !self.has(&all) && !is_down && self.has(&with_gate) {
            let first = if rest.starts_with("ffn_up") { rows } else { 0 };
            return TensorSlice { tensor: with_gate, part: Some(expert), first, all: 2 * rows };
        }
        if !self.has(&all) && self.has(&alone) {
            return TensorSlice { tensor: alone, part: None, first: 0, all: rows };
        }
        TensorSlice { tensor: all, part: Some(expert), first: 0, all: rows }
    }
}

/// Returns the index of the slice's first number in the tensor. Returns `None` if the tensor has another shape.
fn first_number(tensor: &Tensor, slice: &TensorSlice, columns: Option<usize>) -> Option<usize> {
    let dims: Vec<usize> = [slice.all].into_iter().chain(columns).collect();
    let (parts, shape) = match (slice.part, &tensor.dims[..]) {
        (Some(_), [parts, shape @ ..]) => (*parts, shape),
        (_, shape) => (1, shape),
    };
    let part = slice.part.unwrap_or(0);
    let columns = columns.unwrap_or(1);
    (shape == dims && part < parts).then_some((part * slice.all + slice.first) * columns)
}

/// Splits `blk.0.experts.3.x` into `blk.0`, 3 and `x`. Returns `None` for other names.
fn split_expert_name(name: &str) -> Option<(&str, usize, &str)> {
    let (layer, rest) = name.split_once(".experts.")?;
    let (expert, rest) = rest.split_once('.')?;
    Some((layer, expert.parse().ok()?, rest))
}

/// Converts up to 4 little-endian bytes to a number.
fn bits(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}
