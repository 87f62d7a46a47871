//! Jinja2 as transformers runs it, with Python's values.
//!
//! Chat templates are written for Jinja2 in Python, and lean on what Python's strings, numbers and dicts do and on how
//! they print. A template engine with values of its own renders some of them differently and says nothing, so this is one
//! that has Python's. What it cannot render as Jinja2 does is refused by name.
//!
//! ```text
//! text ─ lexer ─ tokens ─ parser, expressions ─ Syntax ─ interpreter, evaluation, calls ─ text
//!                                                         │ filters, sequence_filters, selection, checks (tests)
//!                                                         │ strings (methods), letter_case, held, attributes
//!                                                         └ operators, comparison, sorting, printf, str_format, json
//! ```
//!
//! Start at [`render`], [`Value`](value::Value) and [`Interpreter`](interpreter::Interpreter).

mod arguments;
mod ast;
mod attributes;
mod calls;
mod checks;
mod comparison;
mod evaluation;
mod expressions;
mod fault;
mod filters;
mod held;
mod interpreter;
mod json;
mod letter_case;
mod lexer;
mod number;
mod operators;
mod parser;
mod printf;
mod selection;
mod sequence_filters;
mod sorting;
mod str_format;
mod strftime;
mod strings;
mod text;
mod value;

pub(super) use fault::{Fault, FaultKind};
pub(super) use lexer::is_space;
pub(super) use value::Value;

use indexmap::IndexMap;
use jiff::civil::DateTime;
use std::rc::Rc;

/// Renders a template with variables; `now` is what `strftime_now` tells.
pub(in crate::chat) fn render(
    template: &str,
    variables: &IndexMap<Rc<str>, Value>,
    now: DateTime,
) -> Result<String, Fault> {
    let syntax = parser::parse(template)?;
    let fuel = fault::Fuel::new();
    interpreter::Interpreter::new(&syntax, variables, now, &fuel).render()
}
