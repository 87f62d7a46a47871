//! A model's files that are damaged or contradict each other: one sentence, and exit code 2.

use crate::support::{Desk, fixtures};
use std::{fs, path::PathBuf};

/// A copy of a fixture's folder, to be changed.
fn copied(desk: &Desk, fixture: &str) -> PathBuf {
    let folder = desk.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(fixtures().join(fixture)).unwrap().flatten() {
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    folder
}

/// Names in an index that lead out of the model's folder.
#[test]
fn an_index_that_names_files_elsewhere() {
    let desk = Desk::new();
    let folder = copied(&desk, "llama/sharded-linear");
    for file in fs::read_dir(&folder).unwrap().flatten() {
        // What the names lead to is there.
        fs::copy(file.path(), desk.folder.path().join(file.file_name())).unwrap();
    }
    let index = folder.join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    let shard = text.split('"').find(|name| name.ends_with(".safetensors")).unwrap().to_owned();
    let outside = desk.folder.path().join(&shard).to_str().unwrap().to_owned();
    let run = || {
        desk.llem(&["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"])
    };
    run().ok();
    let named = [
        format!("../{shard}"),
        format!("x/../../{shard}"),
        outside,
        format!("..\\\\{shard}"),
        String::new(),
    ];
    for name in named {
        fs::write(&index, text.replace(&format!("\"{shard}\""), &format!("\"{name}\""))).unwrap();
        run().refused(2, &["model.safetensors.index.json", "not in its own folder"]);
    }
}

/// transformers' GPT-NeoX and GPT-2 have as many key and value heads as query heads, whatever a config says.
#[test]
fn head_counts_that_a_family_does_not_read() {
    for family in ["gpt-neox", "gpt2"] {
        let desk = Desk::new();
        let folder = copied(&desk, &format!("families/{family}"));
        let tokens = || {
            let args = ["generate", folder.to_str().unwrap(), "--tokens", "5,6,7", "--json"];
            desk.llem(&args).ok().json()["tokens"].clone()
        };
        let expected = tokens();
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        for more in [
            serde_json::json!({ "num_key_value_heads": 1 }),
            serde_json::json!({ "num_key_value_heads": 2, "head_dim": 6 }),
            serde_json::json!({ "num_key_value_heads": 3 }),
            serde_json::json!({ "num_key_value_heads": 0 }),
        ] {
            let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fs::write(&path, config.to_string()).unwrap();
            assert_eq!(tokens(), expected, "{family}, {more}");
        }
    }
}

/// More dimensions than a head has cannot be rotated.
#[test]
fn a_rotary_embedding_of_more_than_a_head() {
    for share in ["1.5", "2.0", "-1.0", "1e300"] {
        let desk = Desk::new();
        let folder = copied(&desk, "families/gpt-neox");
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let share: serde_json::Value = serde_json::from_str(share).unwrap();
        let config = config.as_object_mut().unwrap();
        config.remove("rope_parameters");
        config.insert("rotary_pct".to_owned(), share);
        config.remove("partial_rotary_factor");
        fs::write(&path, serde_json::to_string(config).unwrap()).unwrap();
        let args = ["generate", folder.to_str().unwrap(), "--tokens", "5", "--max-new-tokens", "1"];
        desk.llem(&args).refused(2, &["partial_rotary_factor"]);
    }
}

#[test]
fn an_empty_stop_string() {
    let args = ["generate", "synthetic:tiny", "hello", "--stop", "x", "--stop", ""];
    Desk::new().llem(&args).refused(2, &["stop string 1", "empty"]);
}
