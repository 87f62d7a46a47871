//! Frequencies as transformers computes them (`tests/fixtures/make-rope`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::{families, text_file};
use serde_json::Value;
use std::path::Path;

fn fixture() -> Vec<Value> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rope.json"));
    let all: Value = text_file::parse(&text_file::read(path).unwrap(), path).unwrap();
    all["cases"].as_array().unwrap().clone()
}

fn shape(config: &Value) -> families::Shape {
    families::from_json(config.clone(), Path::new("config.json")).unwrap().1
}

#[test]
fn frequencies_are_those_of_transformers_at_each_length() {
    let cases = fixture();
    let mut kinds = std::collections::BTreeSet::new();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let shape = shape(&case["config"]);
        let rope = &shape.ropes[0];
        kinds.insert(case["kind"].as_str().unwrap());
        for at in case["at"].as_array().unwrap() {
            let length = at["length"].as_u64().unwrap() as usize;
            let expected: Vec<f64> = serde_json::from_value(at["frequencies"].clone()).unwrap();
            let found = rope.frequencies_at(length);
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(&expected) {
                let off = (f64::from(*found) / expected - 1.0).abs();
                assert!(off < 2e-6, "{name} at {length}: {found} is not {expected}");
            }
            let factor = at["factor"].as_f64().unwrap();
            assert!((f64::from(rope.factor) - factor).abs() < 1e-6, "{name}: {}", rope.factor);
        }
    }
    let expected = ["default", "dynamic", "linear", "llama3", "longrope", "yarn"];
    assert!(kinds.into_iter().eq(expected));
}

#[test]
fn a_sequence_has_keys_of_one_set() {
    let cases = fixture();
    let longrope = cases.iter().find(|case| case["kind"] == "longrope").unwrap();
    let original = longrope["original"].as_u64().unwrap() as usize;
    let rope = &shape(&longrope["config"]).ropes[0];
    assert!(rope.check_sequence(original, original).is_ok());
    assert!(rope.check_sequence(original + 1, original + 9).is_ok());
    let refused = rope.check_sequence(original - 1, original + 1).unwrap_err().to_string();
    assert!(refused.ends_with("generate at most 2 tokens"), "{refused}");
    assert!(rope.range(original).is_compatible_with(rope.range(1)));
    assert!(!rope.range(original + 1).is_compatible_with(rope.range(1)));
    assert!(rope.range(original + 1).is_compatible_with(rope.range(original + 2)));
}

#[test]
fn a_growing_base_goes_beyond_the_context() {
    let cases = fixture();
    let dynamic = cases.iter().find(|case| case["kind"] == "dynamic").unwrap();
    let (config, shape) = (&dynamic["config"], shape(&dynamic["config"]));
    let declared = config["max_position_embeddings"].as_u64().unwrap() as usize;
    assert_eq!(shape.context, 4 * declared);
    let range = |length| shape.rope_range(length);
    assert!(range(declared).is_compatible_with(range(1)));
    assert!(!range(declared + 1).is_compatible_with(range(declared + 1)));
}
