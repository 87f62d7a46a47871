//! Random changes of files, each determined by a seed.

use rand::{Rng, RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::ops::Range;

/// The kind of a file's content.
#[derive(Clone, Copy, PartialEq)]
pub enum Format {
    Json,
    /// A JSON header after its length, then bytes.
    Safetensors,
    /// Binary content of which this many first bytes are changed.
    Binary(usize),
}

/// Numbers at which arithmetic tends to fail, as JSON writes them.
const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "2",
    "3",
    "0.5",
    "-0.0",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1000000000000",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e-308",
];

/// Values of other types.
const VALUES: [&str; 10] = [
    "null",
    "true",
    "\"\"",
    "\"\\u0000\\u001b[31m\"",
    "[]",
    "{}",
    "[[[[0]]]]",
    "[-1, 1e300]",
    "{\"a\": 1}",
    "\"a string where none is meant\"",
];

/// Returns a changed file.
pub fn mutated(random: &mut ChaCha8Rng, bytes: &[u8], format: Format) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..*[1, 1, 1, 2, 4].choose(random).unwrap() {
        bytes = match format {
            _ if random.random_ratio(1, 20) => {
                bytes[..random.random_range(0..=bytes.len())].to_vec()
            }
            Format::Json => of_json(random, &bytes),
            Format::Safetensors => of_safetensors(random, &bytes),
            Format::Binary(header) => of_binary(random, bytes, 0..header),
        };
    }
    bytes
}

fn of_json(random: &mut ChaCha8Rng, bytes: &[u8]) -> Vec<u8> {
    match (serde_json::from_slice::<Value>(bytes), random.random_range(0..10)) {
        (Ok(mut value), 0..8) => {
            change(random, &mut value);
            value.to_string().into_bytes()
        }
        (_, 8) => {
            // Nested deeper than a parser's stack.
            let depth = *[100, 200, 100_000].choose(random).unwrap();
            let inner = String::from_utf8_lossy(bytes).into_owned();
            let (open, close) = *[("[", "]"), ("{\"a\":", "}")].choose(random).unwrap();
            format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
        }
        _ => {
            let len = bytes.len();
            of_binary(random, bytes.to_vec(), 0..len)
        }
    }
}

/// Replaces or removes one value.
fn change(random: &mut ChaCha8Rng, value: &mut Value) {
    let goes_on = random.random_ratio(9, 10);
    match value {
        Value::Object(fields) if goes_on && !fields.is_empty() => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = keys.choose(random).unwrap();
            match random.random_range(0..12) {
                0 => drop(fields.remove(key)),
                1 => {
                    let taken = fields[key].clone();
                    fields.insert(keys.choose(random).unwrap().clone(), taken);
                }
                _ => change(random, &mut fields[key]),
            }
        }
        Value::Array(items) if goes_on && !items.is_empty() => {
            let index = random.random_range(0..items.len());
            match random.random_range(0..6) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => change(random, &mut items[index]),
            }
        }
        Value::String(text) if random.random_ratio(1, 2) => {
            let at = random.random_range(0..=text.chars().count());
            let part: String = text.chars().take(at).collect();
            *text = [part, format!("../{text}"), format!("{text}\u{7f}x")]
                .choose(random)
                .unwrap()
                .clone();
        }
        other => {
            let written = match random.random_ratio(2, 3) {
                true => NUMBERS.choose(random).unwrap(),
                false => VALUES.choose(random).unwrap(),
            };
            *other = serde_json::from_str(written).unwrap();
        }
    }
}

fn of_safetensors(random: &mut ChaCha8Rng, bytes: &[u8]) -> Vec<u8> {
    let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let data = usize::try_from(header).ok().and_then(|header| header.checked_add(8));
    let data = data.filter(|&data| data <= bytes.len()).unwrap_or(bytes.len().min(8));
    if random.random_ratio(1, 3) || data < 8 {
        return of_binary(random, bytes.to_vec(), 0..data);
    }
    let json = of_json(random, &bytes[8..data]);
    [&(json.len() as u64).to_le_bytes(), &json[..], &bytes[data..]].concat()
}

fn of_binary(random: &mut ChaCha8Rng, mut bytes: Vec<u8>, header: Range<usize>) -> Vec<u8> {
    let header = header.start..header.end.min(bytes.len());
    if header.is_empty() {
        return bytes;
    }
    let place = random.random_range(header.clone());
    match random.random_range(0..5) {
        0 => bytes[place] ^= 1 << random.random_range(0..8),
        1 => bytes[place] = random.random(),
        2 => {
            let number = boundary(random).to_le_bytes();
            let width = *[1, 2, 4, 8].choose(random).unwrap();
            let end = (place + width).min(bytes.len());
            bytes[place..end].copy_from_slice(&number[..end - place]);
        }
        3 => {
            // A part of the file, copied to another place.
            let from = random.random_range(header.clone());
            let part = bytes[from..(from + random.random_range(1..64)).min(header.end)].to_vec();
            let end = match random.random_ratio(1, 2) {
                true => place,
                false => (place + part.len()).min(bytes.len()),
            };
            bytes.splice(place..end, part);
        }
        _ => drop(bytes.drain(place..(place + random.random_range(1..64)).min(header.end))),
    }
    bytes
}

/// Returns a number at which arithmetic tends to fail, or a neighbour of one.
fn boundary(random: &mut ChaCha8Rng) -> u64 {
    let power = 1u64 << random.random_range(0..64);
    match random.random_range(0..4) {
        0 => power,
        1 => power.wrapping_sub(1),
        2 => power.wrapping_neg(),
        _ => random.next_u64() >> random.random_range(0..64),
    }
}
