//! Configs against the classes of transformers 5: what `tests/fixtures/make-config-defaults` and
//! `make-config-spellings` saw of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{Config, RopeParameters, TokenIds};
use crate::families::{self, Shape};
use serde_json::{Map, Value, json};
use std::path::Path;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn parse(fields: &Value) -> crate::Result<(Config, Shape)> {
    families::from_json(fields.clone(), Path::new("config.json"))
}

/// What a config means, in the words of `config_meaning.py`.
fn meaning(config: &Config, shape: &Shape) -> Map<String, Value> {
    let Value::Object(mut found) = serde_json::to_value(config).unwrap() else { unreachable!() };
    let experts = shape.layer_kinds.iter().map(|layer| layer.experts);
    for (name, value) in [
        ("num_key_value_heads", json!(shape.kv_heads)),
        ("head_dim", json!(shape.head_dim)),
        ("intermediate_size", json!(shape.intermediate)),
        ("windows", json!(shape.windows().collect::<Vec<_>>())),
        ("with_experts", json!(experts.collect::<Vec<_>>())),
        ("ropes", json!(config.ropes.iter().map(rope).collect::<Vec<_>>())),
        ("eos_token_id", json!(config.eos_token_id.as_ref().map_or(Vec::new(), TokenIds::to_vec))),
    ] {
        found.insert(name.to_owned(), value);
    }
    found
}

/// A rotary embedding's parameters that its type reads, in the words of `config_meaning.py`.
fn rope(rope: &RopeParameters) -> Map<String, Value> {
    let Value::Object(mut found) = serde_json::to_value(rope).unwrap() else { unreachable!() };
    let kind = rope.rope_type.as_deref().unwrap_or("default");
    found.insert("rope_type".to_owned(), json!(kind));
    found.remove("max_position_embeddings");
    if !["llama3", "yarn", "longrope"].contains(&kind) {
        found.remove("original_max_position_embeddings");
    }
    found.retain(|_, value| !value.is_null());
    found
}

/// Whether two values are one, numbers as numbers.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| is_same(ours, theirs))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, value)| {
                    theirs.get(name).is_some_and(|theirs| is_same(value, theirs))
                })
        }
        _ => ours == theirs,
    }
}

/// What transformers describes and this version refuses to run, by what the sentence says.
const REFUSED: [&str; 6] = [
    "pairs of dimensions of a head are rotated: it needs one for each",
    "rope_type '",
    "dimensions of a head are to be rotated",
    "scale_attn_by_inverse_layer_idx is true",
    "there are windowed layers and no sliding_window",
    "head_dim is not hidden_size / num_attention_heads",
];

/// The fields whose meaning differs from transformers', one a line.
fn differences(fields: &Value, theirs: &Map<String, Value>) -> String {
    let (config, shape) = match parse(fields) {
        Ok(parsed) => parsed,
        Err(error) if REFUSED.iter().any(|reason| error.to_string().contains(reason)) => {
            return String::new();
        }
        Err(error) => return format!("{fields}: {error}\n"),
    };
    let ours = meaning(&config, &shape);
    let line = |(name, theirs): (&String, &Value)| {
        let ours = ours.get(name).unwrap_or(&Value::Null);
        (!is_same(ours, theirs)).then(|| format!("{fields}: {name} is {ours}, not {theirs}\n"))
    };
    theirs.iter().filter_map(line).collect()
}

#[test]
fn a_config_without_fields_means_its_class() {
    let fixture = fixture("config-defaults.json");
    let families = fixture["families"].as_object().unwrap();
    assert_eq!(families.len(), families::classes().count());
    for (family, class) in families {
        let fields = json!({ "model_type": family });
        assert_eq!(differences(&fields, class["meaning"].as_object().unwrap()), "", "{family}");
    }
}

#[test]
fn every_field_of_a_class_is_known() {
    let fixture = fixture("config-defaults.json");
    let names = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let common = names(&fixture["common"]);
    for class in families::classes() {
        let theirs = &fixture["families"][class.model_type];
        assert_eq!(theirs["class"], class.name);
        let theirs = names(&theirs["fields"]);
        let fields: Map<_, _> =
            theirs.iter().chain(&common).map(|name| (name.clone(), Value::Null)).collect();
        assert_eq!(class.warnings(&fields), Vec::<String>::new(), "{}", class.name);
        // Modules read these fields from the config although the class does not declare them.
        let beyond = ["head_dim", "layer_types", "sliding_window_pattern"];
        for field in class.fields.iter().filter(|field| !beyond.contains(&field.name)) {
            assert!(theirs.iter().any(|name| name == field.name), "{}: {}", class.name, field.name);
        }
    }
}

#[test]
fn both_spellings_of_a_field_mean_what_transformers_takes() {
    let fixture = fixture("config-spellings.json");
    let mut cases = 0;
    let mut wrong = String::new();
    for class in families::classes() {
        let family = &fixture[class.model_type];
        for case in family["cases"].as_array().unwrap() {
            let (fields, Value::Object(changed)) = (&case[0], &case[1]) else { continue };
            let mut config = family["config"].as_object().unwrap().clone();
            config.extend(fields.as_object().unwrap().clone());
            let mut theirs = family["meaning"].as_object().unwrap().clone();
            theirs.extend(changed.clone());
            wrong += &differences(&config.into(), &theirs);
            cases += 1;
        }
    }
    assert!(cases > 2000, "{cases}");
    assert_eq!(wrong, "");
}

#[test]
fn the_language_model_of_one_of_images_is_read() {
    let fixture = fixture("config-spellings.json");
    for case in fixture["images"].as_array().unwrap() {
        assert_eq!(differences(&case[0], case[1].as_object().unwrap()), "");
    }
}
