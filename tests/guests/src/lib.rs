//! Small components, one behaviour a file in `examples/` and `hostile/`, that the whole-program tests run.

pub mod wasi;
