//! Reads the header of a GGUF file (ggml's `docs/gguf.md`):
//!
//! ```text
//! "GGUF" version   number of tensors   number of entries   entries ...   tensors ...   data
//!                                                          key type value
//!                                                                        name dims format offset
//! ```
//!
//! Lengths are checked against the size of the file before memory is reserved for them. Values stay in the file until
//! they are requested, so that a header needs little memory, whatever it contains.

use super::{
    block_format::TooLargeError,
    metadata_value::{MetadataValue, ValueType},
};
use std::{collections::BTreeMap, ops::Range};

/// The first bytes of a GGUF file.
pub(super) const MAGIC: [u8; 4] = *b"GGUF";
/// The first bytes of a GGUF file in the other byte order.
pub(super) const SWAPPED_MAGIC: [u8; 4] = *b"FUGG";

/// The versions that are read. For a reader they do not differ.
const VERSIONS: Range<u32> = 2..4;
/// The largest number of dimensions of a tensor (`GGML_MAX_DIMS`).
const MAX_DIMENSIONS: u32 = 4;
/// The longest name that is read, in bytes. ggml cuts the names of tensors after 63 bytes.
const MAX_NAME_BYTES: u64 = 1 << 10;
/// The alignment of the data, in bytes, unless `general.alignment` gives another one.
const DEFAULT_ALIGNMENT: u64 = 32;
/// The smallest value of `general.alignment`, in bytes. Blocks of numbers are read in place, so they must be aligned.
const MIN_ALIGNMENT: u64 = 8;
/// The smallest sizes of a metadata entry and of a tensor's description, in bytes: only their lengths and types.
const MIN_ENTRY_BYTES: u64 = 8 + 4 + 1;
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

/// The content of a header.
pub(super) struct Header {
    /// The metadata, by key.
    pub entries: BTreeMap<String, MetadataEntry>,
    /// The tensors, by name.
    pub tensors: BTreeMap<String, TensorDescription>,
    /// The offset of the tensors' data in the file, in bytes.
    pub data_start: usize,
}

/// A metadata value that is still in the file.
#[derive(Clone)]
pub(super) struct MetadataEntry {
    /// The type of the value, or of the elements of an array.
    pub value_type: ValueType,
    /// The range of the value's bytes in the file. An array's range has only its elements.
    pub range: Range<usize>,
    /// The number of elements. `None` if the value is no array.
    pub count: Option<usize>,
}

impl MetadataEntry {
    /// Returns the elements of an array, or the one value that is no array. `file` has all bytes of the file.
    pub(super) fn values<'a>(
        &self,
        file: &'a [u8],
    ) -> impl Iterator<Item = MetadataValue> + use<'a> {
        let (value_type, count) = (self.value_type, self.count.unwrap_or(1));
        let mut rest = &file[self.range.clone()];
        // The header's reader has checked that all values are within the range.
        (0..count).map_while(move |_| {
            let length = match value_type.size() {
                Some(size) => size,
                None => {
                    let (length, after) = rest.split_first_chunk::<8>()?;
                    rest = after;
                    u64::from_le_bytes(*length)
                }
            };
            let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            Some(MetadataValue::from_bytes(value_type, bytes))
        })
    }
}

/// The header's description of a tensor.
pub(super) struct TensorDescription {
    /// The dimensions. The first one is the slowest: rows before columns.
    pub dims: Vec<usize>,
    /// The number of its number format.
    pub format: u32,
    /// The offset of the tensor's bytes from the beginning of the data.
    pub offset: u64,
}

/// Why a header cannot be read. The sentence follows "not a readable GGUF file" in a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The file ends within its header.
    #[error(transparent)]
    Truncated(#[from] TruncatedHeaderError),

    /// The first bytes are not those of GGUF.
    #[error("it does not begin with GGUF")]
    NoMagic,

    /// The numbers are in the other byte order.
    #[error(
        "it is big-endian, for machines of the other byte order: use the little-endian file, or turn it with gguf-py's gguf-convert-endian"
    )]
    BigEndian,

    /// The file has version 1 of the format.
    #[error(
        "it is of version 1, of August 2023, which llama.cpp no longer reads either: convert the model again"
    )]
    FirstVersion,

    /// The file has a version of the format that is not read.
    #[error(
        "it is of version {0}, and versions {first} to {last} are read",
        first = VERSIONS.start,
        last = VERSIONS.end - 1
    )]
    UnknownVersion(u32),

    /// The header announces more tensors or metadata entries than the rest of the file can hold.
    #[error("it has {count} {items}, more than the file has room for")]
    TooMany {
        /// The announced number.
        count: u64,
        /// What is counted, in the plural.
        items: &'static str,
    },

    /// A name is longer than any name that is read.
    #[error("a name in its header has {0} bytes")]
    LongName(u64),

    /// A name holds control characters. Messages contain names, so such names are refused.
    #[error("a name in its header holds control characters")]
    ControlCharacters,

    /// The value of a metadata entry cannot be read.
    #[error("metadata {key}: {cause}")]
    Entry {
        /// The key of the entry.
        key: String,
        /// Why the value cannot be read.
        cause: EntryError,
    },

    /// Two metadata entries have the same key.
    #[error("metadata {0} is there twice")]
    RepeatedKey(String),

    /// The alignment is not a number of 32 bits.
    #[error("metadata general.alignment is not a number of 32 bits")]
    AlignmentType,

    /// The alignment is no power of two, or is too small.
    #[error("metadata general.alignment is {0}, which is no power of two from {MIN_ALIGNMENT} on")]
    Alignment(u64),

    /// The description of a tensor cannot be read.
    #[error("tensor {name} {cause}")]
    Tensor {
        /// The name of the tensor.
        name: String,
        /// Why the description cannot be read.
        cause: DescriptionError,
    },

    /// Two tensors have the same name.
    #[error("tensor {0} is there twice")]
    RepeatedTensor(String),

    /// The offset of the data is larger than any file.
    #[error("its data begins beyond any file")]
    DataStart,
}

/// The file ends within its header.
#[derive(Debug, thiserror::Error)]
#[error("its header ends early")]
pub(super) struct TruncatedHeaderError;

/// Why the value of a metadata entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    /// The file ends within the value.
    #[error(transparent)]
    Truncated(#[from] TruncatedHeaderError),

    /// The value is an array of arrays.
    #[error("it is an array of arrays, which llama.cpp does not write")]
    NestedArray,

    /// The number of the value's type is unknown.
    #[error("it is of type {0}, which GGUF does not have")]
    UnknownType(u32),
}

/// Why the description of a tensor cannot be read. The sentence follows the tensor's name in a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum DescriptionError {
    /// The file ends within the description.
    #[error(transparent)]
    Truncated(#[from] TruncatedHeaderError),

    /// The tensor has more dimensions than ggml allows.
    #[error("has {0} dimensions, more than {MAX_DIMENSIONS}")]
    TooManyDimensions(u32),

    /// A dimension does not fit in memory.
    #[error(transparent)]
    TooLarge(#[from] TooLargeError),
}

/// Reads a header from the bytes of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    let mut reader = HeaderReader { bytes, at: 0 };
    reader.version()?;
    let (tensor_count, entry_count) = (reader.u64()?, reader.u64()?);
    reader.has_room(tensor_count, MIN_TENSOR_BYTES, "tensors")?;
    reader.has_room(entry_count, MIN_ENTRY_BYTES, "metadata entries")?;
    let mut entries = BTreeMap::new();
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..entry_count {
        let key = reader.name()?;
        let entry = match reader.entry() {
            Ok(entry) => entry,
            Err(cause) => return Err(HeaderError::Entry { key, cause }),
        };
        if key == "general.alignment" {
            alignment = read_alignment(&bytes[entry.range.clone()], &entry)?;
        }
        if entries.insert(key.clone(), entry).is_some() {
            return Err(HeaderError::RepeatedKey(key));
        }
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let name = reader.name()?;
        let tensor = match reader.tensor() {
            Ok(tensor) => tensor,
            Err(cause) => return Err(HeaderError::Tensor { name, cause }),
        };
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(HeaderError::RepeatedTensor(name));
        }
    }
    let data_start = (reader.at as u64).next_multiple_of(alignment);
    let data_start = usize::try_from(data_start).map_err(|_| HeaderError::DataStart)?;
    Ok(Header { entries, tensors, data_start })
}

/// Reads the value of `general.alignment`, in bytes.
fn read_alignment(bytes: &[u8], entry: &MetadataEntry) -> Result<u64, HeaderError> {
    let number = bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
    if entry.value_type != ValueType::U32 || entry.count.is_some() {
        return Err(HeaderError::AlignmentType);
    }
    if number < MIN_ALIGNMENT || !number.is_power_of_two() {
        return Err(HeaderError::Alignment(number));
    }
    Ok(number)
}

struct HeaderReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> HeaderReader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], TruncatedHeaderError> {
        let rest = &self.bytes[self.at..];
        let count = usize::try_from(count).ok().filter(|&count| count <= rest.len());
        let count = count.ok_or(TruncatedHeaderError)?;
        self.at += count;
        Ok(&rest[..count])
    }

    fn u32(&mut self) -> Result<u32, TruncatedHeaderError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn u64(&mut self) -> Result<u64, TruncatedHeaderError> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Reads the name of an entry or a tensor. Names with control characters are refused, because messages contain
    /// names.
    fn name(&mut self) -> Result<String, HeaderError> {
        let length = self.u64()?;
        if length > MAX_NAME_BYTES {
            return Err(HeaderError::LongName(length));
        }
        let name = String::from_utf8_lossy(self.take(length)?).into_owned();
        match name.contains(char::is_control) {
            true => Err(HeaderError::ControlCharacters),
            false => Ok(name),
        }
    }

    fn version(&mut self) -> Result<(), HeaderError> {
        let magic = self.take(4)?;
        let version = self.u32()?;
        if magic == SWAPPED_MAGIC || VERSIONS.contains(&version.swap_bytes()) {
            return Err(HeaderError::BigEndian);
        }
        if magic != MAGIC {
            return Err(HeaderError::NoMagic);
        }
        match version {
            1 => Err(HeaderError::FirstVersion),
            version if VERSIONS.contains(&version) => Ok(()),
            version => Err(HeaderError::UnknownVersion(version)),
        }
    }

    fn has_room(&self, count: u64, least: u64, items: &'static str) -> Result<(), HeaderError> {
        let rest = (self.bytes.len() - self.at) as u64;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= rest => Ok(()),
            _ => Err(HeaderError::TooMany { count, items }),
        }
    }

    fn entry(&mut self) -> Result<MetadataEntry, EntryError> {
        let number = self.u32()?;
        let (number, count) = match number {
            ValueType::ARRAY => {
                let number = self.u32()?;
                if number == ValueType::ARRAY {
                    return Err(EntryError::NestedArray);
                }
                (number, Some(self.u64()?))
            }
            number => (number, None),
        };
        let value_type = ValueType::from_number(number).ok_or(EntryError::UnknownType(number))?;
        let start = self.at;
        match (value_type.size(), count.unwrap_or(1)) {
            (Some(size), count) => {
                let bytes = count.checked_mul(size).ok_or(TruncatedHeaderError)?;
                self.take(bytes)?;
            }
            (None, count) => {
                for _ in 0..count {
                    let length = self.u64()?;
                    self.take(length)?;
                }
            }
        }
        // Each element has at least one byte in the file, so the count fits in memory.
        Ok(MetadataEntry {
            value_type,
            range: start..self.at,
            count: count.map(|count| count as usize),
        })
    }

    fn tensor(&mut self) -> Result<TensorDescription, DescriptionError> {
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(DescriptionError::TooManyDimensions(dimensions));
        }
        let mut dims = Vec::new();
        for _ in 0..dimensions {
            let dim = usize::try_from(self.u64()?).map_err(|_| TooLargeError)?;
            dims.insert(0, dim);
        }
        Ok(TensorDescription { dims, format: self.u32()?, offset: self.u64()? })
    }
}
