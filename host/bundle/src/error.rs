//! The errors of making and verifying bundles.

use std::{io, path::PathBuf};

/// Why a bundle could not be made, verified or signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The bundle is no zip, or its headers disagree with one another.
    #[error("{bundle} is no intact bundle: {cause}; fetch it again from where it was published")]
    Damaged {
        /// The zip that was given.
        bundle: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// An entry's name could leave the folder that it is unpacked to, or is not portable.
    #[error(
        "{bundle} has an entry named '{name}', which is no plain path within a folder: do not unpack it, and ask its author for another"
    )]
    BadName {
        /// The zip that was given.
        bundle: PathBuf,
        /// The name of the entry.
        name: String,
    },
    /// An entry is a link, a folder, encrypted, or compressed.
    #[error(
        "'{name}' in {bundle} is {what}, and a bundle holds plain files as they are: take the bundle as llem wrote it"
    )]
    NotPlain {
        /// The zip that was given.
        bundle: PathBuf,
        /// The name of the entry.
        name: String,
        /// What the entry is.
        what: &'static str,
    },
    /// A file of the bundle is not what the manifest, or its checksum in the zip, says.
    #[error(
        "'{name}' in {bundle} was changed or damaged: {cause}; fetch the bundle again from where it was published"
    )]
    Changed {
        /// The zip that was given.
        bundle: PathBuf,
        /// The name of the file.
        name: String,
        /// How this was seen.
        cause: String,
    },
    /// A file that the manifest lists, or that every bundle has, is not there.
    #[error("{bundle} has no '{name}', which {why}: fetch it again from where it was published")]
    Missing {
        /// The zip that was given.
        bundle: PathBuf,
        /// The name of the file.
        name: String,
        /// Why it should be there.
        why: &'static str,
    },
    /// A file of the bundle is not in the manifest.
    #[error(
        "'{name}' in {bundle} is not in its manifest: somebody added it; fetch the bundle again"
    )]
    Unlisted {
        /// The zip that was given.
        bundle: PathBuf,
        /// The name of the file.
        name: String,
    },
    /// The manifest has a line that is not in `sha256sum`'s form.
    #[error("line {line} of the manifest of {bundle} {problem}: fetch the bundle again")]
    BadManifest {
        /// The zip that was given.
        bundle: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The record cannot be read.
    #[error(
        "{path} is no record that this llem reads: {cause}; use the version of llem that wrote it"
    )]
    BadRecord {
        /// The record's file.
        path: String,
        /// Why it cannot be read.
        cause: String,
    },
    /// The record is not what its journal gives.
    #[error(
        "run.json and events.jsonl disagree about '{field}': one of them was changed after the run; use the files as llem wrote them"
    )]
    RecordDiffers {
        /// The first field of the record that differs.
        field: String,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] llem_record::Error),
    /// The run has not ended.
    #[error(
        "the run in {0} has not ended: wait for its end; if it was killed, rebuild its record with llem recover"
    )]
    NotEnded(PathBuf),
    /// A file is not the one that took part in the run.
    #[error("{what} '{name}': {path} is not what the run used ({recorded}) but {found}; {remedy}")]
    OtherDigest {
        /// `component`, `sources`, `dataset`, `adapter` or `artifact`.
        what: &'static str,
        /// Its name in the record.
        name: Box<str>,
        /// The file that was found.
        path: Box<str>,
        /// The digest in the record.
        recorded: Box<str>,
        /// The digest of what was found.
        found: Box<str>,
        /// What to do.
        remedy: &'static str,
    },
    /// Files of the bundle belong to nothing that the record names.
    #[error(
        "'{name}' in {bundle} belongs to nothing that its run.json names: ask its author for another bundle"
    )]
    Foreign {
        /// The zip that was given.
        bundle: PathBuf,
        /// The name of the file.
        name: String,
    },
    /// An adapter's files cannot be read.
    #[error("adapter '{name}': {cause}")]
    Adapter {
        /// The adapter's name in the record.
        name: String,
        /// The error of the adapter's files.
        cause: llem_checkpoint::Error,
    },
    /// The report cannot be made.
    #[error("the report cannot be made")]
    Report(#[from] llem_report::Error),
    /// A file cannot be put into a bundle under its name.
    #[error(
        "{0} cannot be a file of a bundle: rename it, with letters, digits, '.', '-' and '_' alone"
    )]
    UnportableName(String),
    /// A bundle needs an author, because a citation does.
    #[error(
        "a bundle names its authors: give --author 'Family, Given', or set user.name in git's configuration"
    )]
    NoAuthor,
    /// An author is not written as this crate reads it.
    #[error(
        "author '{text}': {problem}; write it as 'Family, Given <0000-0002-1825-0097>', where the ORCID may be left out"
    )]
    BadAuthor {
        /// The text of the option.
        text: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A licence is neither known nor a file.
    #[error(
        "licence '{0}' is neither MIT, Apache-2.0, CC-BY-4.0 nor a file: give one of these, or the file with its text"
    )]
    UnknownLicence(String),
    /// A key cannot be read.
    #[error("{path} holds no {kind} key of minisign: {cause}")]
    BadKey {
        /// The file, or the key itself.
        path: String,
        /// `public` or `secret`.
        kind: &'static str,
        /// Why it cannot be read.
        cause: String,
    },
    /// A signature file cannot be read.
    #[error("{path} holds no signature of minisign: {cause}; give the file with --signature")]
    NoSignature {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        cause: String,
    },
    /// The signature does not belong to the bundle and the key.
    #[error(
        "{signature} does not sign {bundle} with this public key: {cause}; take key, signature and bundle from their author"
    )]
    BadSignature {
        /// The signature's file.
        signature: PathBuf,
        /// The zip that was given.
        bundle: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// A signature or key cannot be made.
    #[error("cannot sign: {0}")]
    NotSigned(String),
}

impl Error {
    /// Returns true if the error is in what the user gave, rather than in the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
            }
            Self::Journal(error) => error.is_input(),
            Self::Adapter { cause, .. } => cause.is_input(),
            Self::NotSigned(_) => false,
            _ => true,
        }
    }
}
