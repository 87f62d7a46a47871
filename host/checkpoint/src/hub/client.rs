//! Asks the Hub over HTTP.
//!
//! ```text
//! GET  /api/models/ID/revision/REVISION    commit and names of files
//! HEAD /ID/resolve/COMMIT/FILE             etag and size, of the answer itself or of the redirect to a CDN
//! GET  /ID/resolve/COMMIT/FILE             bytes, from the redirect's target where there is one
//! ```
//!
//! Redirects are followed here rather than by ureq, for two reasons: the token goes to the Hub alone, and what is told of
//! a large file is told by the answer that redirects.

use super::{
    failure::Failure,
    settings::{PUBLIC_HUB, Settings},
};
use crate::safetensors_files::is_within;
use std::{cell::Cell, collections::BTreeSet, io, thread, time::Duration};
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode, header},
};
use url::Url;

/// Other names of the public Hub, which get the token too (huggingface_hub's `_HUB_ORIGINS`).
const HUBS: [&str; 2] = [PUBLIC_HUB, "https://hf.co"];

/// As many as huggingface_hub follows.
const MOST_REDIRECTS: usize = 20;

/// A listing of the largest repositories has some megabytes. B.
const LONGEST_LISTING: u64 = 64 << 20;

/// How often the Hub is asked again, and how long after (huggingface_hub's `http_backoff`).
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// The longest wait that the Hub may ask for: a limit's window is five minutes, which nobody wants to look at.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(60);

/// A repository of the Hub.
pub struct Client<'a> {
    settings: &'a Settings,
    id: &'a str,
    agent: Agent,
    /// Whether the Hub has answered yet. What never answered is not asked again.
    has_answered: Cell<bool>,
}

/// What a revision holds.
pub struct Listing {
    /// The commit that it is.
    pub commit: String,
    /// Its files.
    pub names: BTreeSet<String>,
}

/// What is known of a file before it is fetched.
pub struct Metadata {
    /// The name of its contents: their SHA-256 where the Hub keeps them in LFS or Xet.
    pub etag: String,
    /// Bytes.
    pub size: Option<u64>,
}

/// What a request is about, for the sentence if it fails.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Repository,
    File(&'a str),
}

/// How an address is asked.
enum Method {
    /// Headers, of the Hub's own last answer.
    Head,
    /// Bytes from this one on, wherever they are.
    Get { from: u64 },
}

impl<'a> Client<'a> {
    /// Nothing is asked yet.
    pub fn new(settings: &'a Settings, id: &'a str) -> Self {
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

    /// The commit and the files of a revision.
    pub fn listing(&self, revision: &str) -> Result<Listing, Failure> {
        #[derive(serde::Deserialize)]
        struct Told {
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
            let answer = self.ask(&Method::Get { from: 0 }, url.clone(), Subject::Repository)?;
            let body = answer.into_body().into_with_config().limit(LONGEST_LISTING).read_to_vec();
            body.map_err(|error| self.broken(error))
        };
        let told: Told = match serde_json::from_slice(&self.persist(read)?) {
            Ok(told) => told,
            Err(error) => {
                return Err(self.not_the_hub(format!("a listing cannot be read: {error}")));
            }
        };
        if !super::cache::is_commit(&told.sha) {
            return Err(self.not_the_hub(format!("'{}' is no commit", told.sha)));
        }
        let names = told.siblings.into_iter().map(|file| file.rfilename).collect();
        Ok(Listing { commit: told.sha, names })
    }

    /// What the Hub tells of a file.
    pub fn metadata(&self, commit: &str, name: &str) -> Result<Metadata, Failure> {
        let ask = || self.ask(&Method::Head, self.file(commit, name), Subject::File(name));
        let answer = self.persist(ask)?;
        let headers = answer.headers();
        let etag = text(headers, "x-linked-etag").or_else(|| text(headers, "etag"));
        let etag = etag.map(|etag| etag.trim_start_matches(['W', '/']).trim_matches('"'));
        // It becomes the name of a file.
        let etag = etag.filter(|etag| is_within(etag) && !etag.contains('/'));
        let Some(etag) = etag else {
            return Err(
                self.not_the_hub(format!("{name} has no etag that a file can be called by"))
            );
        };
        let own_size = || text(headers, "content-length").filter(|_| answer.status().is_success());
        let size = text(headers, "x-linked-size").or_else(own_size);
        Ok(Metadata { etag: etag.to_owned(), size: size.and_then(|size| size.parse().ok()) })
    }

    /// A file's bytes from `from` on, or all of them where the answer's status is 200.
    pub fn content(&self, commit: &str, name: &str, from: u64) -> Result<Response<Body>, Failure> {
        self.ask(&Method::Get { from }, self.file(commit, name), Subject::File(name))
    }

    /// A connection that failed, before or after the Hub answered.
    pub fn broken(&self, error: impl Into<ureq::Error>) -> Failure {
        let reason = match error.into() {
            ureq::Error::Timeout(_) => "no answer in time".to_owned(),
            ureq::Error::HostNotFound => "its name is not known".to_owned(),
            // ureq passes its own errors through io::Error where a body is read.
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

    /// Tries until it works, or fails for good.
    fn persist<T>(&self, attempt: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
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

    /// The answer with a status of success, after redirects; for [`Method::Head`] it may be the redirect to a CDN.
    fn ask(
        &self,
        method: &Method,
        mut url: Url,
        subject: Subject<'_>,
    ) -> Result<Response<Body>, Failure> {
        for _ in 0..MOST_REDIRECTS {
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
            let answer = request.call().map_err(|error| self.broken(error))?;
            self.has_answered.set(true);
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            if !status.is_redirection() {
                return Err(match self.is_hub(&url) {
                    true => self.refusal(&answer, subject),
                    // An address that a CDN no longer takes: the Hub gives a new one.
                    false => Failure::Broken {
                        reason: format!("{} answered with status {status}", host(&url)),
                    },
                });
            }
            let target = text(answer.headers(), "location").and_then(|to| url.join(to).ok());
            let Some(target) = target.filter(|to| matches!(to.scheme(), "http" | "https")) else {
                return Err(self.not_the_hub(format!("status {status} leads nowhere")));
            };
            let is_told =
                matches!(method, Method::Head) && text(answer.headers(), "x-linked-etag").is_some();
            if is_told && !self.is_hub(&target) {
                return Ok(answer);
            }
            url = target;
        }
        Err(self.not_the_hub(format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// Whether an address is the Hub's own, by scheme, host and port.
    fn is_hub(&self, url: &Url) -> bool {
        let origin = url.origin();
        origin == self.settings.endpoint.origin()
            || HUBS.contains(&origin.ascii_serialization().as_str())
    }

    /// What a status other than success or redirection means (huggingface_hub's `hf_raise_for_status`).
    fn refusal(&self, answer: &Response<Body>, subject: Subject<'_>) -> Failure {
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
            (_, Some("RepoNotFound")) | (StatusCode::UNAUTHORIZED, _) => self.no_repository(),
            (StatusCode::NOT_FOUND, _) => match subject {
                Subject::Repository => self.no_repository(),
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

    /// No model of that name; something else may have it.
    fn no_repository(&self) -> Failure {
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

/// How often something is tried again where the network fails, and after how long.
pub struct Retries {
    tries: u32,
    wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { tries: TRIES, wait: FIRST_WAIT }
    }
}

impl Retries {
    /// Waits before the next try; gives back a failure that is not transient, and that of the last try.
    pub fn wait_after(&mut self, failure: Failure, say: impl FnOnce(&str)) -> Result<(), Failure> {
        let wait = failure.wait().unwrap_or(self.wait);
        let is_worth_it = self.tries > 0 && wait <= LONGEST_ASKED_WAIT;
        let Some(cause) = failure.transient().filter(|_| is_worth_it) else { return Err(failure) };
        self.tries -= 1;
        self.wait = LONGEST_WAIT.min(2 * self.wait);
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

/// How long to wait: `Retry-After`, or the `t` of `RateLimit: "api";r=0;t=55`, both in seconds.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let of_limit = || {
        let limit = text(headers, "ratelimit")?;
        limit.split(';').find_map(|part| part.trim().strip_prefix("t="))
    };
    let seconds = text(headers, "retry-after").or_else(of_limit)?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}
