//! Weights of a GGUF file, llama.cpp's format (`docs/gguf.md` of ggml). The container and its
//! quantised blocks are read by candle; Q8_0 is then multiplied by our own kernels, the k-quants and
//! the rest by candle's.

use super::matrix::Matrix;
use crate::{Error, Result};
use candle_core::{
    Device,
    quantized::{GgmlDType, QStorage, QTensor, gguf_file::Content},
};
use memmap2::Mmap;
use std::{
    borrow::Cow,
    fs::File,
    io::Cursor,
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
}

impl Gguf {
    /// Maps a file and reads its table of contents.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::file(path, reason);
        let file = File::open(path).map_err(|error| bad(error.to_string()))?;
        // SAFETY: the map is read-only; a file that another program shortens meanwhile ends this
        // process with SIGBUS, as it does in every loader that maps checkpoints.
        let bytes = unsafe { Mmap::map(&file) }.map_err(|error| bad(error.to_string()))?;
        let content = Content::read(&mut Cursor::new(&bytes[..]))
            .map_err(|error| bad(format!("not a readable GGUF file: {error}")))?;
        for (name, info) in &content.tensor_infos {
            let size = info.shape.elem_count() / info.ggml_dtype.block_size()
                * info.ggml_dtype.type_size();
            let end = content.tensor_data_offset + info.offset + size as u64;
            if end > bytes.len() as u64 {
                return Err(bad(format!(
                    "truncated GGUF file: tensor {name} ends at byte {end}; fetch it again"
                )));
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            bytes: Arc::new(bytes),
            content,
            interleaved_head: None,
        })
    }

    /// Whether it has a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Fills `out` with a vector, which must have that length.
    pub fn vector(&self, name: &str, out: &mut [f32]) -> Result<()> {
        let (dtype, bytes) = self.tensor(name, &[out.len()])?;
        let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, dtype)?;
        let tensor = QTensor::new(storage, out.len())?.dequantize(&Device::Cpu)?;
        out.copy_from_slice(&tensor.to_vec1::<f32>()?);
        Ok(())
    }

    /// A matrix of exactly that shape.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix> {
        let (dtype, all) = self.tensor(name, &[rows, columns])?;
        let row_bytes = all.len() / rows;
        let begin = all.as_ptr() as usize - self.bytes.as_ptr() as usize;
        let bytes = Arc::clone(&self.bytes);
        let row = move |row: usize| bytes[begin + row * row_bytes..][..row_bytes].to_vec();
        let matrix = match dtype {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
                let read = move |index: usize, out: &mut [f32]| {
                    let bytes = row(index);
                    match dtype {
                        GgmlDType::F32 => widen(&bytes, out, f32::from_le_bytes),
                        GgmlDType::F16 => {
                            widen(&bytes, out, |number| half::f16::from_le_bytes(number).to_f32());
                        }
                        _ => {
                            widen(&bytes, out, |number| half::bf16::from_le_bytes(number).to_f32());
                        }
                    }
                };
                Matrix::of_numbers(rows, columns, Arc::new(read))
            }
            _ => Matrix::of_blocks(rows, columns, dtype, Arc::new(row)),
        };
        let reordered = name.ends_with("attn_q.weight") || name.ends_with("attn_k.weight");
        Ok(match self.interleaved_head.filter(|_| reordered) {
            None => matrix,
            // Ours are all first halves of a head's pairs, then all second halves.
            Some(width) => matrix.select(rows, move |row| {
                let (head, place) = (row / width, row % width);
                head * width + place % (width / 2) * 2 + place / (width / 2)
            }),
        })
    }

    fn tensor(&self, name: &str, dims: &[usize]) -> Result<(GgmlDType, &[u8])> {
        let bad = |reason: String| Error::file(&self.path, format!("tensor {name} {reason}"));
        let info =
            self.content.tensor_infos.get(name).ok_or_else(|| bad("is missing".to_owned()))?;
        if info.shape.dims() != dims {
            return Err(bad(format!(
                "has shape {:?}, but the metadata imply {dims:?}",
                info.shape.dims()
            )));
        }
        let dtype = info.ggml_dtype;
        let size = info.shape.elem_count() / dtype.block_size() * dtype.type_size();
        let begin = (self.content.tensor_data_offset + info.offset) as usize;
        Ok((dtype, &self.bytes[begin..begin + size]))
    }
}

fn widen<const N: usize>(bytes: &[u8], out: &mut [f32], one: impl Fn([u8; N]) -> f32) {
    for (out, number) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = one(*number);
    }
}
