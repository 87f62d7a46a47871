//! An implementation of Jinja2 as transformers configures it, with Python's values.
//!
//! Chat templates are written for Jinja2 in Python. They rely on how Python's strings, numbers and dicts behave and on
//! how they are printed. A template engine with its own values would silently render some templates differently, so
//! this one has Python's values. A feature that it cannot render exactly as Jinja2 does is refused with an error that
//! names it.
//!
//! ```text
//! text ─ lexer ─ tokens ─ parser, expressions ─ Syntax ─ interpreter, loops, evaluation, calls ─ text
//!                                                         │ filters, sequence_filters, selection, builtin_tests
//!                                                         │ strings (methods), letter_case, stateful, attributes
//!                                                         └ operators, comparison, sorting, printf, str_format, json
//! ```
//!
//! Start at [`render`], [`PyValue`], [`Interpreter`](interpreter::Interpreter) and [`Syntax`](ast::Syntax).

mod arguments;
mod ast;
mod attributes;
mod builtin_tests;
mod calls;
mod comparison;
mod evaluation;
mod expressions;
mod filters;
mod fuel;
mod interpreter;
mod json;
mod letter_case;
mod lexer;
mod loops;
mod number_format;
mod operators;
mod parser;
mod printf;
mod render_error;
mod repr;
mod selection;
mod sequence_filters;
mod sorting;
mod stateful;
mod str_format;
mod strftime;
mod string_escapes;
mod strings;
mod value;

pub(super) use lexer::is_space;
pub(super) use render_error::{RenderError, RenderErrorKind};
pub(super) use value::PyValue;

use indexmap::IndexMap;
use jiff::civil::DateTime;
use std::rc::Rc;

/// Renders a template's source code with these variables. `now` is the date and time that `strftime_now` formats.
pub(in crate::chat) fn render(
    template: &str,
    variables: &IndexMap<Rc<str>, PyValue>,
    now: DateTime,
) -> Result<String, RenderError> {
    let syntax = parser::parse(template)?;
    let fuel = fuel::Fuel::new();
    interpreter::Interpreter::new(&syntax, variables, now, &fuel).render()
}
