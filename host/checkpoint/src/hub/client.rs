//! The HTTP client for the Hub.
//!
//! ```text
//! GET  /api/models/ID/revision/REVISION    the commit, and the names of its files
//! HEAD /ID/resolve/COMMIT/FILE             etag and size, from the answer or from its redirect to a CDN
//! GET  /ID/resolve/COMMIT/FILE             the contents, usually after a redirect to a CDN
//! ```
//!
//! This module follows redirects itself instead of leaving them to ureq, for two reasons. The token must be sent to the
//! Hub only. The etag and size of a large file are headers of the redirect, not of the final answer.

use super::{
    failure::Failure,
    settings::{HubSettings, PUBLIC_HUB},
};
use crate::safetensors_files::is_within;
use std::{cell::Cell, collections::BTreeSet, io, thread, time::Duration};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use url::Url;

/// The addresses of the public Hub. The token is sent to them as well as to the configured endpoint (huggingface_hub's
/// `_HUB_ORIGINS`).
const HUB_ORIGINS: [&str; 2] = [PUBLIC_HUB, "https://hf.co"];

/// The number of redirects that huggingface_hub follows.
const MAX_REDIRECTS: usize = 20;

/// Largest listing that is read, in bytes. The listings of the largest repositories have a few megabytes.
const MAX_LISTING_BYTES: u64 = 64 << 20;

/// How often a request is repeated after a transient failure, and the first and longest wait before it
/// (huggingface_hub's `http_backoff`).
const MAX_RETRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// The longest wait that the Hub may ask for. A rate limit can last five minutes; after such an answer the request
/// fails at once, so that the user is not left waiting.
const MAX_REQUESTED_WAIT: Duration = Duration::from_secs(60);

/// A client for one repository of the Hub.
pub(super) struct Client<'a> {
    settings: &'a HubSettings,
    id: &'a str,
    agent: Agent,
    /// Whether the Hub has answered any request. A Hub that never answered is not asked again.
    has_answered: Cell<bool>,
}

/// The contents of a revision.
pub(super) struct Listing {
    /// The commit to which the revision points.
    pub(super) commit: String,
    /// The paths of its files.
    pub(super) names: BTreeSet<String>,
}

/// What the Hub says about a file before it is fetched.
pub(super) struct FileMetadata {
    /// Identifies the contents. It is their SHA-256 if the Hub stores them in LFS or Xet.
    pub(super) etag: String,
    /// The size in bytes, if the Hub gives it.
    pub(super) size: Option<u64>,
}

/// What a request is about, for the error message.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Repository,
    File(&'a str),
}

/// The HTTP method of a request.
enum Method {
    /// Asks for the headers of the last answer that comes from the Hub itself.
    Head,
    /// Asks for the contents from this byte on, from the Hub or a CDN.
    Get { from: u64 },
}

impl<'a> Client<'a> {
    /// Makes a client without connecting.
    pub(super) fn new(settings: &'a HubSettings, id: &'a str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding("identity")
            .user_agent(concat!("llem/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(settings.answer_timeout))
            .timeout_connect(Some(settings.answer_timeout))
            .timeout_recv_response(Some(settings.answer_timeout))
            .timeout_per_read(Some(settings.stall_timeout))
            .timeout_per_write(Some(settings.stall_timeout));
        let agent = config.build().into();
        Self { settings, id, agent, has_answered: Cell::new(false) }
    }

    /// Fetches the commit and the files of a revision.
    pub(super) fn listing(&self, revision: &str) -> Result<Listing, Failure> {
        #[derive(serde::Deserialize)]
        struct ListingJson {
            sha: String,
            siblings: Vec<Sibling>,
        }
        #[derive(serde::Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let parts = ["api", "models"].into_iter().chain(self.id.split('/'));
        let url = self.settings.address(parts.chain(["revision", revision]));
        let read = || {
            let answer = self.send(&Method::Get { from: 0 }, url.clone(), Subject::Repository)?;
            let body = answer.into_body().into_with_config().limit(MAX_LISTING_BYTES).read_to_vec();
            body.map_err(|error| self.connection_failure(error))
        };
        let json: ListingJson = match serde_json::from_slice(&self.retry(read)?) {
            Ok(json) => json,
            Err(error) => {
                return Err(self.not_the_hub(format!("a listing cannot be read: {error}")));
            }
        };
        if !super::cache::is_commit(&json.sha) {
            return Err(self.not_the_hub(format!("'{}' is no commit", json.sha)));
        }
        let names = json.siblings.into_iter().map(|file| file.rfilename).collect();
        Ok(Listing { commit: json.sha, names })
    }

    /// Fetches the etag and size of a file.
    pub(super) fn metadata(&self, commit: &str, name: &str) -> Result<FileMetadata, Failure> {
        let send = || self.send(&Method::Head, self.file(commit, name), Subject::File(name));
        let answer = self.retry(send)?;
        let headers = answer.headers();
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
        let etag = etag.map(|etag| etag.trim_start_matches(['W', '/']).trim_matches('"'));
        // The etag becomes the name of a file in the cache, so it must not contain a path.
        let etag = etag.filter(|etag| is_within(etag) && !etag.contains('/'));
        let Some(etag) = etag else {
            return Err(
                self.not_the_hub(format!("{name} has no etag that a file can be called by"))
            );
        };
        let own_size = || text(headers, "content-length").filter(|_| answer.status().is_success());
        let size = text(headers, "x-linked-size").or_else(own_size);
        Ok(FileMetadata { etag: etag.to_owned(), size: size.and_then(|size| size.parse().ok()) })
    }

    /// Requests the contents of a file from the byte `from` on. An answer with status 200 contains the whole file
    /// instead.
    pub(super) fn content(
        &self,
        commit: &str,
        name: &str,
        from: u64,
    ) -> Result<Response<Body>, Failure> {
        self.send(&Method::Get { from }, self.file(commit, name), Subject::File(name))
    }

    /// Converts a failed connection to a [`Failure`], which says whether the Hub has answered before.
    pub(super) fn connection_failure(&self, error: impl Into<ureq::Error>) -> Failure {
        let reason = match error.into() {
            ureq::Error::Timeout(_) => "no answer in time".to_owned(),
            ureq::Error::HostNotFound => "its name is not known".to_owned(),
            // While a body is read, ureq wraps its own errors in `io::Error`.
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                "no answer in time".to_owned()
            }
            ureq::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        };
        match self.has_answered.get() {
            true => Failure::Broken { reason },
            false => Failure::Unreachable { hub: self.settings.hub(), reason },
        }
    }

    /// Repeats an attempt while it fails with a transient failure and [`Retries`] allows it.
    fn retry<T>(&self, attempt: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut retries = Retries::default();
        loop {
            match attempt() {
                Err(failure) => {
                    retries.wait_after(failure, |message| tracing::warn!("{message}"))?
                }
                done => return done,
            }
        }
    }

    fn file(&self, commit: &str, name: &str) -> Url {
        let parts = self.id.split('/').chain(["resolve", commit]).chain(name.split('/'));
        self.settings.address(parts)
    }

    /// Sends a request, follows redirects, and returns the first successful answer. For [`Method::Head`] it may return
    /// the redirect to a CDN, which has the headers of a large file.
    fn send(
        &self,
        method: &Method,
        mut url: Url,
        subject: Subject<'_>,
    ) -> Result<Response<Body>, Failure> {
        for _ in 0..MAX_REDIRECTS {
            let mut request = match method {
                Method::Head => self.agent.head(url.as_str()),
                Method::Get { .. } => self.agent.get(url.as_str()),
            };
            if let Some(token) = self.settings.token.as_ref().filter(|_| self.is_hub(&url)) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.text));
            }
            if let Method::Get { from: from @ 1.. } = method {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let answer = request.call().map_err(|error| self.connection_failure(error))?;
            self.has_answered.set(true);
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            if !status.is_redirection() {
                return Err(match self.is_hub(&url) {
                    true => self.status_failure(&answer, subject),
                    // The address of the CDN has expired. The next attempt gets a new one from the Hub.
                    false => Failure::Broken {
                        reason: format!("{} answered with status {status}", host(&url)),
                    },
                });
            }
            let target = text(answer.headers(), "location").and_then(|to| url.join(to).ok());
            let Some(target) = target.filter(|to| matches!(to.scheme(), "http" | "https")) else {
                return Err(self.not_the_hub(format!("status {status} leads nowhere")));
            };
            let has_metadata =
                matches!(method, Method::Head) && text(answer.headers(), "x-linked-etag").is_some();
            if has_metadata && !self.is_hub(&target) {
                return Ok(answer);
            }
            url = target;
        }
        Err(self.not_the_hub(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Whether an address belongs to the Hub, by its scheme, host and port.
    fn is_hub(&self, url: &Url) -> bool {
        let origin = url.origin();
        origin == self.settings.endpoint.origin()
            || HUB_ORIGINS.contains(&origin.ascii_serialization().as_str())
    }

    /// Converts an answer with an error status to a [`Failure`], as huggingface_hub's `hf_raise_for_status` does.
    fn status_failure(&self, answer: &Response<Body>, subject: Subject<'_>) -> Failure {
        let (status, headers) = (answer.status(), answer.headers());
        let (code, message) = (text(headers, "x-error-code"), text(headers, "x-error-message"));
        let (hub, page) = (self.settings.hub(), self.settings.page(self.id));
        let token = self.settings.token.as_ref().map(|token| token.origin.clone());
        match (status, code) {
            (_, Some("GatedRepo")) => match token {
                Some(token) => Failure::Gated { page, token },
                None => Failure::GatedWithoutToken { page, hub },
            },
            (_, Some("RevisionNotFound")) => Failure::NoRevision { page },
            (StatusCode::UNAUTHORIZED, _)
                if message == Some("Invalid credentials in Authorization header") =>
            {
                Failure::BadToken { token: token.unwrap_or_default(), hub }
            }
            (_, Some("RepoNotFound")) | (StatusCode::UNAUTHORIZED, _) => self.missing_repository(),
            (StatusCode::NOT_FOUND, _) => match subject {
                Subject::Repository => self.missing_repository(),
                Subject::File(name) => Failure::NoFile(format!("the repository has no {name}")),
            },
            (StatusCode::TOO_MANY_REQUESTS, _) => Failure::RateLimited { wait: wait(headers) },
            (StatusCode::REQUEST_TIMEOUT, _) => {
                Failure::Server { status: status.as_u16(), wait: wait(headers) }
            }
            _ if status.is_server_error() => {
                Failure::Server { status: status.as_u16(), wait: wait(headers) }
            }
            _ if message.is_some() || status == StatusCode::FORBIDDEN => {
                let reason = message.map_or_else(|| format!("status {status}"), str::to_owned);
                Failure::Forbidden { reason, page }
            }
            _ => self.not_the_hub(format!("status {status}")),
        }
    }

    /// Returns the failure for a repository that is not a model. Asks the Hub whether there is a dataset or space of
    /// that name.
    fn missing_repository(&self) -> Failure {
        for (kind, kinds) in [("dataset", "datasets"), ("space", "spaces")] {
            let url = self.settings.address(["api", kinds].into_iter().chain(self.id.split('/')));
            let answer = self.agent.head(url.as_str()).call();
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Failure::OtherKind { kind };
            }
        }
        let hub = self.settings.hub();
        match &self.settings.token {
            Some(token) => Failure::NoRepository { hub, token: token.origin.clone() },
            None => Failure::NoPublicRepository { hub },
        }
    }

    fn not_the_hub(&self, reason: String) -> Failure {
        Failure::NotTheHub { hub: self.settings.hub(), reason }
    }
}

/// Counts the remaining attempts after transient failures, and doubles the wait before each.
pub(super) struct Retries {
    left: u32,
    wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { left: MAX_RETRIES, wait: FIRST_BACKOFF }
    }
}

impl Retries {
    /// Waits before the next attempt. Returns the failure instead if it is not transient or no attempt is left. `say`
    /// is called with a message before the wait.
    pub(super) fn wait_after(
        &mut self,
        failure: Failure,
        say: impl FnOnce(&str),
    ) -> Result<(), Failure> {
        let wait = failure.wait().unwrap_or(self.wait);
        let is_worth_it = self.left > 0 && wait <= MAX_REQUESTED_WAIT;
        let Some(cause) = failure.transient().filter(|_| is_worth_it) else { return Err(failure) };
        self.left -= 1;
        self.wait = MAX_BACKOFF.min(2 * self.wait);
        say(&format!("{cause}; trying again in {} s", wait.as_secs()));
        thread::sleep(wait);
        Ok(())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Returns the wait that the Hub asks for: `Retry-After`, or the `t` of `RateLimit: "api";r=0;t=55`, both in seconds.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let of_limit = || {
        let limit = text(headers, "ratelimit")?;
        limit.split(';').find_map(|part| part.trim().strip_prefix("t="))
    };
    let seconds = text(headers, "retry-after").or_else(of_limit)?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}
