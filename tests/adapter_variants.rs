//! Adapter folders as PEFT and other programs save them. `fixtures/make-adapter-variants` lists changes of names, tensors and configs
//! and what PEFT did with each changed folder; these tests make the same folders and compare.

use crate::{
    adapters::adapter,
    parity::{F32_TOLERANCE, assert_close, ids},
    support::fixtures,
};
use llem_engine::{
    AdapterSource, Control, DType, DeviceId, LoadOptions, Model, Prompt, Request, Split,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::TempDir;

const RECIPES: &str = "adapter-variants.json";

/// Folders that PEFT loads: llem gives the same tokens and logits.
const AS_PEFT: &[&str] = &[
    "default",
    "another-adapter-name",
    "dora-weight",
    "dora-default-weight",
    "embedding-default",
    "experts-default",
    "experts-apart-default",
    "same-embedding-and-head",
    "same-norms",
    "other-embedding",
    "other-head",
    "other-norm",
    "other-projection-without-factors",
    "other-embedding-of-a-tied-model",
    "other-head-of-a-tied-model",
    "tied-embedding-and-head",
    "ensured-weight-tying",
    "saved-embedding-of-a-tied-model",
    "same-base-layer",
    "without-base-layer",
    "original-module",
    "trainable-tokens",
    "trainable-tokens-of-a-tied-model",
    "trainable-tokens-of-a-head",
    "unknown-fields",
    "a-target-that-is-nowhere",
    "a-saved-module-that-is-nowhere",
    "a-target-of-the-whole-name",
    "targets-by-default",
    "targets-by-default-of-gpt2",
    "targets-by-default-of-gpt-neox",
    "no-target-modules-but-parameters",
    "whole-numbers-as-floats",
    "sequence-classification",
    "feature-extraction",
    "no-task",
    "loftq-config",
    "init-none",
    "init-false",
    "init-gaussian",
    "init-eva",
    "init-orthogonal",
    "init-mica",
];

/// Folders that PEFT does not load, because it finds no tensors or fails at the config. llem loads them as the adapter that they
/// were made from, with a warning that contains the given words.
const AS_MADE: &[(&str, &str)] = &[
    ("compiled", "_orig_mod.model.layers.0"),
    ("compiled-outside", "_orig_mod.base_model"),
    ("fsdp", "_fsdp_wrapped_module"),
    ("checkpointed", "_checkpoint_wrapped_module"),
    ("data-parallel", "module.base_model"),
    ("no-prefix", "base_model.model.model.layers.0"),
    ("doubled-prefix", "base_model.model.base_model.model."),
    ("headless", "layers.0.self_attn"),
    ("headless-gpt2", "h.0.attn.c_attn"),
    ("headless-gpt-neox", "layers.0.attention.query_key_value"),
    ("vision-language", "model.language_model.layers.0"),
    ("vision-language-of-transformers-4", "language_model.model.layers.0"),
    ("dora-default", "lora_magnitude_vector.default"),
    ("saved-default", "modules_to_save.default"),
    ("rank-as-float", ""),
    ("lower-case-method", ""),
    ("velora", ""),
    ("monteclora", ""),
];

/// Folders that llem refuses, with the words of its error.
const REFUSED: &[(&str, &[&str])] = &[
    ("down-and-up", &["lora_down.weight", "q_proj.lora_A.weight"]),
    ("more-rows", &["embed_tokens.weight", "204 tokens", "200", "resize_token_embeddings"]),
    ("fewer-rows", &["lm_head.weight", "150 tokens", "200", "merge_and_unload"]),
    ("other-base-layer", &["q_proj.base_layer.weight", "not the base model's weight"]),
    ("weight-beside-factors", &["q_proj.weight", "not the base model's weight"]),
    ("targets-nowhere", &["lora_A.weight", "target_modules"]),
    ("a-string-that-is-one-name", &["target_modules", "write a list of names"]),
    ("targets-by-default-with-more-tensors", &["k_proj.lora_A.weight", "target_modules"]),
    ("alpha-as-text", &["lora_alpha", "\"16\""]),
    ("biases-that-are-not-configured", &["lora_B.bias", "lora_bias"]),
    ("configured-biases-that-are-absent", &["q_proj.lora_B.bias", "missing"]),
    ("kasa", &["kasa_config", "merge_and_unload"]),
    ("init-pissa", &["init_lora_weights", "pissa", "path_initial_model_for_weight_conversion"]),
    ("init-olora", &["init_lora_weights", "olora"]),
    ("init-corda", &["init_lora_weights", "corda"]),
    ("init-unknown", &["init_lora_weights", "nonsense", "gaussian"]),
];

fn recipes() -> BTreeMap<String, Value> {
    let text = fs::read(fixtures().join(RECIPES)).unwrap();
    let recipes: Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(recipes["cases"].clone()).unwrap()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap())
}

/// Makes the folder that a recipe describes.
fn make(recipe: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = adapter(recipe["adapter"].as_str().unwrap());
    let bytes = fs::read(source.join("adapter_model.safetensors")).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec(), view.data().to_vec()))
        .filter(|(name, ..)| !texts(&recipe["remove"]).any(|part| name.contains(part)))
        .collect();
    for pair in recipe["rename"].as_array().into_iter().flatten() {
        let (old, new) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        tensors.iter_mut().for_each(|(name, ..)| *name = name.replace(old, new));
    }
    let base = fixtures().join(recipe["base"].as_str().unwrap()).join("model.safetensors");
    let bytes = fs::read(base).unwrap();
    let base = SafeTensors::deserialize(&bytes).unwrap();
    for (name, how) in recipe["add"].as_object().into_iter().flatten() {
        let view = base.tensor(how["of"].as_str().unwrap()).unwrap();
        let mut shape = view.shape().to_vec();
        let mut rows: Vec<&[u8]> = view.data().chunks(view.data().len() / shape[0]).collect();
        rows.rotate_right(how["roll"].as_u64().unwrap_or(0) as usize);
        if let Some(chosen) = how["rows"].as_array() {
            rows = chosen.iter().map(|row| rows[row.as_u64().unwrap() as usize]).collect();
        }
        shape[0] = rows.len();
        tensors.push((name.clone(), shape, rows.concat()));
    }
    let views = tensors.iter().map(|(name, shape, data)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let weights = folder.path().join("adapter_model.safetensors");
    safetensors::serialize_to_file(views, None, &weights).unwrap();
    let config = fs::read(source.join("adapter_config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    if let Some(fields) = recipe["config"].as_object() {
        config.as_object_mut().unwrap().extend(fields.clone());
    }
    fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    folder
}

fn model(recipe: &Value, device: DeviceId, split: Split) -> Model {
    let folder = fixtures().join(recipe["base"].as_str().unwrap());
    let source = folder.to_str().unwrap().parse().unwrap();
    let dtype = Some(DType::F32);
    Model::load(&LoadOptions { dtype, device, split, ..LoadOptions::new(source) }).unwrap()
}

/// Returns the prompt and the expected tokens of the adapter that a recipe changes.
fn expected(recipe: &Value) -> (Vec<i64>, Vec<i64>) {
    let folder = adapter(recipe["adapter"].as_str().unwrap());
    let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    (ids(&tensors, "prompt"), ids(&tensors, "tokens"))
}

/// Returns the tokens that the model generates after the prompt, and the logits of the first.
fn continued(model: &mut Model, prompt: &[i64], count: usize) -> (Vec<i64>, Vec<f32>) {
    let request = Request {
        prompts: vec![Prompt::Tokens(prompt.iter().map(|&id| id as u32).collect())],
        max_new_tokens: count,
        ignore_eos: true,
        keep_logits: true,
        ..Request::default()
    };
    let completion = model.generate(request, &Control::default()).unwrap().completions.remove(0);
    let tokens: Vec<i64> = completion.tokens.iter().map(|&id| i64::from(id)).collect();
    // The file has logits of every position of the prompt, and of every token but the last.
    let vocabulary = completion.logits.len() / (prompt.len() + count - 1);
    (tokens, completion.logits[(prompt.len() - 1) * vocabulary..][..vocabulary].to_vec())
}

/// Generates with the adapter of a folder, and returns the adapter's warnings.
fn attach(model: &mut Model, folder: &Path) -> Result<Vec<String>, String> {
    let source = AdapterSource::Folder(folder.to_path_buf());
    let attached = model.attach(&source, Some("variant"), 0).map_err(|error| error.to_string())?;
    model.use_adapter(Some("variant")).unwrap();
    Ok(attached.warnings.clone())
}

#[test]
fn every_recipe_has_an_outcome() {
    let of_pairs = AS_MADE.iter().map(|(name, _)| *name);
    let mut ours: Vec<&str> = AS_PEFT.to_vec();
    ours.extend(of_pairs.chain(REFUSED.iter().map(|(name, _)| *name)));
    ours.sort_unstable();
    let recipes = recipes();
    let theirs: Vec<&str> = recipes.keys().map(String::as_str).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn what_peft_loads_is_loaded_alike() {
    let recipes = recipes();
    for name in AS_PEFT {
        let recipe = &recipes[*name];
        let folder = make(recipe);
        let mut model = model(recipe, DeviceId::Cpu, Split::default());
        attach(&mut model, folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        check(name, recipe, &mut model);
    }
}

/// Compares with the tokens and logits of PEFT.
fn check(name: &str, recipe: &Value, model: &mut Model) {
    let theirs: Vec<i64> = serde_json::from_value(recipe["tokens"].clone()).unwrap();
    let logits: Vec<f32> = serde_json::from_value(recipe["logits"].clone()).unwrap();
    let (tokens, ours) = continued(model, &expected(recipe).0, theirs.len());
    assert_eq!(tokens, theirs, "{name}");
    assert_close(&ours, &logits, F32_TOLERANCE);
}

/// The same folders on a device, split over ranks, and merged.
#[test]
fn whole_weights_are_put_in_place_everywhere() {
    let recipes = recipes();
    let whole = [
        "other-embedding",
        "other-head",
        "other-embedding-of-a-tied-model",
        "trainable-tokens-of-a-tied-model",
    ];
    for name in whole {
        let recipe = &recipes[name];
        let folder = make(recipe);
        let split = Split { tensor: 2, ..Split::default() };
        for (device, split) in [(DeviceId::Emulated, Split::default()), (DeviceId::Cpu, split)] {
            let mut model = model(recipe, device, split);
            attach(&mut model, folder.path()).unwrap();
            check(name, recipe, &mut model);
            model.merge("variant").unwrap();
            check(name, recipe, &mut model);
        }
    }
}

/// A saved weight that equals the model's own is not stored a second time.
#[test]
fn weights_that_are_the_base_models_add_nothing() {
    let recipes = recipes();
    let names = ["default", "same-embedding-and-head", "same-norms", "same-base-layer"];
    let [plain, same @ ..] = names.map(|name| {
        let recipe = &recipes[name];
        let mut model = model(recipe, DeviceId::Cpu, Split::default());
        let source = AdapterSource::Folder(make(recipe).keep());
        let attached = model.attach(&source, None, 0).unwrap();
        (attached.parameters, attached.modules, attached.bytes)
    });
    assert_eq!(same, [plain; 3]);
}

#[test]
fn what_peft_does_not_find_is_loaded_with_a_warning() {
    let recipes = recipes();
    for (name, words) in AS_MADE {
        let recipe = &recipes[*name];
        assert!(recipe.get("tokens").is_none(), "{name}: PEFT loads it");
        let mut model = model(recipe, DeviceId::Cpu, Split::default());
        let folder = make(recipe);
        let warnings =
            attach(&mut model, folder.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(warnings.is_empty(), words.is_empty(), "{name}: {warnings:?}");
        assert!(warnings.concat().contains(words), "{name}: {warnings:?}");
        let (prompt, tokens) = expected(recipe);
        assert_eq!(continued(&mut model, &prompt, tokens.len()).0, tokens, "{name}");
    }
}

#[test]
fn what_is_left_out_is_said() {
    let recipes = recipes();
    for (name, words) in [
        ("unknown-fields", "a_field_of_tomorrow, unsloth_version"),
        ("a-target-that-is-nowhere", "w1"),
        ("a-saved-module-that-is-nowhere", "classifier, score"),
        ("default", ""),
        ("original-module", ""),
    ] {
        let recipe = &recipes[name];
        let mut model = model(recipe, DeviceId::Cpu, Split::default());
        let warnings = attach(&mut model, make(recipe).path()).unwrap();
        assert_eq!(warnings.len(), usize::from(!words.is_empty()), "{name}: {warnings:?}");
        assert!(warnings.concat().contains(words), "{name}: {warnings:?}");
    }
}

#[test]
fn what_would_be_left_as_it_was_made_is_refused() {
    let recipes = recipes();
    for (name, words) in REFUSED {
        let recipe = &recipes[*name];
        let mut model = model(recipe, DeviceId::Cpu, Split::default());
        let folder = make(recipe);
        let refusal = attach(&mut model, folder.path()).expect_err(name);
        for word in *words {
            assert!(refusal.contains(word), "{name}: '{word}' is not in: {refusal}");
        }
    }
}
