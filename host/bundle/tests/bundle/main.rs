//! Bundles that are made, changed, and crafted to deceive.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(unreachable_pub, reason = "no other crate uses a test binary")]

mod changed;
mod hostile;
mod made;
mod run;
mod signed;
mod zips;
