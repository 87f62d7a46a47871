//! A double of the Hugging Face Hub: an HTTP/1.1 server on this machine with the API of a model, its files, and a CDN of another
//! origin for the large ones. Statuses and headers are those of huggingface.co.

use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// The commit that every branch and tag of the model points to by default.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A model, and the behaviour of its Hub.
pub struct Hub {
    id: String,
    commit: String,
    files: BTreeMap<String, Vec<u8>>,
    /// Who may read the model.
    access: Access,
    faults: Box<Faults>,
}

/// Chooses the fault of a request, if any.
type Faults = dyn Fn(&Asked) -> Option<Fault> + Send + Sync;

/// Who may read a model.
#[derive(Clone, Copy, PartialEq)]
pub enum Access {
    /// Anyone.
    Open,
    /// Anyone with the token `hf_right`; for others the model does not exist.
    Private,
    /// Anyone with the token `hf_right`; others learn that the model exists.
    Gated,
}

/// A fault of the server.
pub enum Fault {
    /// The response has this status and these header lines, each with its line end.
    Status(&'static str, &'static str),
    /// The connection ends after this many bytes of the body.
    Cut(usize),
    /// The connection stalls after this many bytes of the body.
    Stall(usize),
    /// The server ignores the requested range.
    Whole,
    /// The body is replaced by these bytes.
    Other(Vec<u8>),
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// True if the CDN received it rather than the Hub.
    pub is_cdn: bool,
    pub method: String,
    pub path: String,
    /// First byte of the requested range.
    pub from: Option<usize>,
    pub token: Option<String>,
    /// Number of equal requests before this one.
    pub before: usize,
}

/// A Hub that runs until the tests end.
pub struct Running {
    /// Address of the Hub.
    pub endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Running {
    /// Returns a Hub at an address at which nothing may listen.
    pub fn at(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), asked: Arc::default() }
    }

    /// Returns the received requests.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns the number of requests for bytes of a file.
    pub fn downloads(&self, name: &str) -> usize {
        let is_of =
            |asked: &&Asked| !asked.is_cdn && asked.method == "GET" && asked.path.ends_with(name);
        self.asked().iter().filter(is_of).count()
    }
}

impl Hub {
    /// A public model with these files.
    pub(crate) fn new(id: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self {
            id: id.to_owned(),
            commit: COMMIT.to_owned(),
            files: files.into_iter().collect(),
            access: Access::Open,
            faults: Box::new(|_| None),
        }
    }

    /// A public model with the files of folders.
    pub(crate) fn of_folders(id: &str, folders: &[&Path]) -> Self {
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().flatten());
        let files = entries.filter(|entry| entry.path().is_file());
        Self::new(
            id,
            files.map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
            }),
        )
    }

    /// Sets who may read the model.
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets the function that chooses the fault of each request.
    pub fn with_faults(
        mut self,
        faults: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        self.faults = Box::new(faults);
        self
    }

    /// Starts the server.
    pub fn serve(self) -> Running {
        let listeners =
            [false, true].map(|is_cdn| (is_cdn, TcpListener::bind("127.0.0.1:0").unwrap()));
        let [endpoint, cdn] = [0, 1]
            .map(|index: usize| format!("http://{}", listeners[index].1.local_addr().unwrap()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let service = Arc::new(Service { hub: self, cdn, asked: Arc::clone(&asked) });
        for (is_cdn, listener) in listeners {
            let service = Arc::clone(&service);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let service = Arc::clone(&service);
                    thread::spawn(move || service.answer_all(&stream, is_cdn));
                }
            });
        }
        Running { endpoint, asked }
    }
}

struct Service {
    hub: Hub,
    cdn: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A status, header lines and a body.
struct Answer(&'static str, String, Vec<u8>);

impl Service {
    fn answer_all(&self, stream: &TcpStream, is_cdn: bool) -> Option<()> {
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
            let from = headers
                .get("range")
                .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
            let token = headers.remove("authorization");
            let asked = {
                let mut all = self.asked.lock().unwrap();
                let is_same = |asked: &&Asked| asked.method == method && asked.path == path;
                let before = all.iter().filter(is_same).count();
                all.push(Asked { is_cdn, method, path, from, token, before });
                all.last()?.clone()
            };
            self.answer(stream, &asked)?;
        }
    }

    fn answer(&self, mut stream: &TcpStream, asked: &Asked) -> Option<()> {
        let fault = (self.hub.faults)(asked);
        let Answer(status, headers, body) = match &fault {
            Some(Fault::Status(status, headers)) => {
                Answer(status, (*headers).to_owned(), Vec::new())
            }
            _ if asked.is_cdn => self.content(asked, &fault),
            _ => self.hub_answer(asked, &fault),
        };
        // A single write, because a second small one would wait for the first one's acknowledgement.
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        stream.set_nodelay(true).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        if asked.method == "HEAD" {
            return Some(());
        }
        match fault {
            Some(Fault::Cut(length)) => {
                stream.write_all(&body[..length.min(body.len())]).ok()?;
                None
            }
            Some(Fault::Stall(length)) => {
                stream.write_all(&body[..length.min(body.len())]).ok()?;
                thread::sleep(Duration::from_secs(30));
                None
            }
            _ => stream.write_all(&body).ok(),
        }
    }

    fn hub_answer(&self, asked: &Asked, fault: &Option<Fault>) -> Answer {
        let Hub { id, commit, files, access, .. } = &self.hub;
        let refused = |status, code: &str| {
            let headers = format!("x-error-code: {code}\r\nx-error-message: {code}\r\n");
            Answer(status, headers, Vec::new())
        };
        let is_known = match asked.token.as_deref() {
            Some("Bearer hf_right") => true,
            Some("Bearer hf_none") => {
                let message = "x-error-message: Invalid credentials in Authorization header\r\n";
                return Answer("401 Unauthorized", message.to_owned(), Vec::new());
            }
            _ => false,
        };
        let path = asked.path.split('?').next().unwrap_or_default();
        let listed = path.strip_prefix(&format!("/api/models/{id}"));
        // The path to which the Hub redirects small files.
        let path = path.strip_prefix("/api/resolve-cache/models").unwrap_or(path);
        let resolved = path.strip_prefix(&format!("/{id}/resolve/"));
        if (listed.is_none() && resolved.is_none()) || (*access == Access::Private && !is_known) {
            return match asked.token {
                Some(_) => refused("404 Not Found", "RepoNotFound"),
                None => refused("401 Unauthorized", "RepoNotFound"),
            };
        }
        if let Some(rest) = listed {
            let revision = rest.strip_prefix("/revision/").unwrap_or("main");
            if !["main", "refs%2Fpr%2F1", commit].contains(&revision)
                && !rest.is_empty()
                && !rest.starts_with("/tree")
            {
                return refused("404 Not Found", "RevisionNotFound");
            }
            return json_answer(match rest.starts_with("/tree") {
                true => files.iter().map(|(name, bytes)| tree_entry(name, bytes)).collect(),
                false => {
                    let names = files.keys().map(|name| json!({ "rfilename": name }));
                    json!({ "id": id, "sha": commit, "siblings": names.collect::<Vec<_>>() })
                }
            });
        }
        let Some((revision, name)) = resolved.and_then(|rest| rest.split_once('/')) else {
            return refused("404 Not Found", "EntryNotFound");
        };
        if revision != commit && revision != "main" {
            return refused("404 Not Found", "RevisionNotFound");
        }
        if *access == Access::Gated && !is_known {
            return match asked.token {
                Some(_) => refused("403 Forbidden", "GatedRepo"),
                None => refused("401 Unauthorized", "GatedRepo"),
            };
        }
        let Some(bytes) = files.get(&name.replace("%20", " ")) else {
            return refused("404 Not Found", "EntryNotFound");
        };
        let sha = hex(bytes);
        let told = format!("x-repo-commit: {commit}\r\n");
        if is_large(name) {
            let to = format!("{}/{sha}/{name}?signature=right", self.cdn);
            let linked = format!("x-linked-etag: \"{sha}\"\r\nx-linked-size: {}\r\n", bytes.len());
            return Answer("302 Found", format!("{told}{linked}location: {to}\r\n"), Vec::new());
        }
        if !asked.path.starts_with("/api/resolve-cache") {
            let to = format!("/api/resolve-cache/models/{id}/resolve/{commit}/{name}");
            return Answer(
                "307 Temporary Redirect",
                format!("{told}location: {to}\r\n"),
                Vec::new(),
            );
        }
        // As long as Git's hash, which no client verifies.
        let headers = format!("{told}etag: \"{}\"\r\n", &sha[..40]);
        ranged(bytes, headers, asked, fault)
    }

    /// Serves a file of the CDN, which refuses requests that carry a token of the Hub.
    fn content(&self, asked: &Asked, fault: &Option<Fault>) -> Answer {
        let is_signed = asked.path.ends_with("?signature=right");
        let sha = asked.path.split('/').nth(1).unwrap_or_default();
        match self.hub.files.values().find(|bytes| hex(bytes) == sha) {
            Some(bytes) if is_signed && asked.token.is_none() => {
                ranged(bytes, String::new(), asked, fault)
            }
            _ => Answer("400 Bad Request", String::new(), Vec::new()),
        }
    }
}

/// Returns true for files that the Hub stores in LFS.
fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".model")
}

fn ranged(bytes: &[u8], headers: String, asked: &Asked, fault: &Option<Fault>) -> Answer {
    let bytes = match fault {
        Some(Fault::Other(bytes)) => bytes,
        _ => bytes,
    };
    match asked.from {
        Some(from) if !matches!(fault, Some(Fault::Whole)) => {
            let range =
                format!("content-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            Answer("206 Partial Content", headers + &range, bytes[from..].to_vec())
        }
        _ => Answer("200 OK", headers, bytes.to_vec()),
    }
}

fn json_answer(value: serde_json::Value) -> Answer {
    let body = value.to_string().into_bytes();
    Answer("200 OK", "content-type: application/json\r\n".to_owned(), body)
}

fn tree_entry(name: &str, bytes: &[u8]) -> serde_json::Value {
    let (sha, size) = (hex(bytes), bytes.len());
    let mut entry = json!({ "type": "file", "path": name, "size": size, "oid": &sha[..40] });
    if is_large(name) {
        entry["lfs"] = json!({ "oid": sha, "size": size, "pointerSize": 134 });
    }
    entry
}

/// Returns a SHA-256 in hexadecimal, as the Hub writes it.
pub fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
