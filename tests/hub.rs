//! Models of the Hub: from a filled cache, and from a server on this machine behind HF_ENDPOINT.

use crate::support::{Desk, Ran, fixtures};
use std::{
    collections::HashMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn generate(desk: &Desk, home: &Path, endpoint: &str) -> Ran {
    let args =
        ["generate", "acme/small-llama", "--tokens", "5,6,7", "--max-new-tokens", "4", "--json"];
    with_hub(desk, &args, home, endpoint)
}

/// Runs with this cache and this endpoint, whatever the tests' own environment says.
fn with_hub(desk: &Desk, args: &[&str], home: &Path, endpoint: &str) -> Ran {
    let mut command = desk.command(args);
    command.env("HF_HOME", home).env("HF_ENDPOINT", endpoint);
    for name in ["HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"] {
        command.env_remove(name);
    }
    Ran::of(command.output().unwrap())
}

fn expected_tokens() -> serde_json::Value {
    let folder = fixtures().join("llama/sharded-linear");
    let args = [
        "generate",
        folder.to_str().unwrap(),
        "--tokens",
        "5,6,7",
        "--max-new-tokens",
        "4",
        "--json",
    ];
    Desk::new().llem(&args).ok().json()["tokens"].clone()
}

/// Lays a folder out as huggingface_hub's cache does.
fn fill_cache(home: &Path, source: &Path) {
    let repo = home.join("hub/models--acme--small-llama");
    let snapshot = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repo.join("refs")).unwrap();
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for file in fs::read_dir(source).unwrap().flatten() {
        fs::copy(file.path(), snapshot.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_filled_cache_needs_no_network() {
    let desk = Desk::new();
    let home = desk.folder.path().join("home");
    fill_cache(&home, &fixtures().join("llama/sharded-linear"));
    // Port 9 of this machine discards: any request to it would fail.
    let ran = generate(&desk, &home, "http://127.0.0.1:9").ok();
    assert_eq!(ran.json()["tokens"], expected_tokens());
    assert_eq!(ran.json()["model"]["source"], format!("acme/small-llama@{COMMIT}"));
}

#[test]
fn an_unreachable_hub_is_said() {
    let desk = Desk::new();
    generate(&desk, &desk.folder.path().join("home"), "http://127.0.0.1:9")
        .refused(2, &["acme/small-llama"]);
}

#[test]
fn a_missing_model_is_fetched_and_kept() {
    let desk = Desk::new();
    let home = desk.folder.path().join("home");
    let endpoint = serve(fixtures().join("llama/sharded-linear"));
    let ran = generate(&desk, &home, &endpoint).ok();
    assert_eq!(ran.json()["tokens"], expected_tokens());
    assert_eq!(ran.json()["model"]["source"], format!("acme/small-llama@{COMMIT}"));
    // Now it is there.
    let again = generate(&desk, &home, "http://127.0.0.1:9").ok();
    assert_eq!(again.json()["tokens"], expected_tokens());
}

/// Other programs fetch weights and tokenizer apart: a snapshot may have one without the other.
#[test]
fn a_tokenizer_that_the_cache_lacks_is_fetched() {
    let desk = Desk::new();
    let home = desk.folder.path().join("home");
    let weights = fixtures().join("llama/sharded-linear");
    fill_cache(&home, &weights);
    let hub = desk.folder.path().join("hub");
    fs::create_dir(&hub).unwrap();
    for file in
        [weights, fixtures().join("tokenizer")].iter().flat_map(|f| fs::read_dir(f).unwrap())
    {
        let file = file.unwrap();
        fs::copy(file.path(), hub.join(file.file_name())).unwrap();
    }
    let tokens = |endpoint: &str| {
        let args = ["generate", "acme/small-llama", "measure", "--max-new-tokens", "1", "--json"];
        with_hub(&desk, &args, &home, endpoint)
    };
    tokens("http://127.0.0.1:9").refused(2, &["tokenizer.json"]);
    let fetched = tokens(&serve(hub)).ok().json();
    assert_eq!(fetched["model"]["source"], format!("acme/small-llama@{COMMIT}"));
    let kept = tokens("http://127.0.0.1:9").ok();
    assert_eq!(kept.json()["tokens"], fetched["tokens"]);
    assert!(!kept.stderr.contains("cannot be asked"), "{}", kept.stderr);
}

#[test]
fn a_hub_without_a_tokenizer_is_asked_once() {
    let desk = Desk::new();
    let home = desk.folder.path().join("home");
    let folder = fixtures().join("llama/sharded-linear");
    fill_cache(&home, &folder);
    let unknown = generate(&desk, &home, "http://127.0.0.1:9").ok();
    assert!(unknown.stderr.contains("cannot be asked"), "{}", unknown.stderr);
    generate(&desk, &home, &serve(folder)).ok();
    let known = generate(&desk, &home, "http://127.0.0.1:9").ok();
    assert!(!known.stderr.contains("cannot be asked"), "{}", known.stderr);
}

/// Serves a folder as the Hub does: the model's listing, and its files with commit and etag.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || answer_all(&stream, &folder));
        }
    });
    endpoint
}

fn answer_all(stream: &TcpStream, folder: &Path) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        answer(stream, folder, &method, &path, headers.get("range"))?;
    }
}

fn answer(
    mut stream: &TcpStream,
    folder: &Path,
    method: &str,
    path: &str,
    range: Option<&String>,
) -> Option<()> {
    let mut extra = format!("x-repo-commit: {COMMIT}\r\n");
    let (status, body) = if path.starts_with("/api/models/acme/small-llama") {
        let names = fs::read_dir(folder)
            .ok()?
            .flatten()
            .map(|file| serde_json::json!({ "rfilename": file.file_name().to_string_lossy() }));
        let listing = serde_json::json!({ "sha": COMMIT, "siblings": names.collect::<Vec<_>>() });
        ("200 OK", listing.to_string().into_bytes())
    } else if let Ok(file) = fs::read(folder.join(path.rsplit('/').next()?)) {
        let mut hash = DefaultHasher::new();
        file.hash(&mut hash);
        extra += &format!("etag: \"{:x}\"\r\n", hash.finish());
        match range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
            Some((first, last)) => {
                let (first, last): (usize, usize) =
                    (first.parse().ok()?, last.parse().unwrap_or(file.len() - 1));
                let last = last.min(file.len() - 1);
                extra += &format!("content-range: bytes {first}-{last}/{}\r\n", file.len());
                ("206 Partial Content", file[first..=last].to_vec())
            }
            None => ("200 OK", file),
        }
    } else {
        ("404 Not Found", Vec::new())
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{extra}\r\n", body.len()).ok()?;
    if method != "HEAD" {
        stream.write_all(&body).ok()?;
    }
    Some(())
}

/// An adapter is two files of a repository.
#[test]
fn an_adapter_is_fetched_and_kept() {
    let desk = Desk::new();
    let home = desk.folder.path().join("home");
    let adapter = fixtures().join("adapters/llama-attention-r8");
    let base = fixtures().join("llama/untied-llama3");
    let generate = |adapter: &str, endpoint: &str| {
        let args = ["generate", base.to_str().unwrap(), "--tokens", "5,6,7", "--json", "--adapter"];
        with_hub(&desk, &[&args[..], &[adapter]].concat(), &home, endpoint)
    };
    let nowhere = "http://127.0.0.1:9";
    generate("acme/small-lora", nowhere).refused(2, &["acme/small-lora"]);
    let expected = generate(adapter.to_str().unwrap(), nowhere).ok().json();
    let fetched = generate("acme/small-lora", &serve(adapter)).ok().json();
    let kept = generate("acme/small-lora", nowhere).ok().json();
    for ours in [fetched, kept] {
        assert_eq!(ours["tokens"], expected["tokens"]);
        assert_eq!(ours["adapter"]["digest"], expected["adapter"]["digest"]);
        assert_eq!(ours["adapter"]["source"], format!("acme/small-lora@{COMMIT}"));
    }
}
