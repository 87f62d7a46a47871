//! Values of a GGUF file's metadata.

use super::header::Entry;

/// The type of a value (`enum gguf_type` of ggml's `gguf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    U64,
    I64,
    F64,
}

impl Kind {
    /// The number of arrays, which have the type of their elements besides.
    pub const ARRAY: u32 = 9;

    /// The type of a number in a file.
    pub fn of_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Text,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of a value; none for texts, which have a length each.
    pub fn size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text => None,
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer of any width and sign.
    Whole(i128),
    /// A floating-point number of either width.
    Number(f64),
    /// A truth value.
    Bool(bool),
    /// Text; bytes that are not UTF-8 have become replacement characters.
    Text(String),
}

impl Value {
    /// It as a number that may have a fraction; none for texts.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Self::Text(_) => None,
        }
    }
}

/// The values of an entry: one, or all of an array. `bytes` are the whole file's.
pub fn values<'a>(bytes: &'a [u8], entry: &Entry) -> impl Iterator<Item = Value> + use<'a> {
    let (kind, count) = (entry.kind, entry.count.unwrap_or(1));
    let mut rest = &bytes[entry.range.clone()];
    // The header's reader has found all of them to lie within the range.
    (0..count).map_while(move |_| {
        let length = match kind.size() {
            Some(size) => size,
            None => {
                let (length, after) = rest.split_first_chunk::<8>()?;
                rest = after;
                u64::from_le_bytes(*length)
            }
        };
        let (one, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        Some(value(kind, one))
    })
}

fn value(kind: Kind, bytes: &[u8]) -> Value {
    let unsigned = || bytes.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    match kind {
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Value::Whole(unsigned().into()),
        Kind::I8 => Value::Whole((unsigned() as u8 as i8).into()),
        Kind::I16 => Value::Whole((unsigned() as u16 as i16).into()),
        Kind::I32 => Value::Whole((unsigned() as u32 as i32).into()),
        Kind::I64 => Value::Whole((unsigned() as i64).into()),
        Kind::F32 => Value::Number(f32::from_bits(unsigned() as u32).into()),
        Kind::F64 => Value::Number(f64::from_bits(unsigned())),
        Kind::Bool => Value::Bool(bytes != [0]),
        Kind::Text => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}
