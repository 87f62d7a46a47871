//! Jinja2's built-in tests, for example `x is defined`.

use super::{
    arguments::{Arguments, require},
    interpreter::Interpreter,
    operators,
    render_error::{RenderError, Result},
    repr::py_str,
    sequence_filters,
    value::{PyValue, StatefulKind},
};
use std::rc::Rc;

impl Interpreter<'_> {
    /// Evaluates `value is name(given)`.
    pub(super) fn test(&mut self, name: &str, value: &PyValue, given: Arguments) -> Result<bool> {
        self.fuel.take(1)?;
        let is_text = |value: &PyValue| matches!(value, PyValue::Str(_) | PyValue::Markup(_));
        let sign = match name {
            "==" | "eq" | "equalto" => "==",
            "!=" | "ne" => "!=",
            ">" | "gt" | "greaterthan" => ">",
            ">=" | "ge" => ">=",
            "<" | "lt" | "lessthan" => "<",
            "<=" | "le" => "<=",
            "in" => "in",
            _ => "",
        };
        if !sign.is_empty() {
            let [other] = given.take(name, ["/"])?;
            let other = require(other, name, "other")?;
            return operators::compare(sign, value, &other, self.fuel);
        }
        match name {
            "divisibleby" => {
                let [by] = given.take(name, ["num"])?;
                let by = require(by, name, "num")?;
                let rest = operators::binary("%", value, &by, self.fuel)?;
                return Ok(rest == PyValue::Int(0));
            }
            "sameas" => {
                let [other] = given.take(name, ["other"])?;
                return is_same_object(value, &require(other, name, "other")?);
            }
            _ => {}
        }
        let [] = given.take(name, [])?;
        Ok(match name {
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "none" => matches!(value, PyValue::None),
            "boolean" => matches!(value, PyValue::Bool(_)),
            "true" => matches!(value, PyValue::Bool(true)),
            "false" => matches!(value, PyValue::Bool(false)),
            "integer" => matches!(value, PyValue::Int(_)),
            "float" => matches!(value, PyValue::Float(_)),
            "number" => value.as_number().is_some(),
            "string" => is_text(value),
            "mapping" => matches!(value, PyValue::Dict(_)),
            "sequence" => {
                value.len().is_some() && !matches!(value, PyValue::View(..) | PyValue::Undefined(_))
                    || value.is_undefined()
            }
            "iterable" => match value {
                PyValue::Stateful(kind, _) => *kind == StatefulKind::Loop,
                PyValue::Iterator(_) => true,
                other => other.len().is_some(),
            },
            "callable" => match value {
                PyValue::Stateful(kind, _) => {
                    !matches!(kind, StatefulKind::Namespace | StatefulKind::Cycler)
                }
                other => {
                    matches!(
                        other,
                        PyValue::Method(..) | PyValue::Function(_) | PyValue::Undefined(_)
                    )
                }
            },
            "escaped" => matches!(value, PyValue::Markup(_)),
            "odd" | "even" => {
                let rest = operators::binary("%", value, &PyValue::Int(2), self.fuel)?;
                rest == PyValue::Int((name == "odd").into())
            }
            "lower" | "upper" => {
                let cased_text = py_str(value, self.fuel)?;
                let cased = cased_text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                let other =
                    |c: char| if name == "lower" { c.is_uppercase() } else { c.is_lowercase() };
                cased && !cased_text.chars().any(other)
            }
            "filter" => {
                let name = py_str(value, self.fuel)?;
                sequence_filters::FILTERS.contains(&&*name)
            }
            "test" => return Err(RenderError::unsupported("the test 'test'")),
            _ => return Err(RenderError::invalid(format!("No test named '{name}'."))),
        })
    }
}

/// Whether two values would be the same object in Python. Fails if that cannot be known, for example for two equal
/// numbers.
fn is_same_object(one: &PyValue, two: &PyValue) -> Result<bool> {
    match (one, two) {
        (PyValue::None, PyValue::None) => Ok(true),
        (PyValue::Bool(one), PyValue::Bool(two)) => Ok(one == two),
        (PyValue::List(one), PyValue::List(two)) => Ok(Rc::ptr_eq(one, two)),
        (PyValue::Dict(one), PyValue::Dict(two)) => Ok(Rc::ptr_eq(one, two)),
        (one, two) if std::mem::discriminant(one) != std::mem::discriminant(two) => Ok(false),
        (one, _) => {
            let name = one.type_name();
            Err(RenderError::unsupported(format!(
                "the test 'sameas' between two values of type {name}"
            )))
        }
    }
}
