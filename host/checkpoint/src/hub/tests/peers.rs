//! Compares the cache and the environment variables with huggingface_hub, which the script `tests/peers/hub` runs.

use super::*;
use serde_json::{Map, Value, json};
use std::{
    ffi::OsString,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::LazyLock,
};

/// Runs the script. Returns `None` if Python does not have huggingface_hub.
fn peer(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Option<Value> {
    static PYTHON: LazyLock<Option<OsString>> = LazyLock::new(|| {
        let python = std::env::var_os("LLEM_PYTHON").unwrap_or_else(|| "python3".into());
        let has = Command::new(&python).args(["-c", "import huggingface_hub"]).output();
        has.is_ok_and(|ran| ran.status.success()).then_some(python)
    });
    let Some(python) = &*PYTHON else {
        eprintln!("left out: LLEM_PYTHON names no Python that has huggingface_hub");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/hub");
    let mut command = Command::new(python);
    command.arg(script).args(arguments);
    // Passes on only those variables of the environment that Python needs.
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).envs(environment.iter().copied());
    command.env("HF_HUB_DISABLE_PROGRESS_BARS", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{arguments:?}");
    Some(serde_json::from_slice(&ran.stdout).unwrap())
}

#[test]
fn a_cache_that_huggingface_hub_filled_is_read_offline() {
    let hub = double::Hub::new(ID, model()).serve();
    for (revision, symlinks) in [("main", "0"), ("refs/pr/1", "1")] {
        let home = Home::new();
        let path = home.path("");
        let environment = [
            ("HF_HOME", path.to_str().unwrap()),
            ("HF_ENDPOINT", &hub.endpoint),
            ("HF_HUB_DISABLE_SYMLINKS", symlinks),
        ];
        // Fetch only one file first.
        let half = ["fetch", ID, revision, "config.json"];
        let Some(folder) = peer(&half, &environment, "") else { return };
        assert_eq!(home.snapshot().to_str(), folder.as_str());
        assert_mentions(
            &home.offline(RequestedFiles::Model, revision),
            &["lacks model.safetensors:"],
        );
        peer(&["fetch", ID, revision], &environment, "");
        for revision in [revision, COMMIT] {
            assert_eq!(home.offline(RequestedFiles::Model, revision).unwrap(), home.snapshot());
        }
        for (name, bytes) in model() {
            assert_eq!(fs::read(home.snapshot().join(name)).unwrap(), bytes);
        }
        if revision == "main" {
            // The Hub is not asked for a tokenizer, because huggingface_hub has stored the list of files.
            let asked = hub.asked().len();
            home.online(&hub, RequestedFiles::Model, &[]).unwrap();
            assert_eq!(hub.asked().len(), asked);
        }
    }
}

#[test]
fn a_cache_that_was_filled_here_is_read_by_huggingface_hub() {
    let hub = double::Hub::new(ID, model()).serve();
    for symlinks in ["0", "1"] {
        let home = Home::new();
        let folder = home
            .online(&hub, RequestedFiles::Model, &[("HF_HUB_DISABLE_SYMLINKS", symlinks)])
            .unwrap();
        let path = home.path("");
        let environment = [("HF_HOME", path.to_str().unwrap())];
        let names = [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "chat_template.jinja",
            "README.md",
        ];
        let arguments = [&["find", ID, "main"], &names[..]].concat();
        let Some(found) = peer(&arguments, &environment, "") else { return };
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let expected = json!({
            "folder": folder,
            "files": {
                "config.json": file("config.json"),
                "model.safetensors": file("model.safetensors"),
                "tokenizer.json": file("tokenizer.json"),
                "chat_template.jinja": "absent",
                "README.md": null,
            },
        });
        assert_eq!(found, expected);
    }
}

/// llem fetches one half and huggingface_hub the other, and the other way round.
#[test]
fn each_completes_what_the_other_began() {
    let hub = double::Hub::new(ID, model()).serve();
    let home = Home::new();
    let path = home.path("");
    let environment = [("HF_HOME", path.to_str().unwrap()), ("HF_ENDPOINT", &hub.endpoint)];
    home.online(&hub, RequestedFiles::Config, &[]).unwrap();
    let Some(folder) = peer(&["fetch", ID, "main", "tokenizer.json"], &environment, "") else {
        return;
    };
    assert_eq!(home.snapshot().to_str(), folder.as_str());
    home.online(&hub, RequestedFiles::Model, &[]).unwrap();
    peer(&["fetch", ID, "main"], &environment, "");
    // The Hub redirects a request for a small file, and huggingface_hub follows the redirect when it asks for the etag.
    for (name, downloads) in [("config.json", 2), ("tokenizer.json", 1), ("README.md", 1)] {
        assert_eq!(hub.downloads(name), downloads, "{name}");
    }
    assert_eq!(hub.downloads("model.safetensors"), 1);
}

/// huggingface_hub and llem understand the refusals of the double in the same way.
#[test]
fn refusals_are_told_apart_as_huggingface_hub_does() {
    let serve = |access| double::Hub::new(ID, model()).with_access(access).serve();
    let [open, private, gated] = [Access::Open, Access::Private, Access::Gated].map(serve);
    let cases = [
        (&open, "", "main", None, ""),
        (&open, "", "v9", Some("RevisionNotFoundError"), "no such revision"),
        (&private, "", "main", Some("RepositoryNotFoundError"), "no public repository"),
        (
            &private,
            "hf_wrong",
            "main",
            Some("RepositoryNotFoundError"),
            "the token in HF_TOKEN may see",
        ),
        (&private, "hf_none", "main", Some("HfHubHTTPError"), "does not know the token"),
        (&gated, "", "main", Some("GatedRepoError"), "gated"),
        (&gated, "hf_wrong", "main", Some("GatedRepoError"), "has no access"),
        (&gated, "hf_right", "main", None, ""),
    ];
    for (hub, token, revision, refusal, sentence) in cases {
        let home = Home::new();
        let settings = home.settings(&[("HF_ENDPOINT", &hub.endpoint), ("HF_TOKEN", token)]);
        let fetched = HubRevision::new(settings, ID, revision).fetch(RequestedFiles::Config);
        match refusal {
            Some(_) => assert_mentions(&fetched.map_err(|error| error.to_string()), &[sentence]),
            None => drop(fetched.unwrap()),
        }
    }
    let asked = cases.map(|(hub, token, revision, ..)| json!([hub.endpoint, token, revision]));
    let home = Home::new();
    let path = home.path("");
    let environment = [("HF_HOME", path.to_str().unwrap())];
    let Some(told) = peer(&["refusals", ID], &environment, &json!(asked).to_string()) else {
        return;
    };
    assert_eq!(told, json!(cases.map(|(_, _, _, refusal, _)| refusal)));
}

#[test]
fn environments_mean_what_they_mean_to_huggingface_hub() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    fs::create_dir_all(folder.path().join(".cache/huggingface")).unwrap();
    fs::write(folder.path().join(".cache/huggingface/token"), " hf_file \n").unwrap();
    fs::write(folder.path().join("my-token"), "hf_mine").unwrap();
    let environments: [&[(&str, &str)]; 25] = [
        &[],
        &[("XDG_CACHE_HOME", "~/xdg")],
        &[("XDG_CACHE_HOME", "$HOME/xdg"), ("HF_TOKEN_PATH", "~/my-token")],
        &[("HF_HOME", "~/hf")],
        &[("HF_HOME", "~")],
        &[("HF_HOME", "~other/hf")],
        &[("HF_HOME", "${HOME}/$NONE/${NONE}/$"), ("XDG_CACHE_HOME", "/xdg")],
        &[("HF_HOME", "/a/$NAME-1/${NAME}b"), ("NAME", "me")],
        &[("HF_HOME", "/hf"), ("HUGGINGFACE_HUB_CACHE", "~/old")],
        &[("HF_HUB_CACHE", "$HOME/new"), ("HUGGINGFACE_HUB_CACHE", "~/old")],
        &[("HF_HUB_CACHE", "relative/cache"), ("TRANSFORMERS_CACHE", "/transformers")],
        &[("HF_TOKEN", "hf_new"), ("HUGGING_FACE_HUB_TOKEN", "hf_old")],
        &[("HF_TOKEN", ""), ("HUGGING_FACE_HUB_TOKEN", "hf_old\n")],
        &[("HF_TOKEN", "  "), ("HUGGING_FACE_HUB_TOKEN", "hf_old")],
        &[("HF_TOKEN", "hf_new"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "true")],
        &[("HF_TOKEN_PATH", "/nowhere")],
        &[("HF_ENDPOINT", "https://hub.example.org/")],
        &[("HF_ENDPOINT", "http://hub.example.org:8080/api/hf//")],
        &[("HF_HUB_OFFLINE", "1"), ("HF_HUB_ETAG_TIMEOUT", "3")],
        &[("HF_HUB_OFFLINE", "on"), ("HF_HUB_DOWNLOAD_TIMEOUT", "60")],
        &[("HF_HUB_OFFLINE", "False"), ("TRANSFORMERS_OFFLINE", "1")],
        &[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "YES")],
        &[("TRANSFORMERS_OFFLINE", "0"), ("HF_HUB_DOWNLOAD_TIMEOUT", "0")],
        &[("HF_HUB_OFFLINE", "2"), ("HF_HUB_DISABLE_SYMLINKS", "1")],
        &[("HF_HUB_DISABLE_SYMLINKS", "0"), ("HF_HUB_DISABLE_XET", "1")],
    ];
    let environments = environments.map(|given| {
        let all = [("HOME", home)].into_iter().chain(given.iter().copied());
        all.map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>()
    });
    let Some(expected) = peer(&["settings"], &[], &json!(environments).to_string()) else { return };
    for (given, expected) in environments.iter().zip(expected.as_array().unwrap()) {
        let settings =
            HubSettings::from_variables(&|name| Some(given.get(name)?.as_str()?.into())).unwrap();
        let ours = json!({
            "cache": settings.cache,
            "endpoint": settings.endpoint.as_str().trim_end_matches('/'),
            "offline": settings.offline.is_some(),
            "token": settings.token.map(|token| token.text),
            "answer_timeout": settings.answer_timeout.as_secs(),
            "stall_timeout": settings.stall_timeout.as_secs(),
            "has_symlinks": settings.has_symlinks,
        });
        assert_eq!(&ours, expected, "{given:?}");
    }
}
