//! A safetensors file, mapped into memory, and the numbers of its tensors.

use crate::{
    Error, Result,
    mapped::{self, MappedBytes},
    placeholder,
};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{
    Dtype, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use std::{ops::Range, path::PathBuf, sync::Arc};

/// The size in bytes of the header's length, with which a safetensors file begins (README of the format).
const LENGTH_BYTES: usize = 8;

/// The largest JSON header that the format allows, in bytes.
const MAX_HEADER_BYTES: usize = 100_000_000;

/// A safetensors file, mapped into memory.
pub struct TensorFile {
    /// The path of the file.
    pub path: PathBuf,
    /// All bytes of the file.
    pub(crate) bytes: Arc<Mmap>,
    /// The table of contents. Its offsets count from `data_start`.
    contents: Metadata,
    /// The offset of the tensors' data in the file, in bytes.
    data_start: usize,
}

/// The numbers of a tensor, or of a slice of it, in a mapped file.
#[derive(Clone)]
pub struct TensorData {
    format: StoredFloat,
    bytes: Arc<MappedBytes>,
}

/// The number format of a stored tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoredFloat {
    F64,
    F32,
    Bf16,
    F16,
}

impl StoredFloat {
    fn from_dtype(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F64 => Some(Self::F64),
            Dtype::F32 => Some(Self::F32),
            Dtype::BF16 => Some(Self::Bf16),
            Dtype::F16 => Some(Self::F16),
            _ => None,
        }
    }
}

impl TensorData {
    /// Reads a row of a matrix into `out`, as f32, until `out` is full.
    ///
    /// # Shapes
    /// - the matrix: `[rows, columns]`, or `[columns, rows]` in the file if `transposed`
    /// - `out`: the numbers of row `row` from column `first` on
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

    /// Returns the mapped bytes of the numbers.
    pub fn mapped_bytes(&self) -> &Arc<MappedBytes> {
        &self.bytes
    }

    /// Returns `true` if both have the same numbers in the same format. The pages of both are released.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let is_equal = self.format == other.format && **self.bytes == **other.bytes;
        self.bytes.release();
        other.bytes.release();
        is_equal
    }

    /// Reads all numbers, as f32. `len` is how many there are.
    pub fn vector(&self, len: usize) -> Vec<f32> {
        let mut numbers = vec![0f32; len];
        self.read(0, 1, &mut numbers);
        numbers
    }

    /// Reads the numbers with the indices `start`, `start + stride`, and so on into `out`, until `out` is full.
    ///
    /// The numbers become f32. F64 is rounded to f32, as torch does before it converts to narrower formats.
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
        match self.format {
            StoredFloat::F64 => {
                each(&self.bytes, start, stride, out, |bytes| f64::from_le_bytes(bytes) as f32);
            }
            StoredFloat::F32 => each(&self.bytes, start, stride, out, f32::from_le_bytes),
            StoredFloat::Bf16 => {
                each(&self.bytes, start, stride, out, |bytes| bf16::from_le_bytes(bytes).to_f32());
            }
            StoredFloat::F16 => {
                each(&self.bytes, start, stride, out, |bytes| f16::from_le_bytes(bytes).to_f32());
            }
        }
    }
}

impl TensorFile {
    /// Maps a file and reads its table of contents.
    ///
    /// # Errors
    /// Returns an error if the file is no safetensors file, is damaged, or has been downloaded only in part.
    pub fn open(path: PathBuf) -> Result<Self> {
        let bytes = mapped::map(&path)?;
        if let Some(control) = placeholder::control_file(&path) {
            let reason =
                format!("{control} beside it says that its download has not finished: resume it");
            return Err(Error::file(&path, reason));
        }
        // This also checks that the file has the length that its table of contents implies.
        let (header, contents) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| Error::file(&path, explain_damage(&bytes, &error.to_string())))?;
        Ok(Self { path, bytes, contents, data_start: LENGTH_BYTES + header })
    }

    /// Returns the names of the tensors.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.contents.tensors().into_keys()
    }

    /// Returns how many numbers all tensors have together.
    pub(super) fn element_count(&self) -> usize {
        let sizes = self.contents.tensors().into_values().map(|info| info.shape.iter().product());
        sizes.fold(0, usize::saturating_add)
    }

    /// Returns the shape of a tensor, or `None` if there is no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.contents.info(name).map(|info| &info.shape[..])
    }

    /// Returns the number format of a tensor, or `None` if there is no such tensor.
    pub(super) fn dtype(&self, name: &str) -> Option<Dtype> {
        self.contents.info(name).map(|info| info.dtype)
    }

    /// Finds a tensor, which must have exactly the shape `dims`. `origin` says in messages who expects that shape,
    /// such as "config.json implies".
    ///
    /// # Errors
    /// Returns an error if the tensor is missing, has another shape, or has a number format that is not read.
    pub fn find(&self, name: &str, dims: &[usize], origin: &str) -> Result<TensorData> {
        self.find_slice(name, dims, 0..dims.iter().product(), origin)
    }

    /// Finds a tensor as [`Self::find`] does, and returns only the numbers with the indices `part`.
    ///
    /// # Errors
    /// Returns the errors of [`Self::find`].
    pub(super) fn find_slice(
        &self,
        name: &str,
        dims: &[usize],
        part: Range<usize>,
        origin: &str,
    ) -> Result<TensorData> {
        let bad = |reason: String| Error::file(&self.path, format!("tensor {name} {reason}"));
        let info = self.contents.info(name).ok_or_else(|| bad("is missing".to_owned()))?;
        if info.shape != dims {
            return Err(bad(format!("has shape {:?}, but {origin} {dims:?}", info.shape)));
        }
        let format =
            StoredFloat::from_dtype(info.dtype).ok_or_else(|| bad(explain_unread_format(info)))?;
        let (begin, size) = (self.data_start + info.data_offsets.0, info.dtype.bitsize() / 8);
        let bytes =
            MappedBytes::new(&self.bytes, begin + part.start * size..begin + part.end * size);
        Ok(TensorData { format, bytes: Arc::new(bytes) })
    }

    /// Returns the offset of the tensors' data in the file, in bytes.
    pub(crate) fn data_start(&self) -> usize {
        self.data_start
    }
}

/// Explains why a tensor's number format is not read.
fn explain_unread_format(info: &TensorInfo) -> String {
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

/// Explains what is wrong with a file that the safetensors crate refuses with `error`.
fn explain_damage(bytes: &[u8], error: &str) -> String {
    // torch.save writes a zip archive, and wrote a pickle before torch 1.6.
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0x80, 2]) {
        return "is a file of torch.save (pickle), not safetensors: load it with transformers and save it with \
                save_pretrained"
            .to_owned();
    }
    if bytes.starts_with(b"GGUF") {
        return "is a GGUF file, not safetensors: give that file as the model".to_owned();
    }
    let have = bytes.len();
    match described_size(bytes) {
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

/// Returns the size in bytes that a file should have by its header. If the header is cut off, it is the size of the
/// header alone. It is 0 if the header's length is 0. Returns `None` if the file does not begin like a safetensors
/// file.
fn described_size(bytes: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    if length == 0 {
        return Some(0);
    }
    let header = LENGTH_BYTES.checked_add(usize::try_from(length).ok()?)?;
    if header > MAX_HEADER_BYTES || bytes.get(LENGTH_BYTES).is_some_and(|&byte| byte != b'{') {
        return None;
    }
    let Some(text) = bytes.get(LENGTH_BYTES..header) else { return Some(header) };
    let entries: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).ok()?;
    let ends = entries.values().filter_map(|entry| entry["data_offsets"][1].as_u64());
    header.checked_add(usize::try_from(ends.max().unwrap_or(0)).ok()?)
}
