//! Damaged files are refused with a message, and never cause a panic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::{chat::ChatTemplate, tokenizer::Tokenizer};
use memmap2::MmapMut;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gguf"));
    std::fs::read(folder.join(format!("{name}.gguf"))).unwrap()
}

fn open(bytes: &[u8]) -> Result<Gguf> {
    let mut map = MmapMut::map_anon(bytes.len().max(1)).unwrap();
    map[..bytes.len()].copy_from_slice(bytes);
    let path = Path::new("damaged.gguf");
    let opened = gguf_files::open_bytes(path, Arc::new(map.make_read_only().unwrap()))?;
    Ok(Gguf::from_files(path, opened))
}

/// Reads everything that loading a model reads, and computes nothing.
fn read(bytes: &[u8]) -> Result<()> {
    let mut gguf = open(bytes)?;
    let _ = (gguf.float_format(), gguf.widest_block(), gguf.quantization());
    ChatTemplate::from_gguf(&gguf);
    Tokenizer::from_gguf(&gguf)?;
    let names: Vec<String> = gguf.tensor_names().map(str::to_owned).collect();
    for name in names {
        match *gguf.dims(&name).unwrap() {
            [len] => drop(gguf.vector(&name, len)?),
            [rows, columns] => drop(gguf.rows(&name, rows, Some(columns))?),
            _ => {}
        }
    }
    GgufModel::read(&mut gguf).map(drop)
}

fn assert_no_panic(bytes: &[u8], what: &str) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| read(bytes)));
    let result = result.unwrap_or_else(|_| panic!("{what} panics"));
    if let Err(error) = &result {
        let sentence = error.to_string();
        assert!(!sentence.is_empty() && sentence.lines().count() == 1, "{what}: {sentence}");
    }
    result.is_err()
}

#[test]
fn damaged_headers_are_refused_with_a_sentence() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for name in ["vocabulary-gpt-2", "vocabulary-llama-bpe", "gpt-neox-f32", "llama3-bf16"] {
        let whole = fixture(name);
        let header = open(&whole).unwrap().files[0].data_start;
        let mut refused = 0;
        for round in 0..1500 {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(0..header);
                bytes[place] = match round % 3 {
                    0 => bytes[place] ^ 1 << random.random_range(0..8),
                    1 => [0, 0xff, 0x7f, 0x80][random.random_range(0..4)],
                    _ => random.random(),
                };
            }
            refused += u32::from(assert_no_panic(&bytes, &format!("{name}, round {round}")));
        }
        assert!(refused > 300, "{name}: only {refused} of 1500 were refused");
        for _ in 0..200 {
            let length = random.random_range(0..header);
            assert!(assert_no_panic(&whole[..length], &format!("{name} of {length} bytes")));
        }
    }
}

/// Makes a file with one metadata entry and one tensor.
fn file(alignment: u32, dims: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend([1u64, 1].map(u64::to_le_bytes).concat());
    bytes.extend(string("general.alignment"));
    bytes.extend([4, alignment].map(u32::to_le_bytes).concat());
    bytes.extend(string("weight"));
    bytes.extend((dims.len() as u32).to_le_bytes());
    dims.iter().for_each(|dim| bytes.extend(dim.to_le_bytes()));
    bytes.extend(dtype.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(32) + 4096, 0);
    bytes
}

#[test]
fn numbers_that_no_file_can_hold_are_refused() {
    const F32: u32 = 0;
    const Q8_0: u32 = 8;
    let refused = |bytes: Vec<u8>, word: &str| {
        let error = open(&bytes).err().unwrap_or_else(|| panic!("'{word}' was expected"));
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains("damaged.gguf"), "{error}");
    };
    assert!(open(&file(32, &[8, 8], F32, 0)).is_ok());
    assert!(open(&file(32, &[32, 8], Q8_0, 64)).is_ok());
    refused(file(0, &[8, 8], F32, 0), "general.alignment is 0");
    refused(file(24, &[8, 8], F32, 0), "general.alignment is 24");
    refused(file(1, &[8, 8], F32, 0), "general.alignment is 1");
    refused(file(32, &[8, 8], F32, 4), "multiple of 8 bytes");
    for back in [64, 128, 200] {
        refused(file(32, &[8, 8], F32, 0u64.wrapping_sub(back)), "beyond any file");
    }
    refused(file(32, &[8, 8], F32, 0u64.wrapping_sub(1 << 20)), "truncated");
    refused(file(32, &[8, 8], F32, 1 << 40), "truncated");
    refused(file(32, &[1 << 32, 1 << 32], F32, 0), "larger than any file");
    refused(file(32, &[1 << 62, 1], F32, 0), "larger than any file");
    refused(file(32, &[u64::MAX, u64::MAX], F32, 0), "larger than any file");
    refused(file(32, &[8, 0], F32, 0), "no numbers");
    refused(file(32, &[16, 8], Q8_0, 0), "whole blocks");
    refused(file(32, &[8; 5], F32, 0), "5 dimensions");
}

#[test]
fn counts_and_lengths_beyond_the_file_are_refused() {
    let whole = file(32, &[8, 8], 0, 0);
    for (place, what) in [(8, "tensors"), (16, "entries"), (24, "the key")] {
        for count in [1 << 20, 1 << 40, u64::MAX, u64::MAX / 2 + 1] {
            let mut bytes = whole.clone();
            bytes[place..place + 8].copy_from_slice(&count.to_le_bytes());
            assert!(open(&bytes).is_err(), "{count} {what}");
        }
    }
    // The entry's value is written as an array: of u8, of arrays, and of more elements than the file has.
    let value = 24 + 8 + "general.alignment".len();
    for count in [1u64 << 24, (1 << 24) + 1, 1 << 40, u64::MAX] {
        let mut bytes = whole[..value].to_vec();
        bytes.extend([9u32, 0].map(u32::to_le_bytes).concat());
        bytes.extend(count.to_le_bytes());
        bytes.resize(bytes.len() + 4096, 9);
        assert!(open(&bytes).is_err(), "an array of {count}");
    }
    let mut nested = whole[..value].to_vec();
    nested.extend(9u32.to_le_bytes());
    for _ in 0..100_000 {
        nested.extend(9u32.to_le_bytes());
        nested.extend(1u64.to_le_bytes());
    }
    assert!(open(&nested).is_err(), "arrays in arrays");
}
