//! Digests of a model and of its files, in `generate --json` and in the record.

use crate::support::{TestContext, fixtures, guest};
use serde_json::Value;

/// Returns names and digests of a model's files.
fn files(model: &Value) -> Vec<[&str; 2]> {
    let files = model["files"].as_array().unwrap().iter();
    files.map(|file| ["name", "digest"].map(|field| file[field].as_str().unwrap())).collect()
}

#[test]
fn digest_and_files_say_what_was_hashed() {
    let (context, model) = (TestContext::new(), fixtures().join("llama/tied"));
    let args = ["generate", model.to_str().unwrap(), "--tokens", "1,2", "--json"];
    let whole = context.llem(&args).ok().json();
    let quick = context.llem(&[&args[..], &["--quick-digest"]].concat()).ok().json();
    for (shown, prefix) in [(&whole, "blake3:"), (&quick, "blake3-headers:")] {
        assert!(shown["model"]["digest"].as_str().unwrap().starts_with(prefix));
        let files = files(&shown["model"]);
        let names = ["config.json", "generation_config.json", "model.safetensors"];
        assert_eq!(files.iter().map(|[name, _]| *name).collect::<Vec<_>>(), names);
        assert!(files[0][1].starts_with("blake3:"));
        assert!(files[2][1].starts_with(prefix));
    }
}

#[test]
fn the_record_lists_a_models_files() {
    let (context, model) = (TestContext::new(), fixtures().join("llama/tied"));
    let model = model.to_str().unwrap();
    let generated = context.llem(&["generate", model, "--tokens", "1,2", "--json"]).ok().json();
    let throughput = guest("throughput");
    let mut args = vec!["exec", &throughput, "--model", model, "-p", "batch=1"];
    args.extend(["-p", "prompt-tokens=9", "-p", "new-tokens=4", "-p", "rounds=1"]);
    context.llem(&args).ok();
    let record = context.record();
    let recorded = &record["models"][0];
    for field in ["digest", "files", "weight_bytes", "decode_weight_bytes"] {
        assert_eq!(recorded[field], generated["model"][field], "{field}");
        assert!(!recorded[field].is_null(), "{field}");
    }
    for time in ["load_ns", "digest_ns"] {
        assert!(recorded[time].as_u64().unwrap() > 0, "{time}: {recorded}");
    }
}
