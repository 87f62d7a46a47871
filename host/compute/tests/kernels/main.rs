//! Each kernel against a plain reference in double precision that the test itself computes, on odd sizes.
//!
//! `LLEM_TEST_DEVICE` names the device: `emulated`, which is the default, or `cuda:0`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activation;
mod attention;
mod copies;
mod device;
mod embedding;
mod experts;
mod gemv;
mod logits;
mod lora;
mod norm;
mod rope;
mod rows;
mod sampling;
mod support;
mod synthetic;
mod threads;
