//! Where the rows of a weight lie that the decoder asks for by llama.cpp's name. Converters have stacked some tensors:
//!
//! ```text
//! asked for                           kept, the first that there is
//! blk.0.attn_k.weight                 blk.0.attn_k.weight, or rows of blk.0.attn_qkv.weight below those of Q
//! blk.0.experts.3.ffn_up_exps.weight  part 3 of blk.0.ffn_up_exps.weight,
//!                                     the lower half of part 3 of blk.0.ffn_gate_up_exps.weight,
//!                                     or blk.0.ffn_up.3.weight (llama.cpp before April 2024)
//! ```

use super::{BlockFormat, Gguf, tensors::Tensor};
use crate::{Error, Result, mapped::Lease};
use memmap2::Mmap;
use std::{collections::HashSet, ops::Range, sync::Arc};

/// How tensors are turned into what the decoder asks for.
#[derive(Default)]
pub struct Layout {
    /// llama.cpp keeps the rows of Q and K of its `llama` architecture reordered, so that pairs that are rotated
    /// together are neighbours; this is the width of a head where that is so.
    pub interleaved_head: Option<usize>,
    /// Rows of Q, of K and of V.
    pub qkv: [usize; 3],
    /// Biases that some layers or projections lack while others have them. They count as zeros.
    pub zeros: HashSet<String>,
}

/// Rows of a weight, or the numbers of a vector.
pub struct Rows {
    /// What they are kept in.
    pub format: BlockFormat,
    /// The file that they are in.
    map: Arc<Mmap>,
    /// Their bytes there, row after row as the file keeps them.
    range: Range<usize>,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// The width of heads whose rows are reordered.
    interleaved_head: Option<usize>,
}

impl Rows {
    /// Their bytes, whose pages are given back once nobody reads them.
    pub fn lease(&self) -> Lease {
        Lease::new(&self.map, self.range.clone())
    }

    /// Which of the file's rows row `index` of the weight is.
    pub fn place(&self, index: usize) -> usize {
        match self.interleaved_head {
            None => index,
            // Ours are all first halves of a head's pairs, then all second halves.
            Some(width) => {
                let (head, place) = (index / width, index % width);
                head * width + place % (width / 2) * 2 + place / (width / 2)
            }
        }
    }
}

/// Some rows of a tensor.
struct Slice {
    tensor: String,
    /// Which of the equal parts of a tensor that has a dimension more.
    part: Option<usize>,
    /// The first row.
    first: usize,
    /// Rows of the tensor, or of its part.
    all: usize,
}

impl Gguf {
    /// The rows of a weight of exactly that shape; `columns` is none for a vector.
    ///
    /// # Errors
    /// It is missing, has another shape, or is in a format that is not llama.cpp's.
    pub fn rows(&self, name: &str, rows: usize, columns: Option<usize>) -> Result<Rows> {
        let slice = self.locate(name, rows);
        let bad =
            |reason: String| Error::file(&self.path, format!("tensor {} {reason}", slice.tensor));
        let tensor = self.tensors.get(&slice.tensor);
        let tensor = tensor.ok_or_else(|| bad("is missing".to_owned()))?;
        let format = tensor.format().map_err(|reason| bad(format!("is {reason}")))?;
        let begin = first_number(tensor, &slice, columns).ok_or_else(|| {
            let dims: Vec<usize> = [slice.all].into_iter().chain(columns).collect();
            bad(format!("has shape {:?}, but the metadata imply {dims:?}", tensor.dims))
        })?;
        let bytes_of = |numbers: usize| numbers / format.block() * format.block_bytes();
        let row_bytes = bytes_of(columns.unwrap_or(1));
        let start = tensor.range().start + bytes_of(begin);
        let map = Arc::clone(&self.parts[tensor.part].bytes);
        let range = start..start + rows * row_bytes;
        let reordered = [".attn_q.", ".attn_k."].iter().any(|part| name.contains(part));
        let interleaved_head = self.layout.interleaved_head.filter(|_| reordered);
        Ok(Rows { format, map, range, row_bytes, interleaved_head })
    }

    /// A vector, which must have that length.
    ///
    /// # Errors
    /// As of [`Gguf::rows`], or its numbers are in a quantised format.
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
        let at = |index: usize| &bytes[rows.place(index) * rows.row_bytes..][..rows.row_bytes];
        Ok((0..len).map(|index| number(at(index))).collect())
    }

    /// The tensor that holds what is asked for by that name.
    pub fn tensor_of(&self, name: &str) -> String {
        self.locate(name, 0).tensor
    }

    /// Which rows of which tensor a weight of that many rows is.
    fn locate(&self, name: &str, rows: usize) -> Slice {
        let whole = |tensor: String| Slice { tensor, part: None, first: 0, all: rows };
        if let Some((layer, expert, rest)) = expert_of(name) {
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
                Slice { tensor, part: None, first, all: q + k + v }
            }
            _ => whole(name.to_owned()),
        }
    }

    /// Expert `expert` of a layer's `rest`, as `ffn_up_exps.weight`.
    fn locate_expert(&self, layer: &str, expert: usize, rest: &str, rows: usize) -> Slice {
        let all = format!("{layer}.{rest}");
        let with_gate = format!("{layer}.ffn_gate_up_exps.weight");
        let alone = format!("{layer}.{}", rest.replace("_exps.", &format!(".{expert}.")));
        let is_down = rest.starts_with("ffn_down");
        if !self.has(&all) && !is_down && self.has(&with_gate) {
            let first = if rest.starts_with("ffn_up") { rows } else { 0 };
            return Slice { tensor: with_gate, part: Some(expert), first, all: 2 * rows };
        }
        if !self.has(&all) && self.has(&alone) {
            return Slice { tensor: alone, part: None, first: 0, all: rows };
        }
        Slice { tensor: all, part: Some(expert), first: 0, all: rows }
    }
}

/// The number that a slice begins with; none if the tensor has another shape.
fn first_number(tensor: &Tensor, slice: &Slice, columns: Option<usize>) -> Option<usize> {
    let dims: Vec<usize> = [slice.all].into_iter().chain(columns).collect();
    let (parts, shape) = match (slice.part, &tensor.dims[..]) {
        (Some(_), [parts, shape @ ..]) => (*parts, shape),
        (_, shape) => (1, shape),
    };
    let part = slice.part.unwrap_or(0);
    let columns = columns.unwrap_or(1);
    (shape == dims && part < parts).then_some((part * slice.all + slice.first) * columns)
}

/// `blk.0.experts.3.x` as `blk.0`, 3 and `x`.
fn expert_of(name: &str) -> Option<(&str, usize, &str)> {
    let (layer, rest) = name.split_once(".experts.")?;
    let (expert, rest) = rest.split_once('.')?;
    Some((layer, expert.parse().ok()?, rest))
}

/// A number of few bytes, the lowest first.
fn bits(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}
