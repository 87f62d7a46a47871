//! What the verification of a bundle found: what holds, and what could not be verified.

use std::fmt;

/// A thing that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// The zip can be read in one way only, and holds plain files.
    Structure {
        /// Number of files.
        files: usize,
    },
    /// Every file has the digest of the manifest, and no file is beyond it.
    Manifest {
        /// Number of files in the manifest.
        files: usize,
    },
    /// `run.json` is what the journal gives.
    Record {
        /// The run's id.
        id: String,
    },
    /// The files of the script have the digests of the record.
    Artifacts {
        /// Number of files.
        files: usize,
    },
    /// A component is the one that ran.
    Component {
        /// Its role in the run.
        role: String,
        /// The name that it gives itself.
        name: String,
        /// Its digest in the record.
        digest: String,
    },
    /// Source code is what a component was built from.
    Sources {
        /// The component's name.
        component: String,
        /// Number of files.
        files: usize,
    },
    /// A dataset is the one that the script read.
    Dataset {
        /// The name that the script uses.
        name: String,
        /// Its digest in the record.
        digest: String,
    },
    /// An adapter is the one that ran.
    Adapter {
        /// The name that requests use.
        name: String,
        /// Its digest in the record.
        digest: String,
    },
}

/// A thing that could not be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unverified {
    /// The journal is of another schema, so that the record cannot be rebuilt from it.
    Record {
        /// The schema of the journal.
        schema: String,
    },
    /// A model is never inside a bundle.
    Model {
        /// Where it came from.
        source: String,
        /// Its digest in the record.
        digest: String,
    },
    /// A dataset was left out.
    Dataset {
        /// The name that the script uses.
        name: String,
        /// Its digest in the record.
        digest: String,
    },
    /// An adapter was left out, is on the Hub, or was made from a seed.
    Adapter {
        /// The name that requests use.
        name: String,
        /// Where it came from.
        source: String,
        /// Its digest in the record.
        digest: String,
    },
    /// The source code of a component was left out.
    Sources {
        /// The component's name.
        component: String,
    },
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure { files } => write!(f, "structure: a zip of {files} plain files"),
            Self::Manifest { files } => {
                write!(f, "manifest: {files} files have their digests, and no file is beyond them")
            }
            Self::Record { id } => write!(f, "record: run.json of {id} is what events.jsonl gives"),
            Self::Artifacts { files } => {
                write!(f, "artifacts: {files} files of the script have their digests")
            }
            Self::Component { role, name, digest } => {
                write!(f, "component: {role} {name}, {digest}")
            }
            Self::Sources { component, files } => {
                write!(f, "sources: what {component} was built from, files: {files}")
            }
            Self::Dataset { name, digest } => write!(f, "dataset: {name}, {digest}"),
            Self::Adapter { name, digest } => write!(f, "adapter: {name}, {digest}"),
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { schema } => write!(
                f,
                "record: the journal is of schema {schema}, from which run.json cannot be rebuilt"
            ),
            Self::Model { source, digest } => {
                write!(
                    f,
                    "model: {source}, which no bundle holds; a replay compares it with {digest}"
                )
            }
            Self::Dataset { name, digest } => {
                write!(f, "dataset: {name} was left out; a replay compares yours with {digest}")
            }
            Self::Adapter { name, source, digest } => {
                write!(
                    f,
                    "adapter: {name} ({source}) was left out; a replay compares it with {digest}"
                )
            }
            Self::Sources { component } => {
                write!(f, "sources: what {component} was built from was left out")
            }
        }
    }
}
