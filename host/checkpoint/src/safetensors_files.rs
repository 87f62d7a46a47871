//! The safetensors files of a model's folder, mapped into memory.

use crate::{
    Error, Format, Result,
    mapped::{self, Lease},
    text_file,
};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{SafeTensors, tensor::Metadata};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// The safetensors files of a folder.
pub struct SafetensorsFiles {
    folder: PathBuf,
    /// The file that names them, where they are several.
    index: Option<PathBuf>,
    files: Vec<TensorFile>,
    /// Which of them holds a tensor.
    places: HashMap<String, usize>,
}

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

/// The file that names the files of a folder.
const INDEX: &str = "model.safetensors.index.json";

/// A safetensors file begins with the length of its JSON header, 8 bytes (the format's README).
const LENGTH_BYTES: usize = 8;

/// Numbers of a tensor in a mapped file.
#[derive(Clone)]
pub struct Raw {
    format: Format,
    bytes: Arc<Lease>,
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

    /// All of its numbers, of which there are `len`.
    pub fn vector(&self, len: usize) -> Vec<f32> {
        let mut numbers = vec![0f32; len];
        self.read(0, 1, &mut numbers);
        numbers
    }

    /// Numbers `start, start + stride, ...`, widened.
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
            Format::F32 => each(&self.bytes, start, stride, out, f32::from_le_bytes),
            Format::Bf16 => {
                each(&self.bytes, start, stride, out, |bytes| bf16::from_le_bytes(bytes).to_f32());
            }
            Format::F16 => {
                each(&self.bytes, start, stride, out, |bytes| f16::from_le_bytes(bytes).to_f32());
            }
        }
    }
}

impl SafetensorsFiles {
    /// Maps `model.safetensors`, or every file that `model.safetensors.index.json` names.
    pub fn open(folder: &Path) -> Result<Self> {
        let single = folder.join("model.safetensors");
        let index = folder.join(INDEX);
        let names = if single.is_file() {
            vec!["model.safetensors".to_owned()]
        } else if index.is_file() {
            file_names(&index)?
        } else {
            return Err(Error::file(
                folder,
                "no model.safetensors and no model.safetensors.index.json; other weight formats \
                 can be converted with transformers' save_pretrained",
            ));
        };
        let index = (!single.is_file()).then_some(index);
        let mut files = Vec::new();
        let mut places = HashMap::new();
        for name in names {
            let file = TensorFile::open(folder.join(name))?;
            places.extend(file.contents.tensors().into_keys().map(|name| (name, files.len())));
            files.push(file);
        }
        Ok(Self { folder: folder.to_path_buf(), index, files, places })
    }

    /// The file that names them; none where it is a single one.
    pub fn index(&self) -> Option<&Path> {
        self.index.as_deref()
    }

    /// The files, in order.
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// Numbers of all tensors.
    pub fn numbers(&self) -> usize {
        let infos = self.files.iter().flat_map(|file| file.contents.tensors().into_values());
        infos.map(|info| info.shape.iter().product::<usize>()).fold(0, usize::saturating_add)
    }

    /// Whether a tensor's name begins so.
    pub fn has_any(&self, start: &str) -> bool {
        self.places.keys().any(|name| name.starts_with(start))
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A tensor that must have exactly the shape `dims`.
    pub fn find(&self, name: &str, dims: &[usize]) -> Result<Raw> {
        let place = self.places.get(name).ok_or_else(|| {
            Error::file(
                &self.folder,
                format!("tensor {name} is missing from its safetensors files"),
            )
        })?;
        self.files[*place].find(name, dims, "config.json implies")
    }
}

impl TensorFile {
    /// Maps a file and reads its table of contents.
    pub fn open(path: PathBuf) -> Result<Self> {
        let bytes = mapped::map(&path)?;
        // Also checks that the file is as long as its table of contents says.
        let (header, contents) = SafeTensors::read_metadata(&bytes).map_err(|error| {
            let reason = format!("truncated or damaged safetensors file ({error}); fetch it again");
            Error::file(&path, reason)
        })?;
        Ok(Self { path, bytes, contents, data: LENGTH_BYTES + header })
    }

    /// Names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.contents.tensors().into_keys()
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.contents.info(name).map(|info| &info.shape[..])
    }

    /// A tensor that must have exactly the shape `dims`, as `origin` would have it.
    pub fn find(&self, name: &str, dims: &[usize], origin: &str) -> Result<Raw> {
        let bad = |reason: String| Error::file(&self.path, format!("tensor {name} {reason}"));
        let info = self.contents.info(name).ok_or_else(|| bad("is missing".to_owned()))?;
        if info.shape != dims {
            return Err(bad(format!("has shape {:?}, but {origin} {dims:?}", info.shape)));
        }
        let format = match info.dtype {
            safetensors::Dtype::F32 => Format::F32,
            safetensors::Dtype::BF16 => Format::Bf16,
            safetensors::Dtype::F16 => Format::F16,
            other => {
                return Err(bad(format!("has the number format {other:?}; use f32, bf16 or f16")));
            }
        };
        let (begin, end) = info.data_offsets;
        let bytes = Lease::new(&self.bytes, self.data + begin..self.data + end);
        Ok(Raw { format, bytes: Arc::new(bytes) })
    }

    /// Where within the file the tensors' numbers begin.
    pub fn data_start(&self) -> usize {
        self.data
    }
}

/// The distinct files of an index, in order.
pub(crate) fn file_names(index: &Path) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let index_of: Index = text_file::parse(&text_file::read(index)?, index)?;
    let names: BTreeSet<_> = index_of.weight_map.into_values().collect();
    if let Some(name) = names.iter().find(|name| !is_within(name)) {
        return Err(Error::file(
            index,
            format!("it names the file '{name}', which is not in its own folder"),
        ));
    }
    Ok(names.into_iter().collect())
}

/// Whether a name leads to a file of the folder that it is joined to, or of one within, on any system.
fn is_within(name: &str) -> bool {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    !name.is_empty()
        && !name.contains(['\\', ':', '\0'])
        && Path::new(name).components().all(is_plain)
}
