//! What goes wrong, and what is said of it.

use super::*;

/// What a user can do about it is in the sentence.
#[test]
fn refusals_say_what_to_do() {
    let private = double::Hub::new(ID, model()).with_access(Access::Private).serve();
    let gated = double::Hub::new(ID, model()).with_access(Access::Gated).serve();
    let page = |hub: &Running| format!("{}/{ID}", hub.endpoint);
    let fetch = |hub: &Running, more: &[(&str, &str)]| Home::new().online(hub, Kind::Model, more);
    let wrong = [("HF_TOKEN", "hf_wrong")];
    holds(
        &fetch(&private, &[]),
        &["no model 'acme/small'", "no folder", "set HF_TOKEN if it is private"],
    );
    holds(&fetch(&private, &wrong), &["no model 'acme/small'", "token in HF_TOKEN may see"]);
    holds(&fetch(&private, &[("HF_TOKEN", "hf_none")]), &["does not know the token in HF_TOKEN"]);
    holds(&fetch(&gated, &[]), &["gated", &page(&gated), "set HF_TOKEN"]);
    holds(&fetch(&gated, &wrong), &["gated", &page(&gated), "has no access"]);

    let open = double::Hub::new(ID, model()).serve();
    let home = Home::new();
    let settings = home.settings(&[("HF_ENDPOINT", &open.endpoint)]);
    let sentence =
        Hub::new(settings, ID, "v9").fetch(Kind::Model).map_err(|error| error.to_string());
    holds(&sentence, &["acme/small@v9", "no such revision", &page(&open)]);
    // Nothing of a model that cannot be had is put into the cache.
    assert!(!home.path("hub").exists());
}

#[test]
fn a_repository_of_something_else_is_called_what_it_is() {
    let fetch = |files: &[(&str, &[u8])], kind| Home::new().online(&with(files).serve(), kind, &[]);
    let gguf: &[(&str, &[u8])] = &[("small-Q4_K_M.gguf", b""), ("small-Q8_0.gguf", b"")];
    holds(
        &fetch(gguf, Kind::Model),
        &["no config.json but GGUF files (small-Q4_K_M.gguf, small-Q8_0.gguf)"],
    );
    let pickled: &[(&str, &[u8])] = &[("config.json", b"{}"), ("pytorch_model.bin", b"")];
    holds(
        &fetch(pickled, Kind::Model),
        &["model.safetensors", "pytorch_model.bin", "save_pretrained"],
    );
    let adapter: &[(&str, &[u8])] = &[("adapter_config.json", b"{}"), ("adapter_model.bin", b"")];
    holds(&fetch(adapter, Kind::Model), &["adapter_config.json", "base model"]);
    holds(&fetch(adapter, ADAPTER), &["adapter_model.safetensors", "adapter_model.bin"]);
    holds(&fetch(pickled, ADAPTER), &["adapter_config.json", "it is a model"]);
    holds(&fetch(&[("data.csv", b"")], Kind::Model), &["config.json", "it has data.csv"]);
    let index = br#"{"weight_map": {"a": "model-1.safetensors"}}"#;
    let torn: &[(&str, &[u8])] = &[("config.json", b"{}"), ("model.safetensors.index.json", index)];
    holds(&fetch(torn, Kind::Model), &["no model-1.safetensors"]);
}

#[test]
fn a_dataset_of_that_name_is_told() {
    let hub = with(&[]).with_faults(|asked| match &asked.path[..] {
        "/api/datasets/acme/small" => Some(Fault::Status("200 OK", "")),
        "/api/models/acme/small/revision/main" => {
            Some(Fault::Status("401 Unauthorized", "x-error-code: RepoNotFound\r\n"))
        }
        _ => None,
    });
    holds(
        &Home::new().online(&hub.serve(), Kind::Model, &[]),
        &["a dataset on the Hub, not a model"],
    );
}

#[test]
fn contents_are_checked() {
    let home = Home::new();
    let damaged =
        |asked: &double::Asked| asked.is_cdn.then(|| Fault::Other(vec![8; WEIGHTS.len()]));
    let hub = double::Hub::new(ID, model()).with_faults(damaged).serve();
    holds(&home.online(&hub, Kind::Model, &[]), &["model.safetensors arrived damaged", "SHA-256"]);
    assert!(!home.snapshot().join("model.safetensors").exists());
    let blobs = fs::read_dir(home.repository().join("blobs")).unwrap().flatten();
    assert!(
        blobs.into_iter().all(|blob| !blob.file_name().to_str().unwrap().contains("incomplete"))
    );
    let long = |asked: &double::Asked| asked.is_cdn.then(|| Fault::Other(vec![7; 100_001]));
    let hub = double::Hub::new(ID, model()).with_faults(long).serve();
    holds(&home.online(&hub, Kind::Model, &[]), &["100001 bytes came rather than 100000"]);
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
    home.online(&hub.serve(), Kind::Model, &[]).unwrap();
    assert_eq!(fs::read(home.snapshot().join("model.safetensors")).unwrap(), WEIGHTS);
}

#[test]
fn lasting_failures_are_told() {
    let limit = |_: &double::Asked| {
        let headers = "ratelimit: \"api\";r=0;t=180\r\n";
        Some(Fault::Status("429 Too Many Requests", headers))
    };
    let hub = with(&[]).with_faults(limit).serve();
    holds(&Home::new().online(&hub, Kind::Model, &[]), &["in 180 s", "HF_TOKEN"]);
    let ill =
        |_: &double::Asked| Some(Fault::Status("503 Service Unavailable", "retry-after: 0\r\n"));
    let hub = with(&[]).with_faults(ill).serve();
    holds(&Home::new().online(&hub, Kind::Model, &[]), &["status 503", "status.huggingface.co"]);
    let login = |_: &double::Asked| Some(Fault::Status("200 OK", "content-type: text/html\r\n"));
    let hub = with(&[]).with_faults(login).serve();
    holds(&Home::new().online(&hub, Kind::Model, &[]), &["HF_ENDPOINT", "proxy"]);
    let round = |_: &double::Asked| Some(Fault::Status("302 Found", "location: /again\r\n"));
    let hub = with(&[]).with_faults(round).serve();
    holds(&Home::new().online(&hub, Kind::Model, &[]), &["redirects"]);
}

#[test]
fn a_hub_that_cannot_be_reached_is_said_at_once() {
    let nowhere = Running::at("http://127.0.0.1:9");
    let home = Home::new();
    holds(
        &home.online(&nowhere, Kind::Model, &[]),
        &["http://127.0.0.1:9 cannot be reached", "HF_ENDPOINT"],
    );
    home.fill(&["config.json"]);
    home.refer("main");
    holds(
        &home.online(&nowhere, Kind::Model, &[]),
        &["lacks model.safetensors", "cannot be reached"],
    );
    let settings = home.settings(&[("HF_ENDPOINT", "http://no-such-host.invalid")]);
    let sentence = Hub::new(settings, "gpt2", "main").fetch(Kind::Model).map_err(|e| e.to_string());
    holds(&sentence, &["no model 'gpt2': no folder here is called that", "no-such-host.invalid"]);
}

#[test]
fn a_name_that_leads_out_is_refused() {
    let hub = with(&[
        ("config.json", b"{}"),
        ("model.safetensors", b"1"),
        ("additional_chat_templates/../../../../../out.jinja", b""),
    ]);
    let home = Home::new();
    holds(&home.online(&hub.serve(), Kind::Model, &[]), &["leads out of the repository"]);
    assert!(!home.path("out.jinja").exists());
}
