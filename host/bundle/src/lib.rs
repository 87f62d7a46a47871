//! Bundles: one zip that holds a run, and everything that another machine needs to verify and to repeat it.
//!
//! ```text
//! run folder + components + datasets + adapters ──write──► BUNDLE.zip ──Bundle::open──► verified
//!                                                              │                          │ unpack
//!                                                       sign ──► .minisig                 ▼
//!                                                                                  files by digest
//! ```
//!
//! A bundle is an RO-Crate 1.1 with a manifest that `sha256sum -c` reads, so that its content can be understood and verified
//! without llem. Models are never inside: the record has their sources and digests. A bundle comes from a stranger, so
//! everything in it is untrusted until it is verified, and texts of its record are made visible in each format.
//!
//! # Start at
//! - [`Bundle`]: opens, verifies and unpacks a bundle
//! - [`NewBundle`]: makes one
//! - [`sign`] and [`verify_signature`]: signatures of minisign
//! - [`Verified`] and [`Unverified`]: what a verification found

mod about_run;
mod archive;
mod author;
mod bundle;
mod citation;
mod contents;
mod digest;
mod error;
mod findings;
mod layout;
mod licence;
mod manifest;
mod metadata;
mod new_bundle;
mod readme;
mod record_check;
mod signature;
mod zip_file;

pub use author::Author;
pub use bundle::{Bundle, UnpackedBundle};
pub use digest::file_digest;
pub use error::Error;
pub use findings::{Unverified, Verified};
pub use licence::{KnownLicence, Licence};
pub use new_bundle::{NewBundle, SourceFiles};
pub use signature::{generate_key, sign, signature_path, verify_signature};
