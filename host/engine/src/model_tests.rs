#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::{Batch, DType, ModelSource, Split, batch::BatchOptions, cpu::threads};
use llem_checkpoint::Shape;
use std::path::Path as FilePath;

fn fixture(name: &str) -> ModelSource {
    let fixtures = FilePath::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"));
    fixtures.join(name).to_str().unwrap().parse().unwrap()
}

fn load(source: ModelSource, split: Split) -> Model {
    Model::load(&LoadOptions { split, ..LoadOptions::new(source) }).unwrap()
}

/// Returns the bytes that an open batch reserves for each of its tokens.
fn reserved_per_token(model: &mut Model) -> u64 {
    // A cache of whole blocks of keys, so that no more is reserved than requested.
    let options = BatchOptions { max_sequences: 4, max_tokens: Some(64), ..Default::default() };
    let status = Batch::open(model, options).unwrap().status();
    assert_eq!(status.kv_bytes % status.kv_capacity, 0);
    (status.kv_bytes / status.kv_capacity) as u64
}

/// Returns the f32 bytes of keys and values of one token, computed from the shape alone.
fn kv_bytes_from_shape(shape: &Shape) -> u64 {
    (2 * shape.layers * shape.kv_heads * shape.head_dim * 4) as u64
}

#[test]
fn kv_bytes_per_token_are_what_a_batch_reserves() {
    // Eight query heads share four key heads. With eight ranks, two ranks need each key head.
    for (ranks, copies) in [(1, 1), (2, 1), (4, 1), (8, 2)] {
        let mut model = load("synthetic:tiny".parse().unwrap(), Split::new(ranks, 1, 1));
        let told = model.info().kv_bytes_per_token;
        assert_eq!(told, copies * kv_bytes_from_shape(&model.info().shape), "{ranks} ranks");
        assert_eq!(reserved_per_token(&mut model), told, "{ranks} ranks");
    }
    // A token is in one replica, and each of its layers is on one stage.
    for split in [Split::new(1, 2, 1), Split::new(1, 1, 2), Split::new(2, 2, 1)] {
        let mut model = load("synthetic:tiny".parse().unwrap(), split);
        let told = model.info().kv_bytes_per_token;
        assert_eq!(told, kv_bytes_from_shape(&model.info().shape), "{split}");
        assert_eq!(reserved_per_token(&mut model), told, "{split}");
    }
}

#[test]
fn kv_bytes_per_token_count_padding() {
    // Heads of nine numbers, whose values are stored in rows of sixteen.
    let mut model = load(fixture("families/gpt2-odd"), Split::default());
    let told = model.info().kv_bytes_per_token;
    assert_eq!(told, 2 * 4 * (9 + 16) * 4);
    assert_eq!(reserved_per_token(&mut model), told);
}

/// Returns the bytes of the weights, and of those that a decode step reads.
fn weights(source: &ModelSource, split: Split) -> (u64, u64) {
    let model = load(source.clone(), split);
    (model.info().weight_bytes, model.info().decode_weight_bytes)
}

const SPLITS: [(usize, usize, usize); 5] = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (1, 1, 2)];

#[test]
fn a_decode_step_reads_no_untied_embedding() {
    let source = fixture("llama/untied-llama3");
    let shape = llem_checkpoint::Checkpoint::read_shape(&source).unwrap();
    assert!(!shape.tied_head);
    for (tensor, pipeline, data) in SPLITS {
        let split = Split::new(tensor, pipeline, data);
        let (all, read) = weights(&source, split);
        let table = (data * shape.vocab * shape.hidden * 4) as u64;
        assert_eq!(all - read, table, "{split}");
    }
}

#[test]
fn a_decode_step_reads_a_tied_embedding_once() {
    let source = fixture("llama/tied");
    let shape = llem_checkpoint::Checkpoint::read_shape(&source).unwrap();
    assert!(shape.tied_head);
    let (once, read_by_one) = weights(&source, Split::default());
    assert_eq!(once, read_by_one, "the table is the LM head");
    for (tensor, pipeline, data) in SPLITS {
        let split = Split::new(tensor, pipeline, data);
        let (all, read) = weights(&source, split);
        // The first stage looks rows up in its copy of the table, and the last stage uses its copy as the head.
        let copy = if pipeline > 1 { (shape.vocab * shape.hidden * 4) as u64 } else { 0 };
        assert_eq!(all - read, copy, "{split}");
        assert!(read >= data as u64 * read_by_one, "{split}");
    }
}

#[test]
fn a_decode_step_reads_no_table_of_positions() {
    let source = fixture("families/gpt2-odd");
    let shape = llem_checkpoint::Checkpoint::read_shape(&source).unwrap();
    assert!(shape.tied_head && shape.names.positions.is_some());
    for ranks in [1, 2] {
        let (all, read) = weights(&source, Split::new(ranks, 1, 1));
        // Each rank has all positions.
        assert_eq!(all - read, (ranks * shape.context * shape.hidden * 4) as u64);
    }
}

/// The expected numbers are from transformers (`tests/fixtures/make-flops`).
#[test]
fn parameters_and_shape_are_those_that_transformers_has() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/flops.json");
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (folder, theirs) in expected["models"].as_object().unwrap() {
        let splits = [Split::default(), Split::new(2, 1, 1), Split::new(1, 2, 1)];
        // A split could count these tables twice.
        let is_split =
            ["llama/tied", "llama/untied-llama3", "families/gpt2"].contains(&&folder[..]);
        for split in splits.into_iter().take(if is_split { 3 } else { 1 }) {
            let model = load(fixture(folder), split);
            let ours = [model.info().parameters, model.info().parameters_without_embeddings()];
            assert_eq!(serde_json::json!(ours), theirs["parameters"], "{folder}, {split}");
            let shape = &model.info().shape;
            let mixture = shape.mixture();
            let ours = serde_json::json!({
                "head_dim": shape.head_dim,
                "dense_width": shape.dense_width(),
                "expert_width": mixture.map(|experts| experts.intermediate),
                "experts_per_token": mixture.map(|experts| experts.active),
                "tied": shape.tied_head,
                "windows": shape.windows().collect::<Vec<_>>(),
            });
            assert_eq!(ours, theirs["shape"], "{folder}");
        }
    }
}

fn load_with(source: ModelSource, change: impl FnOnce(&mut LoadOptions)) -> crate::Result<Model> {
    let mut options = LoadOptions::new(source);
    change(&mut options);
    Model::load(&options)
}

/// Returns the log-likelihood of each token after the tokens before it, without the first token.
fn scores(model: &mut Model, tokens: &[u32]) -> Vec<f64> {
    let (context, continuation) = (tokens[..1].to_vec(), tokens[1..].to_vec());
    let request = ScoreRequest { context, continuation };
    let scored = model.score(&[request], &Control::default(), &|_, _| ()).unwrap();
    scored.scores[0].as_ref().unwrap().log_likelihoods.clone()
}

/// The expected scores are from transformers with a cache of the same format (`tests/fixtures/make-kv-dtypes`).
#[test]
fn keys_and_values_are_kept_in_the_format_that_is_asked_for() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/kv-dtypes.json");
    let expected: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let farthest = |ours: &[f64], theirs: &[f64]| {
        assert_eq!(ours.len(), theirs.len());
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    for (folder, theirs) in expected["models"].as_object().unwrap() {
        let tokens: Vec<u32> = serde_json::from_value(theirs["tokens"].clone()).unwrap();
        let theirs = |dtype: DType| -> Vec<f64> {
            serde_json::from_value(theirs["scores"][dtype.to_string()].clone()).unwrap()
        };
        let splits = [Split::default(), Split::new(2, 1, 1), Split::new(1, 2, 1)];
        let on = |device| splits.map(|split| (device, split));
        for (device, split) in [on(DeviceId::Cpu), on(DeviceId::Emulated)].concat() {
            let load = |dtype| {
                let kept = |options: &mut LoadOptions| {
                    (options.device, options.split, options.kv_dtype) = (device, split, dtype);
                };
                load_with(fixture(folder), kept).unwrap()
            };
            let whole = load(None).info().kv_bytes_per_token;
            for dtype in [DType::F32, DType::Bf16, DType::F16] {
                let mut model = load(Some(dtype));
                let told = model.info().kv_bytes_per_token;
                assert_eq!(told * 4, whole * dtype.size() as u64, "{folder}, {split}, {dtype}");
                assert_eq!(reserved_per_token(&mut model), told);
                let ours = scores(&mut model, &tokens);
                let off = farthest(&ours, &theirs(dtype));
                // The effect of rounding. A different order of f32 additions changes little by itself. But a number
                // near the middle between two numbers of the format may then be rounded to the other one, and all
                // later attention to it changes.
                let effect = farthest(&theirs(DType::F32), &theirs(dtype));
                assert!((effect > 2e-4) == (dtype != DType::F32), "{folder}: {effect}");
                let what = format!("{folder}, {device}, {split}, {dtype}");
                assert!(off < 5e-6 + effect / 5.0, "{what}: {off}");
            }
        }
    }
}

#[test]
fn a_model_uses_the_threads_that_it_is_given() {
    let most = std::thread::available_parallelism().unwrap().get();
    let tokens: Vec<u32> = (5..200).collect();
    let mut first = None;
    for (ranks, threads) in
        (1..=2).flat_map(|ranks| (ranks..=most).map(move |count| (ranks, count)))
    {
        let mut model = load_with("synthetic:tiny".parse().unwrap(), |options| {
            options.split = Split::new(1, ranks, 1);
            options.threads = Some(threads);
        })
        .unwrap();
        assert_eq!(model.info().threads, threads);
        assert_eq!(model.replicas[0].work(threads::threads), threads / ranks);
        let scores = scores(&mut model, &tokens);
        assert_eq!(first.get_or_insert_with(|| scores.clone()), &scores, "{ranks}, {threads}");
    }
    for (ranks, threads) in [(1, 0), (2, 1), (1, most + 1), (1, usize::MAX)] {
        let refused = load_with("synthetic:tiny".parse().unwrap(), |options| {
            options.split = Split::new(1, ranks, 1);
            options.threads = Some(threads);
        });
        let refusal = refused.err().expect("refused").to_string();
        assert!(refusal.contains(&format!("threads {threads}")), "{refusal}");
    }
}
