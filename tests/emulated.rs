//! The GPU path on the emulated device: what other modules do not already test on every device of [`DEVICES`].

use crate::{
    parity::{
        assert_close, check_fixture_on, check_scores, floats, generate_as, ids, relative_rms,
    },
    support::{TestContext, fixtures, guest},
};
use half::f16;
use llem_engine::{
    Completion, Control, DType, DeviceId, LoadOptions, Model, Prompt, Request, Sampling,
};
use safetensors::SafeTensors;
use std::{fs, path::PathBuf};

/// How far transformers 5.17's own bf16 and f16 are from its f32 on the fixtures' positions, on a CPU with torch 2.11: root mean
/// squares of the difference over that of the logits.
const ROUNDED: [(&str, [f32; 2]); 7] = [
    ("qwen2", [0.01505, 0.00204]),
    ("gemma2", [0.02168, 0.02056]),
    ("gemma3", [0.00997, 0.00119]),
    ("gpt2", [0.00629, 0.00082]),
    ("gpt-neox", [0.00692, 0.00083]),
    ("phi3", [0.01229, 0.00154]),
    ("olmo2", [0.01204, 0.00161]),
];

/// A device may be this many times as far: rounding differs by chance.
const MORE: f32 = 1.5;

/// Largest difference of log-probabilities.
const LOG_PROBABILITY: f64 = 1e-4;

/// The config of a Llama of two layers, small enough to run step by step.
fn small(context: &TestContext) -> String {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320,
        "max_position_embeddings": 512, "tie_word_embeddings": true,
    });
    format!("synthetic:{}", context.file("config.json", config.to_string()))
}

/// Runs a guest that compares a sequence that runs in a batch, in chunks or from a cache with the same sequence alone.
fn run_guest(name: &str, more: &[&str]) {
    let context = TestContext::new();
    let (guest, model) = (guest(name), small(&context));
    let args = ["exec", &guest, "--device", "emulated", "--model", &model, "--dtype", "f32"];
    context.llem(&[&args[..], more].concat()).ok();
}

#[test]
fn llama_in_f32_and_bf16() {
    for model in ["tied", "untied-llama3", "biased-mha", "default-init", "sharded-linear"] {
        check_fixture_on("emulated", model);
    }
}

#[test]
fn sixteen_bit_formats_are_as_near_to_f32_as_transformers() {
    for (model, theirs) in ROUNDED {
        let folder = fixtures().join("families").join(model);
        let expected = fs::read(folder.join("expected.safetensors")).unwrap();
        let expected = SafeTensors::deserialize(&expected).unwrap();
        let (prompt, tokens) = (ids(&expected, "prompt"), ids(&expected, "tokens"));
        let all = [&prompt[..], &tokens[..tokens.len() - 1]].concat();
        for (dtype, theirs) in ["bf16", "f16"].into_iter().zip(theirs) {
            let (_, ours) = generate_as("emulated", &folder, &all, 1, &["--dtype", dtype]);
            let ours = relative_rms(&ours, &floats(&expected, "logits"));
            assert!(ours <= MORE * theirs, "{model} {dtype}: {ours}, and transformers {theirs}");
        }
    }
}

/// A device widens quantised weights when it loads them, and does not round activations.
#[test]
fn quantised_weights_without_rounded_activations() {
    let folder = fixtures().join("gguf");
    for name in ["llama-q8_0", "llama-q4_k_m", "llama-q5_k_m", "llama-q6_k"] {
        let bytes = fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let exact = tensors.tensor("exact").unwrap();
        let exact = exact.data().as_chunks::<2>().0.iter();
        let exact: Vec<f32> = exact.map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect();
        let file = folder.join(format!("{name}.gguf"));
        let tokens = ids(&tensors, "tokens");
        let (_, ours) = generate_as("emulated", &file, &tokens, 1, &["--dtype", "f32"]);
        // The expected logits are stored in f16, whose rounding alone is 5e-4.
        assert_close(&ours, &exact, 1e-3);
    }
}

#[test]
fn scores_are_log_likelihoods() {
    check_scores("emulated");
}

#[test]
fn a_text_longer_than_the_context_is_scored_in_windows() {
    let tied = fixtures().join("llama/tied");
    let (rolling, model) = (guest("rolling"), tied.to_str().unwrap());
    let args = ["exec", &rolling, "--device", "emulated", "--model", model, "--dtype", "f32"];
    TestContext::new().llem(&args).ok();
}

#[test]
fn sequences_in_company_give_what_they_give_alone() {
    run_guest("continuous", &[]);
}

#[test]
fn caches_are_copied_and_used_again() {
    run_guest("conversation", &[]);
}

#[test]
fn a_script_may_choose_tokens() {
    run_guest("guest_sampler", &[]);
}

/// Returns the completions of one request with several prompts.
fn completions(model: &mut Model, sampling: &Sampling, told: Option<usize>) -> Vec<Completion> {
    let prompts = [1usize, 30, 7, 17].map(|length| {
        Prompt::Tokens((0..length).map(|at| (at * at + 3 * length) as u32 % 96).collect())
    });
    let request = Request {
        prompts: prompts.into(),
        max_new_tokens: 12,
        ignore_eos: true,
        sampling: sampling.clone(),
        log_probabilities: told,
        ..Request::default()
    };
    model.generate(request, &Control::default()).unwrap().completions
}

/// Runs a model of the fixtures on the CPU and on the emulated device.
fn pair(name: &str) -> [Model; 2] {
    [DeviceId::Cpu, DeviceId::Emulated].map(|device| {
        let source: PathBuf = fixtures().join(name);
        let source = source.to_str().unwrap().parse().unwrap();
        let options = LoadOptions { device, dtype: Some(DType::F32), ..LoadOptions::new(source) };
        Model::load(&options).unwrap()
    })
}

/// With one seed, every way of sampling draws the same tokens on both devices, with the same log-probabilities.
#[test]
fn a_seed_draws_the_tokens_that_it_draws_on_the_cpu() {
    let mut models = pair("llama/untied-llama3");
    let hot = Sampling { temperature: 1.0, ..Sampling::default() };
    let ways = [
        Sampling::default(),
        hot.clone(),
        Sampling { temperature: 0.3, seed: 5, ..hot.clone() },
        Sampling { top_k: Some(10), ..hot.clone() },
        Sampling { top_p: Some(0.7), ..hot.clone() },
        Sampling { min_p: Some(0.2), ..hot.clone() },
        Sampling { top_k: Some(20), top_p: Some(0.9), seed: 9, temperature: 1.5, ..hot.clone() },
        Sampling { repetition_penalty: 1.3, frequency_penalty: 0.5, ..hot.clone() },
        Sampling { logit_bias: [(5, 4.0), (7, f32::NEG_INFINITY)].into(), ..hot },
    ];
    let mut seen = Vec::new();
    for sampling in &ways {
        let [cpu, emulated] = models.each_mut().map(|model| completions(model, sampling, Some(4)));
        // Without log-probabilities the device draws the tokens itself, and only ids leave it.
        let drawn = completions(&mut models[1], sampling, None);
        for (cpu, drawn) in cpu.iter().zip(&drawn) {
            assert_eq!(drawn.tokens, cpu.tokens, "{sampling:?}");
        }
        for (cpu, emulated) in cpu.iter().zip(&emulated) {
            assert_eq!(emulated.tokens, cpu.tokens, "{sampling:?}");
            let (theirs, ours) = (&cpu.log_probabilities, &emulated.log_probabilities);
            assert_eq!((theirs.len(), ours.len()), (12, 12));
            for (theirs, ours) in theirs.iter().zip(ours) {
                assert!((theirs.chosen - ours.chosen).abs() < LOG_PROBABILITY, "{ours:?}");
                for (theirs, ours) in theirs.top.iter().zip(&ours.top) {
                    assert!((theirs.1 - ours.1).abs() < LOG_PROBABILITY, "{theirs:?}, {ours:?}");
                }
            }
            seen.push(cpu.tokens.clone());
        }
    }
    seen.sort();
    seen.dedup();
    assert!(seen.len() > ways.len(), "other ways draw other tokens: {}", seen.len());
}

#[test]
fn the_record_names_it() {
    let context = TestContext::new();
    let prompts = format!("prompts={}", fixtures().join("prompts.jsonl").display());
    let args = ["exec", "quickstart", "--device", "emulated", "--dataset", &prompts];
    let parameters = ["-p", "prompts=2", "-p", "rounds=1", "-p", "new-tokens=2"];
    let ran = context.llem(&[&args[..], &parameters].concat()).ok();
    assert!(ran.stdout.contains("on emulated"), "{}", ran.stdout);
    let record = context.record();
    assert_eq!(record["status"], "completed");
    assert_eq!(record["models"][0]["device"], "emulated");
    // The energy of emulation is the processor's, and is reported as such.
    assert_eq!(record["models"][0]["ranks"][0]["device"], "cpu");
    let groups = record["groups"].as_array().unwrap();
    let measured = groups.iter().filter(|group| group["phase"] == "measure");
    for group in measured {
        assert_eq!(group["activity"]["output_tokens"], 2);
        assert!(group["ttft_s"]["mean"].as_f64().unwrap() > 0.0);
    }
}
