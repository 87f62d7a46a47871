//! A look over a GGUF file's header before it is read (ggml's `docs/gguf.md`):
//!
//! ```text
//! magic, version   number of tensors   number of entries   entries: key, type, value   tensors ...
//! ```
//!
//! candle checks lengths against the file before it reserves memory for them. What it does not check is
//! refused here.

use std::ops::ControlFlow;

/// Most elements of all arrays together. Vocabularies have some 10⁵; in memory, an element of one byte takes 32.
const MOST_ELEMENTS: u64 = 1 << 24;
/// Arrays may hold arrays; candle's limit.
const DEEPEST: usize = 64;

const TYPE_STRING: u32 = 8;
const TYPE_ARRAY: u32 = 9;

/// The reason why a file must not be read; none where the header ends early or is no header, of which the
/// reader tells more.
pub fn fault(bytes: &[u8]) -> Option<String> {
    match Header::new(bytes, true).entries() {
        Some(ControlFlow::Break(reason)) => Some(reason),
        _ => None,
    }
}

/// What is left of a header.
struct Header<'a> {
    bytes: &'a [u8],
    /// Whether lengths have eight bytes; version 1 has four.
    wide: bool,
    /// Elements of the arrays so far.
    elements: u64,
}

/// None where the file ends; a break is a fault.
type Looked = Option<ControlFlow<String>>;

impl<'a> Header<'a> {
    fn new(bytes: &'a [u8], wide: bool) -> Self {
        Self { bytes, wide, elements: 0 }
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(usize::try_from(count).ok()?)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: u64) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(taken.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length(&mut self) -> Option<u64> {
        self.number(if self.wide { 8 } else { 4 })
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn entries(&mut self) -> Looked {
        let _magic = self.take(4)?;
        self.wide = self.number(4)? != 1;
        let (_tensors, entries) = (self.length()?, self.length()?);
        for _ in 0..entries {
            let (key, kind) = (self.string()?, self.number(4)? as u32);
            let before = self.bytes;
            if let ControlFlow::Break(reason) = self.skip(kind, 0)? {
                let key = String::from_utf8_lossy(key);
                return Some(ControlFlow::Break(format!("metadata {key}: {reason}")));
            }
            if key == b"general.alignment"
                && let Some(size @ 1..) = size_of_number(kind)
            {
                let alignment = Header::new(before, self.wide).number(size)?;
                if alignment < 8 || !alignment.is_power_of_two() {
                    return Some(ControlFlow::Break(format!(
                        "metadata general.alignment is {alignment}, which is no power of two from 8 on"
                    )));
                }
            }
        }
        Some(ControlFlow::Continue(()))
    }

    fn skip(&mut self, kind: u32, depth: usize) -> Looked {
        match kind {
            TYPE_STRING => self.string().map(drop)?,
            TYPE_ARRAY => {
                let (kind, count) = (self.number(4)? as u32, self.length()?);
                self.elements = self.elements.saturating_add(count);
                if self.elements > MOST_ELEMENTS || depth >= DEEPEST {
                    return Some(ControlFlow::Break(format!(
                        "an array of {count} elements in {depth} others is beyond what is read"
                    )));
                }
                match size_of_number(kind) {
                    Some(size) => self.take(size * count).map(drop)?,
                    None => {
                        for _ in 0..count {
                            if let fault @ ControlFlow::Break(_) = self.skip(kind, depth + 1)? {
                                return Some(fault);
                            }
                        }
                    }
                }
            }
            number => self.take(size_of_number(number)?).map(drop)?,
        }
        Some(ControlFlow::Continue(()))
    }
}

/// Bytes of a value of that type; none for strings, arrays and unknown types.
fn size_of_number(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}
