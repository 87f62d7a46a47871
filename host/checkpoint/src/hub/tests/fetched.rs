//! Downloads from the Hub.

use super::*;

#[test]
fn a_model_is_fetched_once_and_then_read_without_the_hub() {
    let home = Home::new();
    let hub = double::Hub::new(ID, model()).serve();
    let folder = home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    assert_eq!(folder, home.snapshot());
    for (name, bytes) in model().iter().filter(|(name, _)| name != "README.md") {
        assert_eq!(&fs::read(folder.join(name)).unwrap(), bytes);
        assert!(fs::symlink_metadata(folder.join(name)).unwrap().is_symlink());
    }
    assert!(!folder.join("README.md").exists());
    assert_eq!(fs::read(home.repository().join("blobs").join(hex(WEIGHTS))).unwrap(), WEIGHTS);
    assert_eq!(fs::read_to_string(home.repository().join("refs/main")).unwrap(), COMMIT);
    let absent = home.repository().join(".no_exist").join(COMMIT).join("chat_template.jinja");
    assert!(absent.is_file());

    let asked = hub.asked().len();
    assert_eq!(home.online(&hub, RequestedFiles::Model, &[]).unwrap(), folder);
    assert_eq!(hub.asked().len(), asked);
    assert_eq!(home.offline(RequestedFiles::Model, COMMIT).unwrap(), folder);
}

#[test]
fn the_token_is_sent_to_the_hub_only() {
    let home = Home::new();
    let hub = double::Hub::new(ID, model()).with_access(Access::Private).serve();
    home.online(&hub, RequestedFiles::Model, &[("HF_TOKEN", "hf_right")]).unwrap();
    for asked in hub.asked() {
        assert_eq!(asked.token.is_none(), asked.is_cdn, "{asked:?}");
    }
    assert!(hub.asked().iter().any(|asked| asked.is_cdn));
}

#[test]
fn an_interrupted_download_continues() {
    let home = Home::new();
    let is_weights = |path: &str| path.contains("model.safetensors");
    // The connection breaks twice, then stalls, and then the server ignores the range.
    let hub = double::Hub::new(ID, model()).with_faults(move |asked| {
        match (asked.is_cdn && is_weights(&asked.path), asked.before) {
            (true, 0 | 1) => Some(Fault::Cut(30_000)),
            (true, 2) => Some(Fault::Stall(10_000)),
            (true, 3) => Some(Fault::Whole),
            _ => None,
        }
    });
    let hub = hub.serve();
    let folder =
        home.online(&hub, RequestedFiles::Model, &[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), WEIGHTS);
    let from: Vec<_> =
        hub.asked().iter().filter(|asked| asked.is_cdn).map(|asked| asked.from).collect();
    assert_eq!(from, [None, Some(30_000), Some(60_000), Some(70_000)]);
}

/// A partial file from an interrupted process is used, whether llem or an older huggingface_hub wrote it.
#[test]
fn a_partial_file_is_completed() {
    for (part, from) in
        [(&WEIGHTS[..40_000], Some(40_000)), (&[9; 50], Some(50)), (&[7; 200_000], None)]
    {
        let home = Home::new();
        let hub = double::Hub::new(ID, model()).serve();
        fs::create_dir_all(home.repository().join("blobs")).unwrap();
        let blob = home.repository().join("blobs").join(hex(WEIGHTS));
        let incomplete = blob.with_extension("incomplete");
        fs::write(&incomplete, part).unwrap();
        home.online(&hub, RequestedFiles::Model, &[]).unwrap();
        assert_eq!(fs::read(&blob).unwrap(), WEIGHTS);
        assert!(!incomplete.exists());
        let asked = hub.asked().into_iter().find(|asked| asked.is_cdn).unwrap();
        assert_eq!(asked.from, from);
    }
}

#[test]
fn shards_and_subfolders_are_fetched() {
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let hub = with(&[
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", b"1"),
        ("model-2.safetensors", b"2"),
        ("additional_chat_templates/tool use.jinja", b"{{ tools }}"),
        ("tokenizer.model", b"spm"),
        ("onnx/model.onnx", b""),
    ]);
    let home = Home::new();
    let folder = home.online(&hub.serve(), RequestedFiles::Model, &[]).unwrap();
    for name in [
        "model-1.safetensors",
        "model-2.safetensors",
        "tokenizer.model",
        "additional_chat_templates/tool use.jinja",
    ] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(!folder.join("onnx").exists());
}

#[test]
fn processes_that_fetch_the_same_fetch_it_once() {
    let home = Home::new();
    let hub = double::Hub::new(ID, model()).serve();
    let together = Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                together.wait();
                home.online(&hub, RequestedFiles::Model, &[]).unwrap();
            });
        }
    });
    assert_eq!(hub.downloads("model.safetensors"), 1);
    assert_eq!(fs::read(home.snapshot().join("model.safetensors")).unwrap(), WEIGHTS);
}
