//! Small components, one behaviour a file in `examples/`, that the whole-program tests run.
