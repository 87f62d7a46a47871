//! Whole-program tests: the binary as a user runs it. Components come from `scripts/tools/build-guests`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named for what they show")]
#![allow(unreachable_pub, reason = "no other crate uses a test binary")]

#[macro_use]
mod support;
#[path = "doubles/hub.rs"]
#[allow(dead_code, reason = "tests of a crate use the rest")]
mod hub_double;

mod adapter_variants;
mod adapters;
mod asked;
mod bad_adapters;
mod bad_files;
mod baselines;
mod bundles;
mod chat;
mod checkpoints;
mod commands;
mod configs;
mod contract;
mod core_modules;
mod describing;
mod device_state;
mod digests;
mod emulated;
mod energies;
mod energy_counters;
mod environment;
mod every_function;
mod experiments;
mod exports;
mod failures;
mod families;
#[cfg(target_os = "linux")]
mod fuzz;
mod gguf;
mod gpu_identity;
mod guest_coverage;
mod guest_output;
mod hostile;
mod hub;
mod inputs;
mod interruption;
mod live_view;
mod memory;
mod metrics_page;
mod migrating;
mod open_batches;
mod overflow;
mod pages;
mod parallel;
mod parity;
mod policies;
mod prebuilt;
mod projects;
mod ranks;
mod recorded;
mod recover;
mod replay;
mod reports;
mod request_clock;
mod rotary;
mod scores;
mod seeds;
mod serving;
mod several_models;
mod shared_numbers;
mod simd;
mod synthetic_host;
mod terminals;
mod untrusted_text;
mod waiting;
mod watching;
