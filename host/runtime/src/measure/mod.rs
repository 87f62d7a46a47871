//! Measured work, and what the record keeps of it.

mod asked;
pub mod baseline;
mod communication;
pub mod generation;
pub mod scoring;
pub mod sequence;
pub mod steadiness;
pub mod window;

pub use asked::Asked;
