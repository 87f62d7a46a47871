//! Experiments and policies as source code: what belongs to them, and how they become components.
//!
//! ```text
//! file or folder ──► Project           its language, kind and entry file (manifest.rs, or a script alone)
//!                      │
//!                      ├► Sources      its files and their digest
//!                      ├► Toolchain    the language's programs and SDK, found and not started (python.rs, ...)
//!                      ▼
//!                   built.rs           <cache>/built/<key>.wasm, which is built if it is not there
//! ```
//!
//! Start at [`Project`], [`built::component`] and [`Toolchain`].

pub(crate) mod built;
mod c;
mod error;
mod javascript;
mod language;
mod manifest;
mod python;
mod rust;
pub(crate) mod sdk;
mod sources;
pub(crate) mod template;
mod tool;
mod toolchain;

pub(crate) use self::{
    error::ProjectError,
    language::{Kind, Language},
    manifest::Project,
    sources::Sources,
    toolchain::{Toolchain, find_toolchain},
};

/// A result with this module's [`ProjectError`].
pub(crate) type Result<T> = std::result::Result<T, ProjectError>;
