//! A model whose logits become NaN or infinite after some tokens: earlier results are kept, and the error says where.

use crate::{
    parity::{generate, ids},
    support::{TestContext, fixtures, guest, of_kind},
};
use safetensors::SafeTensors;
use std::fs;

/// Makes a model whose embedding of token `overflows` is so large that sums overflow.
fn model(context: &TestContext, overflows: usize) -> String {
    let source = fixtures().join("families/gpt2-untied");
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::copy(source.join("config.json"), folder.join("config.json")).unwrap();
    let mut bytes = fs::read(source.join("model.safetensors")).unwrap();
    let (header, tensors) = SafeTensors::read_metadata(&bytes).unwrap();
    let embedding = tensors.info("transformer.wte.weight").unwrap();
    let width = embedding.shape[1];
    let start = 8 + header + embedding.data_offsets.0 + overflows * width * 4;
    for number in bytes[start..start + width * 4].as_chunks_mut::<4>().0 {
        *number = 3e38f32.to_le_bytes();
    }
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn what_was_generated_before_an_overflow_is_kept() {
    let source = fixtures().join("families/gpt2-untied");
    let bytes = fs::read(source.join("expected.safetensors")).unwrap();
    let prompt = ids(&SafeTensors::deserialize(&bytes).unwrap(), "prompt");
    let (output, _) = generate(&source, &prompt, 12, "f32");
    let tokens: Vec<i64> =
        output["tokens"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
    // Finds a token, after at least two others, that did not occur before, so that its embedding is first used there.
    let is_new = |&at: &usize| !prompt.contains(&tokens[at]) && !tokens[..at].contains(&tokens[at]);
    let before = (2..tokens.len()).find(is_new).unwrap();
    let overflows = tokens[before];
    let prompt: Vec<String> = prompt.iter().map(i64::to_string).collect();
    let prompt = format!("prompt={}", prompt.join(","));
    for batch in ["batch=false", "batch=true"] {
        let context = TestContext::new();
        let (component, model) = (guest("given_tokens"), model(&context, overflows as usize));
        let args = ["exec", &component, "--model", &model, "--dtype", "f32", "-p", &prompt];
        context
            .llem(&[&args[..], &["-p", batch]].concat())
            .refused(1, &["sequence 0", &format!("token {}", before + 1), "not a number"]);
        let events = context.events();
        let sequence = match batch {
            "batch=false" => &of_kind(&events, "generation")[0]["sequences"][0],
            _ => &of_kind(&events, "batch-sequence")[0]["sequence"],
        };
        assert_eq!(sequence["tokens"], serde_json::json!(tokens[..=before]), "{batch}");
        let activity = &context.record()["groups"][0]["activity"];
        assert_eq!(activity["output_tokens"], before + 1, "{batch}");
    }
}
