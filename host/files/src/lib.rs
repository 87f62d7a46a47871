//! Files that a reader never sees half written, and files that several processes change.
//!
//! ```text
//! temporary file in the same folder ──write──► fsync ──rename──► the file ──► fsync of the folder
//! ```
//!
//! After a crash or a loss of power at any moment, the file is either as it was before or complete. A crash may leave a
//! temporary file, whose name begins with `.` and ends in `.unfinished`.
//!
//! # Start at
//! - [`write()`] and [`write_with`]: replace a file
//! - [`write_new`]: create a file that must not exist yet
//! - [`update`]: change a file that other processes change, too
//! - [`JsonStore`]: a list of entries in a JSON file
//!
//! # Example
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("count");
//! llem_files::write(&path, b"1")?;
//! llem_files::update(&path, |before| {
//!     assert_eq!(before.as_deref(), Some(&b"1"[..]));
//!     Ok(b"2".to_vec())
//! })?;
//! assert_eq!(std::fs::read(&path)?, b"2");
//! assert!(llem_files::write_new(&path, b"3").is_err(), "the file exists");
//! # Ok::<(), std::io::Error>(())
//! ```

mod atomic_write;
mod json_store;

pub use atomic_write::{update, write, write_new, write_with};
pub use json_store::JsonStore;
