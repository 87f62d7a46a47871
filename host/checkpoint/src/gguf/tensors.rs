//! Tensors of a GGUF file: what they are kept in, and where.

use super::{
    BlockFormat, Gguf,
    format::{self, TOO_LARGE},
    header::Description,
};
use crate::{Error, Format, Result};
use std::{collections::BTreeMap, ops::Range};

/// Blocks of numbers are read in place, so that each tensor begins at a multiple of so many bytes.
const LEAST_ALIGNMENT: usize = 8;

/// A tensor.
pub struct Tensor {
    /// Dimensions, the one that changes most slowly first.
    pub dims: Vec<usize>,
    /// The file that it is in.
    pub part: usize,
    /// The number of its format.
    number: u32,
    /// Its bytes within the file; empty where the format is not known.
    range: Range<usize>,
}

impl Tensor {
    /// Its format; the reason where it is none of llama.cpp's.
    pub fn format(&self) -> std::result::Result<BlockFormat, String> {
        BlockFormat::of_number(self.number).ok_or_else(|| format::unknown(self.number))
    }

    /// Its bytes within the file.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// How many numbers it has.
    pub fn numbers(&self) -> usize {
        self.dims.iter().product()
    }
}

/// Tensors with their places in a file of that many bytes, whose data begins at `data`; a sentence where one has none.
pub fn place_all(
    described: BTreeMap<String, Description>,
    data: usize,
    bytes: usize,
) -> std::result::Result<BTreeMap<String, Tensor>, String> {
    let place = |(name, description): (String, Description)| {
        let range = place(&description, data)
            .map_err(|reason| format!("tensor {name} {reason}; fetch it again"))?;
        if range.end > bytes {
            return Err(format!(
                "truncated GGUF file: tensor {name} ends at byte {} of {bytes}; fetch it again, or join it if it was cut into pieces",
                range.end
            ));
        }
        let Description { dims, format, .. } = description;
        Ok((name, Tensor { dims, part: 0, number: format, range }))
    };
    described.into_iter().map(place).collect()
}

/// Where a tensor's bytes are; the reason where no file has such a place.
fn place(tensor: &Description, data: usize) -> std::result::Result<Range<usize>, &'static str> {
    if tensor.dims.contains(&0) {
        return Err("has no numbers");
    }
    let count = tensor.dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let count = count.ok_or(TOO_LARGE)?;
    // A format that is not known has no size: the tensor is refused if it is asked for.
    let size = match BlockFormat::of_number(tensor.format) {
        None => 0,
        Some(format) => {
            let row = tensor.dims.last().copied().unwrap_or(1);
            if !row.is_multiple_of(format.block()) {
                return Err("has rows that are not whole blocks of its number format");
            }
            format.bytes(count).ok_or(TOO_LARGE)?
        }
    };
    let offset = usize::try_from(tensor.offset).ok();
    let begin =
        offset.and_then(|offset| data.checked_add(offset)).ok_or("begins beyond any file")?;
    if !begin.is_multiple_of(LEAST_ALIGNMENT) {
        return Err("does not begin at a multiple of 8 bytes");
    }
    Ok(begin..begin.checked_add(size).ok_or("ends beyond any file")?)
}

impl Gguf {
    /// Whether it has a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The names of its tensors.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Dimensions of a tensor, the one that changes most slowly first.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.dims[..])
    }

    /// Rows of a tensor of two dimensions.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn row_count(&self, name: &str) -> Result<usize> {
        let dims = self.dims(name).and_then(|dims| dims.first().copied());
        dims.ok_or_else(|| Error::file(&self.path, format!("tensor {name} is missing")))
    }

    /// The number format of what is not quantised, as it is best kept: that of most of its numbers,
    /// or f16 where most are quantised.
    pub fn format(&self) -> Format {
        match self.formats().first() {
            Some((BlockFormat::F32, _)) => Format::F32,
            Some((BlockFormat::BF16, _)) => Format::Bf16,
            _ => Format::F16,
        }
    }

    /// Its quantised formats, the one with the most bytes first, joined by `+`.
    pub fn quantization(&self) -> Option<String> {
        let formats = self.formats();
        let quantised = formats.iter().filter(|(format, _)| !format.is_plain());
        let names: Vec<String> = quantised.map(|(format, _)| format.to_string()).collect();
        (!names.is_empty()).then(|| names.join("+"))
    }

    /// Numbers of the widest block of its formats.
    pub fn block(&self) -> usize {
        self.formats().iter().map(|(format, _)| format.block()).max().unwrap_or(1)
    }

    /// Its number formats and the bytes in each, most first.
    pub fn formats(&self) -> Vec<(BlockFormat, usize)> {
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

    /// Its tensors by name, with the format of each and how many numbers it has.
    ///
    /// # Errors
    /// A format is not one of llama.cpp's.
    pub fn each_format(&self) -> Result<Vec<(&str, BlockFormat, usize)>> {
        self.tensors
            .iter()
            .map(|(name, tensor)| match tensor.format() {
                Ok(format) => Ok((&name[..], format, tensor.numbers())),
                Err(reason) => Err(Error::file(&self.path, format!("tensor {name} is {reason}"))),
            })
            .collect()
    }
}
