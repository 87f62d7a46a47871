//! The types and values of a GGUF file's metadata.

/// The type of a metadata value in a file (`enum gguf_type` in ggml's `gguf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
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

impl ValueType {
    /// The number of the type "array". The type of the elements follows it in the file.
    pub(super) const ARRAY: u32 = 9;

    /// Returns the type with a number in a file. Returns `None` if there is no such type.
    pub(super) fn from_number(number: u32) -> Option<Self> {
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

    /// Returns the size of a value in bytes. Returns `None` for texts, because each has its own length.
    pub(super) fn size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text => None,
        }
    }
}

/// A value of a GGUF key, of any of the types that the format has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetadataValue {
    /// A signed or unsigned integer of any width.
    Whole(i128),
    /// A floating-point number of 32 or 64 bits.
    Number(f64),
    /// A truth value.
    Bool(bool),
    /// A text. Bytes that are not UTF-8 were replaced by replacement characters.
    Text(String),
}

impl MetadataValue {
    /// Converts the bytes of a value in a file, which are little-endian.
    pub(super) fn from_bytes(value_type: ValueType, bytes: &[u8]) -> Self {
        let unsigned =
            || bytes.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        match value_type {
            ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64 => {
                Self::Whole(unsigned().into())
            }
            ValueType::I8 => Self::Whole((unsigned() as u8 as i8).into()),
            ValueType::I16 => Self::Whole((unsigned() as u16 as i16).into()),
            ValueType::I32 => Self::Whole((unsigned() as u32 as i32).into()),
            ValueType::I64 => Self::Whole((unsigned() as i64).into()),
            ValueType::F32 => Self::Number(f32::from_bits(unsigned() as u32).into()),
            ValueType::F64 => Self::Number(f64::from_bits(unsigned())),
            ValueType::Bool => Self::Bool(bytes != [0]),
            ValueType::Text => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// Returns the value as a floating-point number, with 0 and 1 for truth values. Returns `None` for texts.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            Self::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Self::Text(_) => None,
        }
    }
}
