//! Weights of a GGUF file, llama.cpp's format (`docs/gguf.md` of ggml). The container and its
//! quantised blocks are read by candle; Q8_0 is then multiplied by our own kernels, the k-quants and
//! the rest by candle's.

mod header;
pub mod metadata;

use crate::{Error, Format, Result, error::first_line, mapped};
use candle_core::{
    Device,
    quantized::{
        GgmlDType, QStorage, QTensor,
        gguf_file::{Content, TensorInfo, Value},
    },
};
use memmap2::Mmap;
use std::{
    borrow::Cow,
    io::Cursor,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// An open GGUF file.
pub struct Gguf {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Arc<Mmap>,
    /// Its metadata and table of contents.
    pub content: Content,
    /// llama.cpp keeps the rows of Q and K of its `llama` architecture reordered, so that pairs that
    /// are rotated together are neighbours; this is the width of a head where that is so.
    pub interleaved_head: Option<usize>,
    /// What transformers calls its tensors.
    pub modules: ModuleNames,
}

/// Names of places within a model as llama.cpp and as transformers write them.
#[derive(Default)]
pub struct ModuleNames(pub Vec<(&'static str, String)>);

impl ModuleNames {
    /// transformers' name for a place: each of llama.cpp's names within it is replaced.
    pub fn translate(&self, place: &str) -> String {
        let name = |part: &str| {
            let known = self.0.iter().find(|(theirs, _)| *theirs == part);
            known.map_or_else(|| part.to_owned(), |(_, ours)| ours.clone())
        };
        place.split('.').map(name).collect::<Vec<_>>().join(".")
    }
}

impl Gguf {
    /// Maps a file and reads its table of contents.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of_bytes(path, mapped::map(path)?)
    }

    /// Reads the table of contents of a file that is mapped.
    fn of_bytes(path: &Path, bytes: Arc<Mmap>) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let unreadable = |reason: String| bad(format!("not a readable GGUF file: {reason}"));
        if let Some(reason) = header::fault(&bytes) {
            return Err(unreadable(format!("{reason}; fetch it again")));
        }
        let content = Content::read(&mut Cursor::new(&bytes[..]))
            .map_err(|error| unreadable(first_line(&error)))?;
        for (name, info) in &content.tensor_infos {
            let place = place(&content, info);
            let place =
                place.map_err(|reason| bad(format!("tensor {name} {reason}; fetch it again")))?;
            if place.end > bytes.len() {
                return Err(bad(format!(
                    "truncated GGUF file: tensor {name} ends at byte {}; fetch it again",
                    place.end
                )));
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            bytes,
            content,
            interleaved_head: None,
            modules: ModuleNames::default(),
        })
    }

    /// Whether it has a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// How many tensors it has.
    pub fn tensors(&self) -> usize {
        self.content.tensor_infos.len()
    }

    /// A whole number among the metadata, from 0 on; none where it is absent.
    pub fn whole(&self, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.content.metadata.get(key) else { return Ok(None) };
        let number = match *value {
            Value::U8(number) => Some(number.into()),
            Value::U16(number) => Some(number.into()),
            Value::U32(number) => Some(number.into()),
            Value::U64(number) => Some(number),
            Value::I8(number) => number.try_into().ok(),
            Value::I16(number) => number.try_into().ok(),
            Value::I32(number) => number.try_into().ok(),
            Value::I64(number) => number.try_into().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.bad_entry(key, "is no whole number from 0 on"))
    }

    /// A number among the metadata that may have a fraction; none where it is absent.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.content.metadata.get(key) {
            Some(&Value::F32(number)) if number.is_finite() => Ok(Some(number.into())),
            Some(&Value::F64(number)) if number.is_finite() => Ok(Some(number)),
            Some(Value::F32(_) | Value::F64(_)) => Err(self.bad_entry(key, "is no finite number")),
            _ => Ok(self.whole(key)?.map(|number| number as f64)),
        }
    }

    /// A refusal that names a key of the metadata.
    pub fn bad_entry(&self, key: &str, reason: &str) -> Error {
        Error::file(&self.path, format!("metadata {key} {reason}: fetch it again"))
    }

    /// A text among the metadata.
    pub fn text(&self, key: &str) -> Option<String> {
        self.content.metadata.get(key)?.to_string().ok().cloned()
    }

    /// A token of its vocabulary, by the key of its id.
    pub fn token(&self, id_key: &str) -> Option<String> {
        let id = usize::try_from(self.whole(id_key).ok()??).ok()?;
        let tokens = self.content.metadata.get("tokenizer.ggml.tokens")?.to_vec().ok()?;
        tokens.get(id)?.to_string().ok().cloned()
    }

    /// Rows of a tensor of two dimensions.
    pub fn rows(&self, name: &str) -> Result<usize> {
        let info = self.content.tensor_infos.get(name);
        info.and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| Error::file(&self.path, format!("tensor {name} is missing")))
    }

    /// The number format of what is not quantised, as it is best kept: that of most of its numbers,
    /// or f16 where most are quantised.
    pub fn format(&self) -> Format {
        match self.formats().first() {
            Some((GgmlDType::F32, _)) => Format::F32,
            Some((GgmlDType::BF16, _)) => Format::Bf16,
            _ => Format::F16,
        }
    }

    /// Its quantised formats, the one with the most bytes first.
    pub fn quantization(&self) -> Option<String> {
        let plain = [GgmlDType::F32, GgmlDType::F16, GgmlDType::BF16];
        let names: Vec<String> = self
            .formats()
            .iter()
            .filter(|(format, _)| !plain.contains(format))
            .map(|(format, _)| match format {
                // candle spells the k-quants Q4K.
                GgmlDType::Q2K
                | GgmlDType::Q3K
                | GgmlDType::Q4K
                | GgmlDType::Q5K
                | GgmlDType::Q6K
                | GgmlDType::Q8K => format!("{format:?}").replace('K', "_K"),
                other => format!("{other:?}"),
            })
            .collect();
        (!names.is_empty()).then(|| names.join("+"))
    }

    /// Numbers of the widest block of its formats.
    pub fn block(&self) -> usize {
        self.formats().iter().map(|(format, _)| format.block_size()).max().unwrap_or(1)
    }

    /// Bytes of its tensors as they are kept on the CPU, what is not quantised at `size` bytes a number.
    pub fn kept_bytes(&self, size: usize) -> usize {
        let of = |info: &TensorInfo| match info.ggml_dtype {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => info.shape.elem_count() * size,
            quantised => bytes_of(quantised, info.shape.elem_count()),
        };
        self.content.tensor_infos.values().map(of).fold(0, usize::saturating_add)
    }

    /// Number formats and their bytes, most first.
    fn formats(&self) -> Vec<(GgmlDType, usize)> {
        let mut formats: Vec<(GgmlDType, usize)> = Vec::new();
        for info in self.content.tensor_infos.values() {
            let bytes = bytes_of(info.ggml_dtype, info.shape.elem_count());
            match formats.iter_mut().find(|(format, _)| *format == info.ggml_dtype) {
                Some((_, sum)) => *sum += bytes,
                None => formats.push((info.ggml_dtype, bytes)),
            }
        }
        formats.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        formats
    }

    /// A vector, which must have that length.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let (dtype, bytes) = self.tensor(name, &[len], None)?;
        let widen = || {
            let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?;
            QTensor::new(storage, len)?.dequantize(&Device::Cpu)?.to_vec1::<f32>()
        };
        widen().map_err(|error| {
            Error::file(&self.path, format!("tensor {name}: {}", first_line(&error)))
        })
    }

    /// A tensor's bytes, or those of one of the equal parts of a tensor that has a dimension more.
    pub fn tensor(
        &self,
        name: &str,
        dims: &[usize],
        part: Option<usize>,
    ) -> Result<(GgmlDType, &[u8])> {
        let bad = |reason: String| Error::file(&self.path, format!("tensor {name} {reason}"));
        let info =
            self.content.tensor_infos.get(name).ok_or_else(|| bad("is missing".to_owned()))?;
        let (parts, shape) = match (part, info.shape.dims()) {
            (Some(_), [parts, shape @ ..]) => (*parts, shape),
            (_, shape) => (1, shape),
        };
        let part = part.unwrap_or(0);
        if shape != dims || part >= parts {
            return Err(bad(format!(
                "has shape {:?}, but the metadata imply {dims:?}",
                info.shape.dims()
            )));
        }
        let dtype = info.ggml_dtype;
        let size = bytes_of(dtype, dims.iter().product());
        let place = place(&self.content, info).map_err(|reason| bad(reason.to_owned()))?;
        Ok((dtype, &self.bytes[place][part * size..(part + 1) * size]))
    }
}

/// Bytes of which the format has `general.alignment` be a multiple; blocks of numbers are read in place.
const LEAST_ALIGNMENT: usize = 8;

/// Where a tensor's bytes are; the reason where no file has such a place.
fn place(content: &Content, info: &TensorInfo) -> std::result::Result<Range<usize>, &'static str> {
    let too_large = "is larger than any file";
    let dims = info.shape.dims();
    let block = info.ggml_dtype.block_size();
    let row = dims.last().copied().unwrap_or(1);
    if dims.contains(&0) {
        return Err("has no numbers");
    }
    if !row.is_multiple_of(block) {
        return Err("has rows that are not whole blocks of its number format");
    }
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let size = count.ok_or(too_large)? / block;
    let size = size.checked_mul(info.ggml_dtype.type_size()).ok_or(too_large)?;
    let begin = content.tensor_data_offset.checked_add(info.offset);
    let begin =
        begin.and_then(|begin| usize::try_from(begin).ok()).ok_or("begins beyond any file")?;
    if !begin.is_multiple_of(LEAST_ALIGNMENT) {
        return Err("does not begin at a multiple of 8 bytes");
    }
    Ok(begin..begin.checked_add(size).ok_or("ends beyond any file")?)
}

/// Bytes of so many numbers in a format.
fn bytes_of(dtype: GgmlDType, count: usize) -> usize {
    count / dtype.block_size() * dtype.type_size()
}

#[cfg(test)]
mod tests;
