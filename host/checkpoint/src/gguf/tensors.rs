//! The tensors of a GGUF file: their number formats, and where their bytes are.

use super::{
    BlockFormat, Gguf,
    block_format::{TooLargeError, UnknownFormatError},
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
    /// Returns the number format.
    pub(super) fn format(&self) -> std::result::Result<BlockFormat, UnknownFormatError> {
        BlockFormat::from_number(self.format_number)
            .ok_or_else(|| UnknownFormatError::from_number(self.format_number))
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

/// Why the bytes of a tensor are not within its file.
#[derive(Debug, thiserror::Error)]
pub(super) enum TensorBoundsError {
    /// No file can have the tensor's range of bytes.
    #[error("tensor {name} {cause}; fetch it again")]
    InvalidRange {
        /// The name of the tensor.
        name: String,
        /// What is wrong with the range.
        cause: ByteRangeError,
    },

    /// The file ends before the tensor does.
    #[error(
        "truncated GGUF file: tensor {name} ends at byte {end} of {file_bytes}; fetch it again, or join it if it was cut into pieces"
    )]
    Truncated {
        /// The name of the tensor.
        name: String,
        /// The offset of the tensor's end in the file, in bytes.
        end: usize,
        /// The size of the file, in bytes.
        file_bytes: usize,
    },
}

/// Why no file can have the range of a tensor's bytes. The sentence follows the tensor's name in a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ByteRangeError {
    /// A dimension is 0.
    #[error("has no numbers")]
    Empty,

    /// The tensor has too many numbers.
    #[error(transparent)]
    TooLarge(#[from] TooLargeError),

    /// The length of a row is not a multiple of the number format's block length.
    #[error("has rows that are not whole blocks of its number format")]
    PartialBlock,

    /// The offset of the tensor is too large.
    #[error("begins beyond any file")]
    Begin,

    /// The tensor is not aligned.
    #[error("does not begin at a multiple of {MIN_ALIGNMENT} bytes")]
    Alignment,

    /// The offset of the tensor's end is too large.
    #[error("ends beyond any file")]
    End,
}

/// Computes the byte ranges of all tensors of a file. `data_start` is the offset of the data, and `file_bytes` is the
/// size of the file, both in bytes. The error is about the first tensor that is not within the file.
pub(super) fn locate_tensors(
    descriptions: BTreeMap<String, TensorDescription>,
    data_start: usize,
    file_bytes: usize,
) -> std::result::Result<BTreeMap<String, Tensor>, TensorBoundsError> {
    let locate = |(name, description): (String, TensorDescription)| {
        let range = match byte_range(&description, data_start) {
            Ok(range) => range,
            Err(cause) => return Err(TensorBoundsError::InvalidRange { name, cause }),
        };
        if range.end > file_bytes {
            return Err(TensorBoundsError::Truncated { name, end: range.end, file_bytes });
        }
        let TensorDescription { dims, format, .. } = description;
        Ok((name, Tensor { dims, file: 0, format_number: format, range }))
    };
    descriptions.into_iter().map(locate).collect()
}

/// Computes the byte range of a tensor.
fn byte_range(
    tensor: &TensorDescription,
    data_start: usize,
) -> std::result::Result<Range<usize>, ByteRangeError> {
    if tensor.dims.contains(&0) {
        return Err(ByteRangeError::Empty);
    }
    let count = tensor.dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let count = count.ok_or(TooLargeError)?;
    // An unknown format has no size. The tensor is refused when it is requested.
    let size = match BlockFormat::from_number(tensor.format) {
        None => 0,
        Some(format) => {
            let row = tensor.dims.last().copied().unwrap_or(1);
            if !row.is_multiple_of(format.block_len()) {
                return Err(ByteRangeError::PartialBlock);
            }
            format.bytes(count).ok_or(TooLargeError)?
        }
    };
    let offset = usize::try_from(tensor.offset).ok();
    let begin = offset.and_then(|offset| data_start.checked_add(offset));
    let begin = begin.ok_or(ByteRangeError::Begin)?;
    if !begin.is_multiple_of(MIN_ALIGNMENT) {
        return Err(ByteRangeError::Alignment);
    }
    Ok(begin..begin.checked_add(size).ok_or(ByteRangeError::End)?)
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
                Err(cause) => Err(Error::file(&self.path, format!("tensor {name} is {cause}"))),
            })
            .collect()
    }
}
