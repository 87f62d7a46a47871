//! GGUF files compared with llama.cpp; `fixtures/make-gguf` made them with it.

use crate::{
    parity::{assert_close, generate, ids},
    support::{TestContext, fixtures},
};
use half::f16;
use safetensors::SafeTensors;
use std::fs;

/// Largest difference of logits in f32, over their largest magnitude. llama.cpp's are stored in f16, whose
/// rounding alone is 5e-4.
const F32_TOLERANCE: f32 = 1e-3;

/// Factor by which our divergence from unrounded arithmetic may exceed llama.cpp's.
const EXCESS: f64 = 1.25;
/// Largest mean divergence of our distributions from llama.cpp's.
const DIVERGENCE: f64 = 1e-3;

/// The expected logits of a file, `[positions, vocab]`.
struct Logits {
    ours: Vec<f32>,
    theirs: Vec<f32>,
    /// For quantised files: the logits without rounding of activations.
    exact: Option<Vec<f32>>,
}

fn tokens_of(name: &str) -> Vec<i64> {
    let bytes = fs::read(fixtures().join("gguf").join(format!("{name}.safetensors"))).unwrap();
    ids(&SafeTensors::deserialize(&bytes).unwrap(), "tokens")
}

fn logits(name: &str) -> Logits {
    let folder = fixtures().join("gguf");
    let bytes = fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let widened = |name: &str| {
        let halves = tensors.tensor(name).ok()?.data().as_chunks::<2>().0;
        Some(halves.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect())
    };
    let tokens = ids(&tensors, "tokens");
    let (_, ours) = generate(&folder.join(format!("{name}.gguf")), &tokens, 1, "f32");
    Logits { ours, theirs: widened("logits").unwrap(), exact: widened("exact") }
}

fn check_f32(name: &str) {
    let Logits { ours, theirs, .. } = logits(name);
    assert_close(&ours, &theirs, F32_TOLERANCE);
}

/// Returns the share of positions with the same most likely token, and the mean Kullback-Leibler divergence.
fn compare(p: &[f32], q: &[f32], vocab: usize) -> (f64, f64) {
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let log_softmax = |row: &[f32]| -> Vec<f64> {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        row.iter().map(|&logit| f64::from(logit) - sum.ln()).collect()
    };
    assert_eq!(p.len(), q.len());
    let (mut agreed, mut divergence) = (0, 0.0);
    for (p, q) in p.chunks(vocab).zip(q.chunks(vocab)) {
        agreed += u32::from(best(p) == best(q));
        let (p, q) = (log_softmax(p), log_softmax(q));
        divergence += p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
    }
    let positions = (p.len() / vocab) as f64;
    (f64::from(agreed) / positions, divergence / positions)
}

/// Quantised products round activations too, and each implementation does so in its own way. We may be as far from unrounded
/// arithmetic as llama.cpp is, and must agree with llama.cpp on the most likely token as often as it agrees with unrounded
/// arithmetic (random weights have many near ties).
fn check_quantised(name: &str, least_agreement: f64) {
    let Logits { ours, theirs, exact } = logits(name);
    let (vocab, exact) = (96, exact.unwrap());
    let (agreed, divergence) = compare(&theirs, &ours, vocab);
    let (agreed_ours, from_ours) = compare(&exact, &ours, vocab);
    let (agreed_theirs, from_theirs) = compare(&exact, &theirs, vocab);
    let said = format!(
        "{name}: with llama.cpp top-1 {agreed:.3}, KL {divergence:.2e}; \
         unrounded to us {agreed_ours:.3}, {from_ours:.2e}; to llama.cpp {agreed_theirs:.3}, {from_theirs:.2e}"
    );
    println!("{said}");
    // One of the sixty-odd positions may differ.
    assert!(agreed >= least_agreement.min(agreed_theirs - 0.02), "{said}");
    assert!(divergence < DIVERGENCE.max(from_ours + from_theirs), "{said}");
    assert!(from_ours < EXCESS * from_theirs, "{said}");
}

macro_rules! in_f32 {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check_f32($file);
            }
        )*
    };
}

in_f32! {
    qwen2: "qwen2-f32",
    qwen3: "qwen3-f32",
    mixtral: "mixtral-f32",
    qwen3_moe: "qwen3-moe-f32",
    gemma2: "gemma2-f32",
    gemma3: "gemma3-f32",
    phi3: "phi3-f32",
    olmo2: "olmo2-f32",
    gpt2: "gpt2-f32",
    gpt_neox: "gpt-neox-f32",
    biases_in_llama: "llama-biases-f32",
    yarn: "llama-yarn-f32",
    olmo3_as_olmo2: "olmo3-f32",
    mixtral_of_three: "mixtral-tiny-f32",
}

/// llama.cpp chooses one of longrope's lists for a whole context; transformers and llem choose by the length of the sequence.
/// Here the whole prompt is beyond the original context, so both choose the same.
#[test]
fn longrope() {
    check_f32("phi3-longrope-f32");
}

/// Other layouts give the model that they were made from: Q, K and V in one tensor, the experts' gate and up projections in one,
/// each expert in its own tensors, a model in three files, a file that is not called .gguf.
#[test]
fn other_layouts_of_a_model_are_the_same_model() {
    let (folder, context) = (fixtures().join("gguf"), TestContext::new());
    let blob =
        context.file("sha256-of-a-blob", fs::read(folder.join("llama-biases-f32.gguf")).unwrap());
    for (made_of, file) in [
        ("llama-biases-f32", "llama-stacked-qkv-f32.gguf"),
        ("llama-biases-f32", "split-00001-of-00003.gguf"),
        ("llama-biases-f32", "split-00003-of-00003.gguf"),
        ("llama-biases-f32", &blob[..]),
        ("mixtral-tiny-f32", "mixtral-gate-up-f32.gguf"),
        ("mixtral-tiny-f32", "mixtral-apart-f32.gguf"),
    ] {
        let Logits { ours, .. } = logits(made_of);
        let tokens = tokens_of(made_of);
        let (_, other) = generate(&folder.join(file), &tokens, 1, "f32");
        assert_eq!(ours, other, "{file}");
    }
}

#[test]
fn q8_0() {
    check_quantised("llama-q8_0", 0.99);
}

#[test]
fn q4_k_m() {
    check_quantised("llama-q4_k_m", 0.99);
}

#[test]
fn q5_k_m() {
    check_quantised("llama-q5_k_m", 0.99);
}

#[test]
fn q6_k() {
    check_quantised("llama-q6_k", 0.99);
}

#[test]
fn iq4_nl() {
    check_quantised("llama-iq4_nl", 0.99);
}

#[test]
fn iq4_xs() {
    check_quantised("llama-iq4_xs", 0.99);
}

/// bf16 weights, a tied head and llama3's frequencies as divisors in the file.
#[test]
fn llama3_in_bf16() {
    let Logits { ours, theirs, .. } = logits("llama3-bf16");
    assert_close(&ours, &theirs, 2e-2);
}

#[test]
fn the_record_names_the_quantisation() {
    let context = TestContext::new();
    let path = fixtures().join("gguf/llama-q4_k_m.gguf");
    let model = path.to_str().unwrap();
    let args = ["exec", "quickstart", "--model", model, "-p", "rounds=1"];
    // The file has no tokenizer, so text prompts are refused in one sentence.
    context.llem(&args).refused(2, &["no tokenizer"]);
    let generated = context.llem(&["generate", model, "--tokens", "5,6,7", "--json"]).ok().json();
    assert_eq!(generated["model"]["quantization"], "Q4_K+Q6_K");
    assert!(generated["model"]["digest"].as_str().unwrap().starts_with("blake3:"));
}

#[test]
fn vocabularies_and_templates_within_files() {
    let (folder, context) = (fixtures().join("gguf"), TestContext::new());
    for pre in ["gpt-2", "llama-bpe", "qwen2"] {
        let file = folder.join(format!("vocabulary-{pre}.gguf"));
        let expected = fs::read(file.with_extension("json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let file = file.to_str().unwrap();
        for case in expected["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let ours = context.llem(&["tokenize", file, text, "--json"]).ok().json();
            assert_eq!(ours["tokens"], case["tokens"], "{pre}: {text}");
        }
        let chat = context.file("chat.json", r#"[{"role": "user", "content": " hello "}]"#);
        let ours = context.llem(&["tokenize", file, "--chat", &chat, "--json"]).ok().json();
        assert_eq!(ours["text"], "<|begin|><|user|>hello");
        assert_eq!(ours["tokens"][0], 0, "the template wrote the special token itself");
    }
}

/// An unknown pre-tokenizer is refused, because another one would give other tokens.
#[test]
fn a_vocabulary_that_is_split_otherwise() {
    let context = TestContext::new();
    let known = fs::read(fixtures().join("gguf/vocabulary-qwen2.gguf")).unwrap();
    let place = known.windows(5).position(|bytes| bytes == b"qwen2").unwrap();
    let mut other = known;
    other[place..place + 5].copy_from_slice(b"qwen9");
    let file = context.file("other.gguf", other);
    let ours = context.llem(&["tokenize", &file, "text", "--json"]).ok().json();
    assert!(ours["tokens"].is_null(), "{ours}");
}

#[test]
fn broken_files_are_refused_by_name() {
    let context = TestContext::new();
    let whole = fs::read(fixtures().join("gguf/llama-q8_0.gguf")).unwrap();
    let cut = context.file("cut.gguf", &whole[..whole.len() / 2]);
    context.llem(&["generate", &cut, "--tokens", "5"]).refused(2, &["cut.gguf", "truncated"]);
    let noise = context.file("noise.gguf", "not a model");
    context.llem(&["generate", &noise, "--tokens", "5"]).refused(2, &["noise.gguf", "GGUF"]);
    context.llem(&["generate", "none.gguf", "--tokens", "5"]).refused(2, &["none.gguf"]);
}

/// Offsets that would overflow, and an impossible alignment, are refused.
#[test]
fn numbers_that_no_file_can_hold_are_refused() {
    let context = TestContext::new();
    let whole = fs::read(fixtures().join("gguf/llama-q8_0.gguf")).unwrap();
    let name = b"output_norm.weight";
    let at = whole.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len();
    // A tensor of one dimension has the number of dimensions, its length, the format, then the offset.
    assert_eq!(whole[at..at + 4], 1u32.to_le_bytes());
    let refused_as = |place: usize, number: &[u8], word: &str| {
        let mut bytes = whole.clone();
        bytes[place..place + number.len()].copy_from_slice(number);
        let file = context.file("bad.gguf", bytes);
        let args = ["generate", &file, "--tokens", "5", "--max-new-tokens", "1"];
        context.llem(&args).refused(2, &["bad.gguf", word]);
    };
    let refused = |place, number: u64, word| refused_as(place, &number.to_le_bytes(), word);
    for back in [64, 4096, whole.len() as u64 - 64, whole.len() as u64 + 64] {
        refused(at + 16, 0u64.wrapping_sub(back), "fetch it again");
    }
    refused(at + 16, 1 << 40, "truncated");
    refused(at + 4, 1 << 62, "larger than any file");
    let count = b"llama.block_count";
    let at = whole.windows(count.len()).position(|bytes| bytes == count).unwrap() + count.len();
    refused_as(at + 4, &0xffff_fff0u32.to_le_bytes(), "llama.block_count");
}

/// Number formats that are not read are named, also those that llama.cpp has dropped.
#[test]
fn formats_that_are_not_read_are_named() {
    let context = TestContext::new();
    let whole = fs::read(fixtures().join("gguf/llama-q4_k_m.gguf")).unwrap();
    let name = b"blk.0.ffn_up.weight";
    let at = whole.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len();
    for (number, format) in [
        (39u32, "MXFP4"),
        (34, "TQ1_0"),
        (16, "IQ2_XXS"),
        (28, "F64"),
        (31, "Q4_0_4_4"),
        (139, "139"),
    ] {
        let mut bytes = whole.clone();
        // The number of dimensions and two of them come before the format.
        bytes[at + 20..at + 24].copy_from_slice(&number.to_le_bytes());
        if number == 28 {
            // The format takes more bytes, so the tensor gets fewer rows.
            bytes[at + 12..at + 20].copy_from_slice(&1u64.to_le_bytes());
        }
        let file = context.file("other.gguf", bytes);
        context
            .llem(&["generate", &file, "--tokens", "5"])
            .refused(2, &["other.gguf", "blk.0.ffn_up.weight", format]);
    }
}
