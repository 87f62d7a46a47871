//! Each kernel alone against a plain double-precision reference of the test's own, on odd sizes. `LLEM_TEST_DEVICE` names the
//! device: `emulated`, the default, or `cuda:0`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activation;
mod attention;
mod copies;
mod device;
mod embedding;
mod experts;
mod logits;
mod lora;
mod norm;
mod product;
mod rope;
mod rows;
mod sampling;
mod support;
mod synthetic;
mod threads;
