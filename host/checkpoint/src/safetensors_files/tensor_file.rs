//! One safetensors file, mapped into memory, and the numbers of its tensors.

use crate::{
    Error, Result,
    mapped::{self, Lease},
    stand_in,
};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{
    Dtype, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use std::{ops::Range, path::PathBuf, sync::Arc};

/// A safetensors file begins with the length of its JSON header, 8 bytes (the format's README).
const LENGTH_BYTES: usize = 8;

/// Longer headers are refused by the format, bytes.
const LARGEST_HEADER: usize = 100_000_000;

/// A safetensors file.
pub struct TensorFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Arc<Mmap>,
    /// Its table of contents, whose offsets count from `data`.
    contents: Metadata,
    /// Where the tensors' bytes begin.
    data: usize,
}

/// Numbers of a tensor in a mapped file.
#[derive(Clone)]
pub struct Raw {
    kept: Kept,
    bytes: Arc<Lease>,
}

/// How a tensor's numbers are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    F64,
    F32,
    Bf16,
    F16,
}

impl Kept {
    fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F64 => Some(Self::F64),
            Dtype::F32 => Some(Self::F32),
            Dtype::BF16 => Some(Self::Bf16),
            Dtype::F16 => Some(Self::F16),
            _ => None,
        }
    }
}

impl Raw {
    /// Numbers of row `row` from column `first` on, of a matrix `[rows, columns]` that is kept so, or
    /// transposed.
    pub fn read_row(
        &self,
        row: usize,
        first: usize,
        [rows, columns]: [usize; 2],
        transposed: bool,
        out: &mut [f32],
    ) {
        match transposed {
            true => self.read(first * rows + row, rows, out),
            false => self.read(row * columns + first, 1, out),
        }
    }

    /// What holds the file's pages.
    pub fn lease(&self) -> &Arc<Lease> {
        &self.bytes
    }

    /// Whether both are the same numbers in the same format.
    pub fn equals(&self, other: &Self) -> bool {
        let is_equal = self.kept == other.kept && **self.bytes == **other.bytes;
        self.bytes.release();
        other.bytes.release();
        is_equal
    }

    /// All of its numbers, of which there are `len`.
    pub fn vector(&self, len: usize) -> Vec<f32> {
        let mut numbers = vec![0f32; len];
        self.read(0, 1, &mut numbers);
        numbers
    }

    /// Numbers `start, start + stride, ...`, as f32: F64 is rounded, as torch rounds it before it rounds further.
    pub fn read(&self, start: usize, stride: usize, out: &mut [f32]) {
        fn each<const N: usize>(
            bytes: &[u8],
            start: usize,
            stride: usize,
            out: &mut [f32],
            widen: impl Fn([u8; N]) -> f32,
        ) {
            let numbers = bytes.as_chunks::<N>().0[start..].iter().step_by(stride);
            for (out, number) in out.iter_mut().zip(numbers) {
                *out = widen(*number);
            }
        }
        match self.kept {
            Kept::F64 => {
                each(&self.bytes, start, stride, out, |bytes| f64::from_le_bytes(bytes) as f32);
            }
            Kept::F32 => each(&self.bytes, start, stride, out, f32::from_le_bytes),
            Kept::Bf16 => {
                each(&self.bytes, start, stride, out, |bytes| bf16::from_le_bytes(bytes).to_f32());
            }
            Kept::F16 => {
                each(&self.bytes, start, stride, out, |bytes| f16::from_le_bytes(bytes).to_f32());
            }
        }
    }
}

impl TensorFile {
    /// Maps a file and reads its table of contents.
    ///
    /// # Errors
    /// It is not a safetensors file, or not all of one.
    pub fn open(path: PathBuf) -> Result<Self> {
        let bytes = mapped::map(&path)?;
        if let Some(control) = stand_in::control_file(&path) {
            let reason =
                format!("{control} beside it says that its download has not finished: resume it");
            return Err(Error::file(&path, reason));
        }
        // Also checks that the file is as long as its table of contents says.
        let (header, contents) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| Error::file(&path, damage(&bytes, &error.to_string())))?;
        Ok(Self { path, bytes, contents, data: LENGTH_BYTES + header })
    }

    /// Names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.contents.tensors().into_keys()
    }

    /// Numbers of all of its tensors.
    pub fn numbers(&self) -> usize {
        let sizes = self.contents.tensors().into_values().map(|info| info.shape.iter().product());
        sizes.fold(0, usize::saturating_add)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.contents.info(name).map(|info| &info.shape[..])
    }

    /// The format of a tensor's numbers.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.contents.info(name).map(|info| info.dtype)
    }

    /// A tensor that must have exactly the shape `dims`, as `origin` would have it.
    ///
    /// # Errors
    /// There is none, or it has another shape or numbers of a format that is not read.
    pub fn find(&self, name: &str, dims: &[usize], origin: &str) -> Result<Raw> {
        self.find_slice(name, dims, 0..dims.iter().product(), origin)
    }

    /// Numbers `part` of such a tensor.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_slice(
        &self,
        name: &str,
        dims: &[usize],
        part: Range<usize>,
        origin: &str,
    ) -> Result<Raw> {
        let bad = |reason: String| Error::file(&self.path, format!("tensor {name} {reason}"));
        let info = self.contents.info(name).ok_or_else(|| bad("is missing".to_owned()))?;
        if info.shape != dims {
            return Err(bad(format!("has shape {:?}, but {origin} {dims:?}", info.shape)));
        }
        let kept = Kept::of(info.dtype).ok_or_else(|| bad(unread_format(info)))?;
        let (begin, size) = (self.data + info.data_offsets.0, info.dtype.bitsize() / 8);
        let lease = Lease::new(&self.bytes, begin + part.start * size..begin + part.end * size);
        Ok(Raw { kept, bytes: Arc::new(lease) })
    }

    /// Where within the file the tensors' numbers begin.
    pub fn data_start(&self) -> usize {
        self.data
    }
}

/// Why a tensor's numbers are not read.
fn unread_format(info: &TensorInfo) -> String {
    let kind = match info.dtype {
        Dtype::F4 | Dtype::F6_E2M3 | Dtype::F6_E3M2 | Dtype::F8_E5M2 | Dtype::F8_E4M3 => {
            ", of weights that are quantised"
        }
        Dtype::BOOL | Dtype::C64 => "",
        _ => ", of integers or of weights that are quantised",
    };
    format!(
        "has the number format {:?}{kind}; use f32, bf16 or f16 (load it with transformers, dequantised if need be, \
         and save it with save_pretrained)",
        info.dtype
    )
}

/// What is wrong with a file that cannot be read as safetensors because of `error`.
fn damage(bytes: &[u8], error: &str) -> String {
    // torch.save writes a zip archive, and wrote a pickle before torch 1.6.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0x80, 2]) {
        return "is a file of torch.save (pickle), not safetensors: load it with transformers and save it with \
                save_pretrained"
            .to_owned();
    }
    if bytes.starts_with(b"GGUF") {
        return "is a GGUF file, not safetensors: give that file as the model".to_owned();
    }
    let (have, told) = (bytes.len(), needed(bytes));
    match told {
        Some(0) => "begins with zeros: its download has not finished; fetch it again".to_owned(),
        Some(need) if need > have => format!(
            "truncated safetensors file: {have} of {need} bytes are there, {} are missing; fetch it again",
            need - have
        ),
        Some(need) if need < have => format!(
            "damaged safetensors file: it has {} bytes more than the {need} that its header describes; fetch it again",
            have - need
        ),
        _ => format!("truncated or damaged safetensors file ({error}); fetch it again"),
    }
}

/// Bytes that a file should have by its header: of what can be read, at least those of the header; 0 where the header's
/// length is 0. `None` if it does not begin as a safetensors file.
fn needed(bytes: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    if length == 0 {
        return Some(0);
    }
    let header = LENGTH_BYTES.checked_add(usize::try_from(length).ok()?)?;
    if header > LARGEST_HEADER || bytes.get(LENGTH_BYTES).is_some_and(|&byte| byte != b'{') {
        return None;
    }
    let Some(text) = bytes.get(LENGTH_BYTES..header) else { return Some(header) };
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    let ends = entries.values().filter_map(|entry| entry["data_offsets"][1].as_u64());
    header.checked_add(usize::try_from(ends.max().unwrap_or(0)).ok()?)
}
