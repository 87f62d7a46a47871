//! Files that a reader never sees half of, and files that several processes change.
//!
//! ```text
//! temporary file in the same folder ──write──► fsync ──rename──► the file ──► fsync of the folder
//! ```
//!
//! After a crash or a loss of power at any moment the file is either as it was before, or whole. What a crash may
//! leave is a temporary file, whose name begins with `.` and ends in `.unfinished`.
//!
//! Start at [`write`], [`write_new`] and [`update`], and at [`Store`] for a list in a file.

mod store;
mod whole_file;

pub use store::Store;
pub use whole_file::{update, write, write_new, write_with};
