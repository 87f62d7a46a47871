//! Rotary embeddings that depend on a sequence's length, compared with transformers (`fixtures/make-rope`).

use crate::parity::{F32_TOLERANCE, assert_close, floats, generate_as, ids};
use crate::support::{DEVICES, TestContext, fixtures};

fn check(model: &str, lengths: &[usize]) {
    let folder = fixtures().join("rope").join(model);
    let expected = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&expected).unwrap();
    for device in DEVICES {
        for length in lengths {
            let tensor = |name: &str| format!("{name}_{length}");
            let (prompt, tokens) =
                (ids(&expected, &tensor("prompt")), ids(&expected, &tensor("tokens")));
            let generate = |prompt: &[i64], count| generate_as(device, &folder, prompt, count, &[]);
            let (output, ours) = generate(&prompt, tokens.len());
            assert_eq!(output["tokens"], serde_json::json!(tokens), "{model}, {length}, {device}");
            assert_close(&ours, &floats(&expected, &tensor("steps")), F32_TOLERANCE);
            let all = [&prompt[..], &tokens[..tokens.len() - 1]].concat();
            let (_, ours) = generate(&all, 1);
            assert_close(&ours, &floats(&expected, &tensor("pass")), F32_TOLERANCE);
        }
    }
}

#[test]
fn a_growing_base_is_that_of_each_step() {
    check("llama-dynamic", &[5, 28, 60]);
}

#[test]
fn longrope_has_a_set_for_short_and_one_for_long_sequences() {
    check("phi3-longrope", &[5, 60]);
}

#[test]
fn a_sequence_that_would_have_keys_of_both_sets_is_refused() {
    let folder = fixtures().join("rope/phi3-longrope");
    let folder = folder.to_str().unwrap();
    let tokens: Vec<String> = (2..32).map(|token| token.to_string()).collect();
    let tokens = tokens.join(",");
    let generate = |count: &str| {
        let args = ["generate", folder, "--tokens", &tokens, "--ignore-eos", "--max-new-tokens"];
        TestContext::new().llem(&[&args[..], &[count]].concat())
    };
    // The last generated token is not run through the model.
    generate("3").ok();
    generate("4").refused(2, &["prompt 0 has 30 tokens", "generate at most 3 tokens"]);
}
