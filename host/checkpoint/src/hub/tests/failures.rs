//! Failures of the Hub and the network, and their error messages.

use super::*;

/// Each message names the remedy.
#[test]
fn refusals_say_what_to_do() {
    let private = double::Hub::new(ID, model()).with_access(Access::Private).serve();
    let gated = double::Hub::new(ID, model()).with_access(Access::Gated).serve();
    let page = |hub: &Running| format!("{}/{ID}", hub.endpoint);
    let fetch =
        |hub: &Running, more: &[(&str, &str)]| Home::new().online(hub, RequestedFiles::Model, more);
    let wrong = [("HF_TOKEN", "hf_wrong")];
    assert_mentions(
        &fetch(&private, &[]),
        &["no model 'acme/small'", "no folder", "set HF_TOKEN if it is private"],
    );
    assert_mentions(
        &fetch(&private, &wrong),
        &["no model 'acme/small'", "token in HF_TOKEN may see"],
    );
    assert_mentions(
        &fetch(&private, &[("HF_TOKEN", "hf_none")]),
        &["does not know the token in HF_TOKEN"],
    );
    assert_mentions(&fetch(&gated, &[]), &["gated", &page(&gated), "set HF_TOKEN"]);
    assert_mentions(&fetch(&gated, &wrong), &["gated", &page(&gated), "has no access"]);

    let open = double::Hub::new(ID, model()).serve();
    let home = Home::new();
    let settings = home.settings(&[("HF_ENDPOINT", &open.endpoint)]);
    let sentence = HubRevision::new(settings, ID, "v9")
        .fetch(RequestedFiles::Model)
        .map_err(|error| error.to_string());
    assert_mentions(&sentence, &["acme/small@v9", "no such revision", &page(&open)]);
    // A model that cannot be fetched leaves nothing in the cache.
    assert!(!home.path("hub").exists());
}

#[test]
fn a_repository_without_a_model_is_described() {
    let fetch = |files: &[(&str, &[u8])], kind| Home::new().online(&with(files).serve(), kind, &[]);
    let gguf: &[(&str, &[u8])] = &[("small-Q4_K_M.gguf", b""), ("small-Q8_0.gguf", b"")];
    assert_mentions(
        &fetch(gguf, RequestedFiles::Model),
        &["no config.json but GGUF files (small-Q4_K_M.gguf, small-Q8_0.gguf)"],
    );
    let pickled: &[(&str, &[u8])] = &[("config.json", b"{}"), ("pytorch_model.bin", b"")];
    assert_mentions(
        &fetch(pickled, RequestedFiles::Model),
        &["model.safetensors", "pytorch_model.bin", "save_pretrained"],
    );
    let adapter: &[(&str, &[u8])] = &[("adapter_config.json", b"{}"), ("adapter_model.bin", b"")];
    assert_mentions(&fetch(adapter, RequestedFiles::Model), &["adapter_config.json", "base model"]);
    assert_mentions(&fetch(adapter, ADAPTER), &["adapter_model.safetensors", "adapter_model.bin"]);
    assert_mentions(&fetch(pickled, ADAPTER), &["adapter_config.json", "it is a model"]);
    assert_mentions(
        &fetch(&[("data.csv", b"")], RequestedFiles::Model),
        &["config.json", "it has data.csv"],
    );
    let index = br#"{"weight_map": {"a": "model-1.safetensors"}}"#;
    let torn: &[(&str, &[u8])] = &[("config.json", b"{}"), ("model.safetensors.index.json", index)];
    assert_mentions(&fetch(torn, RequestedFiles::Model), &["no model-1.safetensors"]);
}

#[test]
fn a_dataset_of_that_name_is_reported() {
    let hub = with(&[]).with_faults(|asked| match &asked.path[..] {
        "/api/datasets/acme/small" => Some(Fault::Status("200 OK", "")),
        "/api/models/acme/small/revision/main" => {
            Some(Fault::Status("401 Unauthorized", "x-error-code: RepoNotFound\r\n"))
        }
        _ => None,
    });
    assert_mentions(
        &Home::new().online(&hub.serve(), RequestedFiles::Model, &[]),
        &["a dataset on the Hub, not a model"],
    );
}

#[test]
fn contents_are_checked() {
    let home = Home::new();
    let damaged =
        |asked: &double::Asked| asked.is_cdn.then(|| Fault::Other(vec![8; WEIGHTS.len()]));
    let hub = double::Hub::new(ID, model()).with_faults(damaged).serve();
    assert_mentions(
        &home.online(&hub, RequestedFiles::Model, &[]),
        &["model.safetensors arrived damaged", "SHA-256"],
    );
    assert!(!home.snapshot().join("model.safetensors").exists());
    let blobs = fs::read_dir(home.repository().join("blobs")).unwrap().flatten();
    assert!(
        blobs.into_iter().all(|blob| !blob.file_name().to_str().unwrap().contains("incomplete"))
    );
    let long = |asked: &double::Asked| asked.is_cdn.then(|| Fault::Other(vec![7; 100_001]));
    let hub = double::Hub::new(ID, model()).with_faults(long).serve();
    assert_mentions(
        &home.online(&hub, RequestedFiles::Model, &[]),
        &["100001 bytes came rather than 100000"],
    );
}

#[test]
fn transient_failures_are_tried_again() {
    let hub =
        double::Hub::new(ID, model()).with_faults(|asked| match (asked.is_cdn, asked.before) {
            (false, 0) => Some(Fault::Status("429 Too Many Requests", "retry-after: 0\r\n")),
            (false, 1) => Some(Fault::Status("503 Service Unavailable", "retry-after: 0\r\n")),
            (true, 0) => Some(Fault::Status("403 Forbidden", "")),
            _ => None,
        });
    let home = Home::new();
    home.online(&hub.serve(), RequestedFiles::Model, &[]).unwrap();
    assert_eq!(fs::read(home.snapshot().join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn permanent_failures_are_reported() {
    let limit = |_: &double::Asked| {
        let headers = "ratelimit: \"api\";r=0;t=180\r\n";
        Some(Fault::Status("429 Too Many Requests", headers))
    };
    let hub = with(&[]).with_faults(limit).serve();
    assert_mentions(
        &Home::new().online(&hub, RequestedFiles::Model, &[]),
        &["in 180 s", "HF_TOKEN"],
    );
    let ill =
        |_: &double::Asked| Some(Fault::Status("503 Service Unavailable", "retry-after: 0\r\n"));
    let hub = with(&[]).with_faults(ill).serve();
    assert_mentions(
        &Home::new().online(&hub, RequestedFiles::Model, &[]),
        &["status 503", "status.huggingface.co"],
    );
    let login = |_: &double::Asked| Some(Fault::Status("200 OK", "content-type: text/html\r\n"));
    let hub = with(&[]).with_faults(login).serve();
    assert_mentions(
        &Home::new().online(&hub, RequestedFiles::Model, &[]),
        &["HF_ENDPOINT", "proxy"],
    );
    let round = |_: &double::Asked| Some(Fault::Status("302 Found", "location: /again\r\n"));
    let hub = with(&[]).with_faults(round).serve();
    assert_mentions(&Home::new().online(&hub, RequestedFiles::Model, &[]), &["redirects"]);
}

#[test]
fn a_hub_that_cannot_be_reached_is_reported_at_once() {
    let nowhere = Running::at("http://127.0.0.1:9");
    let home = Home::new();
    assert_mentions(
        &home.online(&nowhere, RequestedFiles::Model, &[]),
        &["http://127.0.0.1:9 cannot be reached", "HF_ENDPOINT"],
    );
    home.fill(&["config.json"]);
    home.refer("main");
    assert_mentions(
        &home.online(&nowhere, RequestedFiles::Model, &[]),
        &["lacks model.safetensors", "cannot be reached"],
    );
    let settings = home.settings(&[("HF_ENDPOINT", "http://no-such-host.invalid")]);
    let sentence = HubRevision::new(settings, "gpt2", "main")
        .fetch(RequestedFiles::Model)
        .map_err(|e| e.to_string());
    assert_mentions(
        &sentence,
        &["no model 'gpt2': no folder here is called that", "no-such-host.invalid"],
    );
}

#[test]
fn a_file_name_that_leads_out_of_the_cache_is_refused() {
    let hub = with(&[
        ("config.json", b"{}"),
        ("model.safetensors", b"1"),
        ("additional_chat_templates/../../../../../out.jinja", b""),
    ]);
    let home = Home::new();
    assert_mentions(
        &home.online(&hub.serve(), RequestedFiles::Model, &[]),
        &["leads out of the repository"],
    );
    assert!(!home.path("out.jinja").exists());
}
