//! Jinja2's tests, as `x is defined`.

use super::{
    arguments::{Arguments, required},
    fault::{Fault, Result},
    interpreter::Interpreter,
    operators, sequence_filters,
    text::text,
    value::{Held, Value},
};
use std::rc::Rc;

impl Interpreter<'_> {
    /// Jinja2's tests.
    pub(super) fn test(&mut self, name: &str, value: &Value, given: Arguments) -> Result<bool> {
        self.fuel.take(1)?;
        let is_text = |value: &Value| matches!(value, Value::Str(_) | Value::Markup(_));
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
            let other = required(other, name, "other")?;
            return operators::compare(sign, value, &other, self.fuel);
        }
        match name {
            "divisibleby" => {
                let [by] = given.take(name, ["num"])?;
                let by = required(by, name, "num")?;
                let rest = operators::binary("%", value, &by, self.fuel)?;
                return Ok(rest == Value::Int(0));
            }
            "sameas" => {
                let [other] = given.take(name, ["other"])?;
                return same(value, &required(other, name, "other")?);
            }
            _ => {}
        }
        let [] = given.take(name, [])?;
        Ok(match name {
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => value.as_number().is_some(),
            "string" => is_text(value),
            "mapping" => matches!(value, Value::Dict(_)),
            "sequence" => {
                value.len().is_some() && !matches!(value, Value::View(..) | Value::Undefined(_))
                    || value.is_undefined()
            }
            "iterable" => match value {
                Value::Held(kind, _) => *kind == Held::Loop,
                Value::Iterator(_) => true,
                other => other.len().is_some(),
            },
            "callable" => match value {
                Value::Held(kind, _) => !matches!(kind, Held::Namespace | Held::Cycler),
                other => {
                    matches!(other, Value::Method(..) | Value::Function(_) | Value::Undefined(_))
                }
            },
            "escaped" => matches!(value, Value::Markup(_)),
            "odd" | "even" => {
                let rest = operators::binary("%", value, &Value::Int(2), self.fuel)?;
                rest == Value::Int((name == "odd").into())
            }
            "lower" | "upper" => {
                let of = text(value, self.fuel)?;
                let cased = of.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                let other =
                    |c: char| if name == "lower" { c.is_uppercase() } else { c.is_lowercase() };
                cased && !of.chars().any(other)
            }
            "filter" => {
                let name = text(value, self.fuel)?;
                sequence_filters::FILTERS.contains(&&*name)
            }
            "test" => return Err(Fault::unsupported("the test 'test'")),
            _ => return Err(Fault::invalid(format!("No test named '{name}'."))),
        })
    }
}

/// Whether two values are one object of Python, where that is certain.
fn same(one: &Value, two: &Value) -> Result<bool> {
    match (one, two) {
        (Value::None, Value::None) => Ok(true),
        (Value::Bool(one), Value::Bool(two)) => Ok(one == two),
        (Value::List(one), Value::List(two)) => Ok(Rc::ptr_eq(one, two)),
        (Value::Dict(one), Value::Dict(two)) => Ok(Rc::ptr_eq(one, two)),
        (one, two) if std::mem::discriminant(one) != std::mem::discriminant(two) => Ok(false),
        (one, _) => {
            let name = one.type_name();
            Err(Fault::unsupported(format!("the test 'sameas' between two values of type {name}")))
        }
    }
}
