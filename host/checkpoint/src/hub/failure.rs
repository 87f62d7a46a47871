//! Why files of the Hub cannot be fetched. Each sentence ends with the remedy.

use std::{io, path::PathBuf, time::Duration};

/// Why files cannot be fetched from the Hub or stored in the cache.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The network is forbidden, and the cache has nothing of the repository.
    #[error(
        "the Hub cache {} does not hold it, and {variable} forbids to fetch it: unset that, or set HF_HOME to a cache that \
         holds it",
        cache.display()
    )]
    NotCached {
        /// The variable that forbids the network.
        variable: &'static str,
        /// The folder of the cache.
        cache: PathBuf,
    },

    /// The network is forbidden, and the cache has only other revisions.
    #[error(
        "the Hub cache {} holds {} of it, and {variable} forbids to fetch another: name one of those after an @, or unset \
         that",
        cache.display(), known.join(", ")
    )]
    OtherRevisions {
        /// The variable that forbids the network.
        variable: &'static str,
        /// The folder of the cache.
        cache: PathBuf,
        /// The revisions that the cache has.
        known: Vec<String>,
    },

    /// The network is forbidden, and the cache has only some of the files.
    #[error("{variable} forbids to fetch that: unset it")]
    Forbids {
        /// The variable that forbids the network.
        variable: &'static str,
    },

    /// The network is forbidden, and the cache has only a GGUF file of the model.
    #[error("{} is there, so give that; {variable} forbids to fetch the rest", file.display())]
    OnlyGguf {
        /// The variable that forbids the network.
        variable: &'static str,
        /// The GGUF file.
        file: PathBuf,
    },

    /// There is no connection, and the Hub has not answered any request.
    #[error(
        "the Hub at {hub} cannot be reached ({reason}): check the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT, or \
         set HF_HOME to a cache that holds it"
    )]
    Unreachable {
        /// The Hub's address.
        hub: String,
        /// Why the connection failed.
        reason: String,
    },

    /// A connection broke after the Hub had answered.
    #[error(
        "the connection broke off ({reason}): run it again, which goes on from what is fetched already"
    )]
    Broken {
        /// Why the connection broke.
        reason: String,
    },

    /// Without a token, the Hub shows no such repository.
    #[error(
        "no folder here is called that, and the Hub at {hub} has no public repository of that name: check the spelling, \
         or set HF_TOKEN if it is private"
    )]
    NoPublicRepository {
        /// The Hub's address.
        hub: String,
    },

    /// The Hub shows no such repository to the account of the token.
    #[error(
        "no folder here is called that, and the Hub at {hub} has no repository of that name that the token in {token} may \
         see: check the spelling and the token's permissions"
    )]
    NoRepository {
        /// The Hub's address.
        hub: String,
        /// The variable or file that contains the token.
        token: String,
    },

    /// The repository is a dataset or a space.
    #[error("it is a {kind} on the Hub, not a model: give a model's id")]
    OtherKind {
        /// `dataset` or `space`.
        kind: &'static str,
    },

    /// The repository is gated, which means that its terms must be accepted, and there is no token.
    #[error(
        "the repository is gated: accept its terms at {page}, and set HF_TOKEN to a token of that account (from \
         {hub}/settings/tokens)"
    )]
    GatedWithoutToken {
        /// The web page of the repository.
        page: String,
        /// The Hub's address.
        hub: String,
    },

    /// The repository is gated, and the account of the token has no access.
    #[error(
        "the repository is gated, and the account of the token in {token} has no access: accept its terms at {page} (some \
         owners grant access by hand, later), and let the token read gated repositories"
    )]
    Gated {
        /// The web page of the repository.
        page: String,
        /// The variable or file that contains the token.
        token: String,
    },

    /// The Hub does not know the token.
    #[error(
        "the Hub does not know the token in {token}: make one at {hub}/settings/tokens, or unset it"
    )]
    BadToken {
        /// The variable or file that contains the token.
        token: String,
        /// The Hub's address.
        hub: String,
    },

    /// The Hub refuses access for another reason.
    #[error("the Hub refuses access ({reason}): see {page}")]
    Forbidden {
        /// The message of the Hub, or the HTTP status.
        reason: String,
        /// The web page of the repository.
        page: String,
    },

    /// The repository has no such branch, tag or commit.
    #[error(
        "the repository has no such revision: see its branches, tags and commits at {page}/tree/main"
    )]
    NoRevision {
        /// The web page of the repository.
        page: String,
    },

    /// The repository does not have a required file. The text is the whole sentence.
    #[error("{0}")]
    NoFile(String),

    /// The Hub refuses further requests for a while.
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

    /// The Hub answered with a server error.
    #[error(
        "the Hub answered with status {status}: try again later (https://status.huggingface.co)"
    )]
    Server {
        /// The HTTP status.
        status: u16,
        /// How long the Hub asks to wait.
        wait: Option<Duration>,
    },

    /// The server that answered is not a Hub.
    #[error(
        "{hub} did not answer as the Hub does ({reason}): check HF_ENDPOINT, and whether a proxy wants a login"
    )]
    NotTheHub {
        /// The address that was asked.
        hub: String,
        /// Why the answer cannot come from the Hub.
        reason: String,
    },

    /// The contents that arrived differ from what the Hub announced.
    #[error("{name} arrived damaged: {reason}; run it again to fetch it anew")]
    Damaged {
        /// The name of the file.
        name: String,
        /// What differs.
        reason: String,
    },

    /// The cache cannot be written to.
    #[error("{}: {}", path.display(), storage_reason(error))]
    Storage {
        /// The file or folder that was written to.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },

    /// The disk does not have enough space.
    #[error(
        "{}: {} are to be fetched, and the disk has {} free: make room, or set HF_HOME to a folder on another disk",
        path.display(), format_bytes(*needed), format_bytes(*free)
    )]
    DiskFull {
        /// The folder of the cache.
        path: PathBuf,
        /// Number of bytes to fetch.
        needed: u64,
        /// Number of bytes that are free.
        free: u64,
    },
}

impl Failure {
    /// Returns a function for `map_err` that converts a write error of this file or folder.
    pub(super) fn storage(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Storage { path: path.into(), error }
    }

    /// Returns a description of the failure if the same request may succeed later. Otherwise returns `None`.
    pub(super) fn transient(&self) -> Option<String> {
        match self {
            Self::Broken { reason } => Some(format!("the connection broke off ({reason})")),
            Self::RateLimited { .. } => {
                Some("the Hub has been asked too much from here".to_owned())
            }
            Self::Server { status, .. } => Some(format!("the Hub answered with status {status}")),
            _ => None,
        }
    }

    /// How long the Hub asks to wait before the next request.
    pub(super) fn wait(&self) -> Option<Duration> {
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

/// Formats a number of bytes with a decimal unit (1 kB is 1000 bytes), which is the convention for disks and networks.
pub(super) fn format_bytes(count: u64) -> String {
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
