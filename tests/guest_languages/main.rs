//! Whole-program tests of guests in Python, JavaScript, TypeScript, C and Rust, which the languages' own tools build.
//!
//! They are a program of their own, because compilers take all processors for minutes, and tests in the other program
//! measure times.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(unreachable_pub, reason = "no other crate uses a test binary")]

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the other test program uses the rest")]
mod support;

mod conformance;
mod guest_tools;
mod same_method;
mod templates;
