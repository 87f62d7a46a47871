//! Attributes of values, those that the interpreter holds among them: namespaces, loops, macros and cyclers.

use super::{
    attributes,
    fault::Result,
    interpreter::Interpreter,
    value::{Held, Value},
};
use std::rc::Rc;

impl Interpreter<'_> {
    /// `value.name`.
    pub(super) fn attribute(&mut self, value: &Value, name: &str) -> Result<Value> {
        value.refuse_undefined()?;
        match value {
            Value::Held(kind, at) => Ok(self.held_attribute(*kind, *at, name)),
            other => Ok(attributes::attribute(other, name)),
        }
    }

    /// `value[key]`.
    pub(super) fn item(&self, value: &Value, key: &Value) -> Result<Value> {
        value.refuse_undefined()?;
        match (value, key) {
            (Value::Held(Held::Namespace, at), Value::Str(name)) => Ok(self.namespaces[*at]
                .get(name)
                .cloned()
                .unwrap_or_else(|| no_attribute("Namespace", name))),
            (Value::Held(kind, at), Value::Str(name)) => Ok(self.held(*kind, *at, name)),
            _ => attributes::item(value, key, self.fuel),
        }
    }

    fn held_attribute(&mut self, kind: Held, at: usize, name: &str) -> Value {
        if kind == Held::Namespace {
            self.namespace_reads += 1;
        }
        self.held(kind, at, name)
    }

    /// An attribute of what changes.
    fn held(&self, kind: Held, at: usize, name: &str) -> Value {
        let method = || Value::Method(Rc::new(Value::Held(kind, at)), name.into());
        match kind {
            Held::Namespace => match self.namespaces[at].get(name) {
                Some(value) => value.clone(),
                None => no_attribute("Namespace", name),
            },
            Held::Loop => {
                let of = &self.loops[at];
                let (index, length) = (of.index, of.items.len());
                match name {
                    "index" => (index + 1).into(),
                    "index0" => index.into(),
                    "revindex" => (length - index).into(),
                    "revindex0" => (length - index - 1).into(),
                    "first" => (index == 0).into(),
                    "last" => (index + 1 == length).into(),
                    "length" => length.into(),
                    "depth" => (of.depth + 1).into(),
                    "depth0" => of.depth.into(),
                    "previtem" => match index.checked_sub(1) {
                        Some(before) => of.items[before].clone(),
                        None => Value::Undefined("there is no previous item".into()),
                    },
                    "nextitem" => match of.items.get(index + 1) {
                        Some(next) => next.clone(),
                        None => Value::Undefined("there is no next item".into()),
                    },
                    "cycle" | "changed" => method(),
                    _ => no_attribute("LoopContext", name),
                }
            }
            Held::Cycler => match name {
                "current" => {
                    let (items, index) = &self.cyclers[at];
                    items[*index].clone()
                }
                "next" | "reset" => method(),
                _ => no_attribute("Cycler", name),
            },
            Held::Macro => {
                let of = &self.macros[at].definition;
                match name {
                    "name" => Value::Str(of.name.clone()),
                    "catch_kwargs" => of.special.kwargs.into(),
                    "catch_varargs" => of.special.varargs.into(),
                    "caller" => of.special.caller.into(),
                    _ => no_attribute("Macro", name),
                }
            }
            Held::Joiner => no_attribute("Joiner", name),
        }
    }
}

fn no_attribute(of: &str, name: &str) -> Value {
    Value::Undefined(format!("'{of} object' has no attribute '{name}'").into())
}
