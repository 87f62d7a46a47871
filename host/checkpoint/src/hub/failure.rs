//! Why something of the Hub could not be had, each with what to do about it.

use std::{io, path::PathBuf, time::Duration};

/// Why the Hub's answer is of no use, or there is none.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The network may not be asked, and the cache has nothing of it.
    #[error(
        "the Hub cache {} does not hold it, and {variable} forbids to fetch it: unset that, or set HF_HOME to a cache that \
         holds it",
        cache.display()
    )]
    NotCached {
        /// The variable that forbids it.
        variable: &'static str,
        /// The cache.
        cache: PathBuf,
    },

    /// The network may not be asked, and the cache has other revisions.
    #[error(
        "the Hub cache {} holds {} of it, and {variable} forbids to fetch another: name one of those after an @, or unset \
         that",
        cache.display(), known.join(", ")
    )]
    OtherRevisions {
        /// The variable that forbids it.
        variable: &'static str,
        /// The cache.
        cache: PathBuf,
        /// Those that are there.
        known: Vec<String>,
    },

    /// The network may not be asked, and the cache has a part.
    #[error("{variable} forbids to fetch that: unset it")]
    Forbids {
        /// The variable that forbids it.
        variable: &'static str,
    },

    /// The network may not be asked, and the cache has a GGUF file of it.
    #[error("{} is there, so give that; {variable} forbids to fetch the rest", file.display())]
    OnlyGguf {
        /// The variable that forbids it.
        variable: &'static str,
        /// The file.
        file: PathBuf,
    },

    /// No connection, before the Hub answered anything.
    #[error(
        "the Hub at {hub} cannot be reached ({reason}): check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT, or \
         set HF_HOME to a cache that holds it"
    )]
    Unreachable {
        /// The Hub's address.
        hub: String,
        /// What the connection failed of.
        reason: String,
    },

    /// A connection that broke off, after the Hub had answered.
    #[error(
        "the connection broke off ({reason}): run it again, which goes on from what is fetched already"
    )]
    Broken {
        /// How it broke off.
        reason: String,
    },

    /// No such repository for whoever asks without a token.
    #[error(
        "no folder here is called that, and the Hub at {hub} has no public repository of that name: check the spelling, \
         or set HF_TOKEN if it is private"
    )]
    NoPublicRepository {
        /// The Hub's address.
        hub: String,
    },

    /// No such repository for whoever the token stands for.
    #[error(
        "no folder here is called that, and the Hub at {hub} has no repository of that name that the token in {token} may \
         see: check the spelling and the token's permissions"
    )]
    NoRepository {
        /// The Hub's address.
        hub: String,
        /// Where the token came from.
        token: String,
    },

    /// A repository of the same name is none of a model.
    #[error("it is a {kind} on the Hub, not a model: give a model's id")]
    OtherKind {
        /// `dataset` or `space`.
        kind: &'static str,
    },

    /// A repository whose terms have to be accepted, without a token.
    #[error(
        "the repository is gated: accept its terms at {page}, and set HF_TOKEN to a token of that account (from \
         {hub}/settings/tokens)"
    )]
    GatedWithoutToken {
        /// The repository's page.
        page: String,
        /// The Hub's address.
        hub: String,
    },

    /// A repository whose terms the token's account has not accepted.
    #[error(
        "the repository is gated, and the account of the token in {token} has no access: accept its terms at {page} (some \
         owners grant access by hand, later), and let the token read gated repositories"
    )]
    Gated {
        /// The repository's page.
        page: String,
        /// Where the token came from.
        token: String,
    },

    /// The token is none.
    #[error(
        "the Hub does not know the token in {token}: make one at {hub}/settings/tokens, or unset it"
    )]
    BadToken {
        /// Where the token came from.
        token: String,
        /// The Hub's address.
        hub: String,
    },

    /// Access is refused for a reason of the Hub's own.
    #[error("the Hub refuses access ({reason}): see {page}")]
    Forbidden {
        /// What the Hub says, or the status.
        reason: String,
        /// The repository's page.
        page: String,
    },

    /// The repository has no such branch, tag or commit.
    #[error(
        "the repository has no such revision: see its branches, tags and commits at {page}/tree/main"
    )]
    NoRevision {
        /// The repository's page.
        page: String,
    },

    /// The repository lacks a file.
    #[error("{0}")]
    NoFile(String),

    /// Too many requests.
    #[error(
        "the Hub has been asked too much from here: try again {when}, or set HF_TOKEN, which allows more requests",
        when = match .wait {
            Some(wait) => format!("in {} s", wait.as_secs()),
            None => "later".to_owned(),
        }
    )]
    RateLimited {
        /// How long the Hub asks to wait.
        wait: Option<Duration>,
    },

    /// The Hub is not well.
    #[error(
        "the Hub answered with status {status}: try again later (https://status.huggingface.co)"
    )]
    Server {
        /// The HTTP status.
        status: u16,
        /// How long the Hub asks to wait.
        wait: Option<Duration>,
    },

    /// Whatever answered, it is not a Hub.
    #[error(
        "{hub} did not answer as the Hub does ({reason}): check HF_ENDPOINT, and whether a proxy wants a login"
    )]
    NotTheHub {
        /// The address.
        hub: String,
        /// What is odd.
        reason: String,
    },

    /// What arrived is not what was announced.
    #[error("{name} arrived damaged: {reason}; run it again to fetch it anew")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        reason: String,
    },

    /// The cache cannot take it.
    #[error("{}: {}", path.display(), storage_reason(error))]
    Storage {
        /// The file or folder that was written to.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },

    /// What is to be fetched is more than the disk has room for.
    #[error(
        "{}: {} are to be fetched, and the disk has {} free: make room, or set HF_HOME to a folder on another disk",
        path.display(), bytes(*needed), bytes(*free)
    )]
    NoRoom {
        /// The cache.
        path: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        free: u64,
    },
}

impl Failure {
    /// Something of the cache that cannot be written.
    pub fn storage(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Storage { path: path.into(), error }
    }

    /// What happened, if the same may be had by asking again without anybody doing anything.
    pub fn transient(&self) -> Option<String> {
        match self {
            Self::Broken { reason } => Some(format!("the connection broke off ({reason})")),
            Self::RateLimited { .. } => {
                Some("the Hub has been asked too much from here".to_owned())
            }
            Self::Server { status, .. } => Some(format!("the Hub answered with status {status}")),
            _ => None,
        }
    }

    /// How long the Hub asks to wait before it is asked again.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait } | Self::Server { wait, .. } => *wait,
            _ => None,
        }
    }
}

fn storage_reason(error: &io::Error) -> String {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        PermissionDenied | ReadOnlyFilesystem => {
            format!("cannot be written to ({error}): set HF_HOME to a folder that you may write to")
        }
        StorageFull | QuotaExceeded => format!(
            "{error}: make room, or set HF_HOME to a folder on another disk; what is fetched already is kept"
        ),
        _ => {
            format!("cannot be written ({error}): check the disk, or set HF_HOME to another folder")
        }
    }
}

/// A number of bytes as people read it, in powers of ten as disks and networks are sold.
pub fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut value = count as f64 / 1e3;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1e3;
        unit += 1;
    }
    match count {
        0..1_000 => format!("{count} B"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}
