//! The header of a GGUF file (ggml's `docs/gguf.md`):
//!
//! ```text
//! "GGUF" version   number of tensors   number of entries   entries ...   tensors ...   data
//!                                                          key type value
//!                                                                        name dims format offset
//! ```
//!
//! Lengths are checked against the file before memory is reserved for them. Values stay in the file until they
//! are asked for, so that a header takes little memory whatever it says.

use super::{format, value::Kind};
use std::{collections::BTreeMap, ops::Range};

/// What a file starts with.
pub const MAGIC: [u8; 4] = *b"GGUF";
/// The same of a file whose numbers are in the other byte order.
pub const SWAPPED_MAGIC: [u8; 4] = *b"FUGG";

/// Versions that are read; they differ in nothing that concerns a reader.
const VERSIONS: Range<u32> = 2..4;
/// Most dimensions of a tensor (`GGML_MAX_DIMS`).
const MOST_DIMENSIONS: u32 = 4;
/// Most bytes of a name that is read. ggml cuts those of tensors at 63.
const LONGEST_NAME: u64 = 1 << 10;
/// Where data starts at a multiple of this unless `general.alignment` says otherwise.
const DEFAULT_ALIGNMENT: u64 = 32;
/// `general.alignment` must be a multiple of so many bytes, because blocks of numbers are read in place.
const LEAST_ALIGNMENT: u64 = 8;
/// Fewest bytes of an entry and of a tensor's description: their lengths and types alone.
const LEAST_ENTRY: u64 = 8 + 4 + 1;
const LEAST_TENSOR: u64 = 8 + 4 + 4 + 8;

/// What a header says.
pub struct Header {
    /// Values by their keys.
    pub entries: BTreeMap<String, Entry>,
    /// Tensors by their names.
    pub tensors: BTreeMap<String, Description>,
    /// Where the tensors' data begins, in bytes.
    pub data: usize,
}

/// Where a value lies.
#[derive(Clone)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its bytes; of an array, those of its elements.
    pub range: Range<usize>,
    /// How many values there are, where it is an array.
    pub count: Option<usize>,
}

/// A tensor as the header describes it.
pub struct Description {
    /// Dimensions, the one that changes most slowly first.
    pub dims: Vec<usize>,
    /// The number of its format.
    pub format: u32,
    /// Where its bytes begin, from the data's beginning on.
    pub offset: u64,
}

/// The reason why a header cannot be read.
type Fault = String;

/// Reads a header.
pub fn read(bytes: &[u8]) -> Result<Header, Fault> {
    let mut reader = Reader { bytes, at: 0 };
    reader.version()?;
    let (tensor_count, entry_count) = (reader.u64()?, reader.u64()?);
    reader.has_room(tensor_count, LEAST_TENSOR, "tensors")?;
    reader.has_room(entry_count, LEAST_ENTRY, "metadata entries")?;
    let mut entries = BTreeMap::new();
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..entry_count {
        let key = reader.name()?;
        let entry = reader.entry().map_err(|reason| format!("metadata {key}: {reason}"))?;
        if key == "general.alignment" {
            alignment = aligned(&bytes[entry.range.clone()], &entry)?;
        }
        if entries.insert(key.clone(), entry).is_some() {
            return Err(format!("metadata {key} is there twice"));
        }
    }
    let mut tensors = BTreeMap::new();
    for _ in 0..tensor_count {
        let name = reader.name()?;
        let tensor = reader.tensor().map_err(|reason| format!("tensor {name} {reason}"))?;
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(format!("tensor {name} is there twice"));
        }
    }
    let data = (reader.at as u64).next_multiple_of(alignment);
    let data = usize::try_from(data).map_err(|_| "its data begins beyond any file".to_owned())?;
    Ok(Header { entries, tensors, data })
}

/// The number of `general.alignment`.
fn aligned(bytes: &[u8], entry: &Entry) -> Result<u64, Fault> {
    let number = bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
    if entry.kind != Kind::U32 || entry.count.is_some() {
        return Err("metadata general.alignment is not a number of 32 bits".to_owned());
    }
    if number < LEAST_ALIGNMENT || !number.is_power_of_two() {
        return Err(format!(
            "metadata general.alignment is {number}, which is no power of two from {LEAST_ALIGNMENT} on"
        ));
    }
    Ok(number)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let count = usize::try_from(count).ok().filter(|&count| count <= rest.len());
        let count = count.ok_or("its header ends early")?;
        self.at += count;
        Ok(&rest[..count])
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The name of an entry or a tensor, which sentences are made of.
    fn name(&mut self) -> Result<String, Fault> {
        let length = self.u64()?;
        if length > LONGEST_NAME {
            return Err(format!("a name in its header has {length} bytes"));
        }
        let name = String::from_utf8_lossy(self.take(length)?).into_owned();
        match name.contains(char::is_control) {
            true => Err("a name in its header holds control characters".to_owned()),
            false => Ok(name),
        }
    }

    fn version(&mut self) -> Result<(), Fault> {
        let magic = self.take(4)?;
        let version = self.u32()?;
        if magic == SWAPPED_MAGIC || VERSIONS.contains(&version.swap_bytes()) {
            return Err("it is big-endian, for machines of the other byte order: use the little-endian file, or turn it with gguf-py's gguf-convert-endian".to_owned());
        }
        if magic != MAGIC {
            return Err("it does not begin with GGUF".to_owned());
        }
        match version {
            1 => Err("it is of version 1, of August 2023, which llama.cpp no longer reads either: convert the model again".to_owned()),
            version if VERSIONS.contains(&version) => Ok(()),
            version => Err(format!(
                "it is of version {version}, and versions {} to {} are read",
                VERSIONS.start,
                VERSIONS.end - 1
            )),
        }
    }

    fn has_room(&self, count: u64, least: u64, what: &str) -> Result<(), Fault> {
        let rest = (self.bytes.len() - self.at) as u64;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= rest => Ok(()),
            _ => Err(format!("it has {count} {what}, more than the file has room for")),
        }
    }

    fn entry(&mut self) -> Result<Entry, Fault> {
        let kind = self.u32()?;
        let (kind, count) = match kind {
            Kind::ARRAY => {
                let kind = self.u32()?;
                if kind == Kind::ARRAY {
                    return Err(
                        "it is an array of arrays, which llama.cpp does not write".to_owned()
                    );
                }
                (kind, Some(self.u64()?))
            }
            kind => (kind, None),
        };
        let kind = Kind::of_number(kind)
            .ok_or_else(|| format!("it is of type {kind}, which GGUF does not have"))?;
        let start = self.at;
        match (kind.size(), count.unwrap_or(1)) {
            (Some(size), count) => {
                let bytes = count.checked_mul(size).ok_or("its header ends early")?;
                self.take(bytes)?;
            }
            (None, count) => {
                for _ in 0..count {
                    let length = self.u64()?;
                    self.take(length)?;
                }
            }
        }
        // Each element has taken a byte at least, so that the count is one of memory.
        Ok(Entry { kind, range: start..self.at, count: count.map(|count| count as usize) })
    }

    fn tensor(&mut self) -> Result<Description, Fault> {
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(format!("has {dimensions} dimensions, more than {MOST_DIMENSIONS}"));
        }
        let mut dims = Vec::new();
        for _ in 0..dimensions {
            let dim = usize::try_from(self.u64()?).map_err(|_| format::TOO_LARGE)?;
            dims.insert(0, dim);
        }
        Ok(Description { dims, format: self.u32()?, offset: self.u64()? })
    }
}
