//! The tensors of a GGUF file: their number formats, and where their bytes are.

use super::{
    BlockFormat, Gguf,
    block_format::{self, TOO_LARGE},
    header::TensorDescription,
};
use crate::{Error, FloatFormat, Result};
use std::{collections::BTreeMap, ops::Range};

/// The alignment that each tensor must have, in bytes, because blocks of numbers are read in place.
const MIN_ALIGNMENT: usize = 8;

/// A tensor, and where its bytes are.
pub(super) struct Tensor {
    /// The dimensions. The first one is the slowest: rows before columns.
    pub dims: Vec<usize>,
    /// The index of the tensor's file in [`Gguf::files`].
    pub file: usize,
    /// The number of its number format.
    format_number: u32,
    /// The range of its bytes in the file. It is empty if the format is unknown.
    range: Range<usize>,
}

impl Tensor {
    /// Returns the number format. The error says what is wrong with the format, and follows "is" in a message.
    pub(super) fn format(&self) -> std::result::Result<BlockFormat, String> {
        BlockFormat::from_number(self.format_number)
            .ok_or_else(|| block_format::describe_unknown(self.format_number))
    }

    /// Returns the range of its bytes in the file.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Returns how many numbers the tensor has.
    pub(super) fn element_count(&self) -> usize {
        self.dims.iter().product()
    }
}

/// Computes the byte ranges of all tensors of a file. `data_start` is the offset of the data, and `file_bytes` is the
/// size of the file. The error is a sentence about the first tensor that is not within the file.
pub(super) fn locate_tensors(
    descriptions: BTreeMap<String, TensorDescription>,
    data_start: usize,
    file_bytes: usize,
) -> std::result::Result<BTreeMap<String, Tensor>, String> {
    let locate = |(name, description): (String, TensorDescription)| {
        let range = byte_range(&description, data_start)
            .map_err(|reason| format!("tensor {name} {reason}; fetch it again"))?;
        if range.end > file_bytes {
            return Err(format!(
                "truncated GGUF file: tensor {name} ends at byte {} of {file_bytes}; fetch it again, or join it if it was cut into pieces",
                range.end
            ));
        }
        let TensorDescription { dims, format, .. } = description;
        Ok((name, Tensor { dims, file: 0, format_number: format, range }))
    };
    descriptions.into_iter().map(locate).collect()
}

/// Computes the byte range of a tensor. The error is the reason why no file can have such a range.
fn byte_range(
    tensor: &TensorDescription,
    data_start: usize,
) -> std::result::Result<Range<usize>, &'static str> {
    if tensor.dims.contains(&0) {
        return Err("has no numbers");
    }
    let count = tensor.dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let count = count.ok_or(TOO_LARGE)?;
    // An unknown format has no size. The tensor is refused when it is requested.
    let size = match BlockFormat::from_number(tensor.format) {
        None => 0,
        Some(format) => {
            let row = tensor.dims.last().copied().unwrap_or(1);
            if !row.is_multiple_of(format.block_len()) {
                return Err("has rows that are not whole blocks of its number format");
            }
            format.bytes(count).ok_or(TOO_LARGE)?
        }
    };
    let offset = usize::try_from(tensor.offset).ok();
    let begin =
        offset.and_then(|offset| data_start.checked_add(offset)).ok_or("begins beyond any file")?;
    if !begin.is_multiple_of(MIN_ALIGNMENT) {
        return Err("does not begin at a multiple of 8 bytes");
    }
    Ok(begin..begin.checked_add(size).ok_or("ends beyond any file")?)
}

impl Gguf {
    /// Returns `true` if the model has a tensor with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Returns the names of all tensors.
    pub(crate) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the dimensions of a tensor. The first one is the slowest: rows before columns.
    pub(crate) fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.dims[..])
    }

    /// Returns the first dimension of a tensor, which is the number of rows of a matrix.
    ///
    /// # Errors
    /// Returns an error if there is no such tensor.
    pub(crate) fn row_count(&self, name: &str) -> Result<usize> {
        let dims = self.dims(name).and_then(|dims| dims.first().copied());
        dims.ok_or_else(|| Error::file(&self.path, format!("tensor {name} is missing")))
    }

    /// Returns the floating-point format in which the model runs by default: the format with the most bytes in the
    /// files, or f16 if that is not f32 or bf16.
    pub(crate) fn float_format(&self) -> FloatFormat {
        match self.bytes_by_format().first() {
            Some((BlockFormat::F32, _)) => FloatFormat::F32,
            Some((BlockFormat::BF16, _)) => FloatFormat::Bf16,
            _ => FloatFormat::F16,
        }
    }

    /// Returns the names of the quantised formats, joined by `+`. The format with the most bytes is first. Returns
    /// `None` if nothing is quantised.
    pub(crate) fn quantization(&self) -> Option<String> {
        let formats = self.bytes_by_format();
        let quantised = formats.iter().filter(|(format, _)| !format.is_plain());
        let names: Vec<String> = quantised.map(|(format, _)| format.to_string()).collect();
        (!names.is_empty()).then(|| names.join("+"))
    }

    /// Returns how many numbers the widest block of all formats has.
    pub fn widest_block(&self) -> usize {
        self.bytes_by_format().iter().map(|(format, _)| format.block_len()).max().unwrap_or(1)
    }

    /// Returns the number formats and how many bytes each has, in descending order of bytes.
    fn bytes_by_format(&self) -> Vec<(BlockFormat, usize)> {
        let mut formats: Vec<(BlockFormat, usize)> = Vec::new();
        for tensor in self.tensors.values() {
            let Ok(format) = tensor.format() else { continue };
            let bytes = tensor.range().len();
            match formats.iter_mut().find(|(known, _)| *known == format) {
                Some((_, sum)) => *sum += bytes,
                None => formats.push((format, bytes)),
            }
        }
        formats.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        formats
    }

    /// Returns the name, the number format and the number of elements of each tensor.
    ///
    /// # Errors
    /// Returns an error if llama.cpp has no such format.
    pub fn tensor_formats(&self) -> Result<Vec<(&str, BlockFormat, usize)>> {
        self.tensors
            .iter()
            .map(|(name, tensor)| match tensor.format() {
                Ok(format) => Ok((&name[..], format, tensor.element_count())),
                Err(reason) => Err(Error::file(&self.path, format!("tensor {name} is {reason}"))),
            })
            .collect()
    }
}
