//! Attributes and items of values, including the objects whose state the interpreter stores: namespaces, loops, macros,
//! cyclers and joiners.

use super::{
    attributes,
    interpreter::Interpreter,
    render_error::Result,
    value::{PyValue, StatefulKind},
};
use std::rc::Rc;

impl Interpreter<'_> {
    /// Evaluates `value.name`.
    pub(super) fn attribute(&mut self, value: &PyValue, name: &str) -> Result<PyValue> {
        value.refuse_undefined()?;
        match value {
            PyValue::Stateful(kind, at) => Ok(self.read_stateful_attribute(*kind, *at, name)),
            other => Ok(attributes::attribute(other, name)),
        }
    }

    /// Evaluates `value[key]`.
    pub(super) fn item(&self, value: &PyValue, key: &PyValue) -> Result<PyValue> {
        value.refuse_undefined()?;
        match (value, key) {
            (PyValue::Stateful(StatefulKind::Namespace, at), PyValue::Str(name)) => Ok(self
                .namespaces[*at]
                .get(name)
                .cloned()
                .unwrap_or_else(|| no_attribute("Namespace", name))),
            (PyValue::Stateful(kind, at), PyValue::Str(name)) => {
                Ok(self.stateful_attribute(*kind, *at, name))
            }
            _ => attributes::item(value, key, self.fuel),
        }
    }

    fn read_stateful_attribute(&mut self, kind: StatefulKind, at: usize, name: &str) -> PyValue {
        if kind == StatefulKind::Namespace {
            self.namespace_reads += 1;
        }
        self.stateful_attribute(kind, at, name)
    }

    /// Returns an attribute of a stateful object.
    fn stateful_attribute(&self, kind: StatefulKind, at: usize, name: &str) -> PyValue {
        let method = || PyValue::Method(Rc::new(PyValue::Stateful(kind, at)), name.into());
        match kind {
            StatefulKind::Namespace => match self.namespaces[at].get(name) {
                Some(value) => value.clone(),
                None => no_attribute("Namespace", name),
            },
            StatefulKind::Loop => {
                let loop_state = &self.loops[at];
                let (index, length) = (loop_state.index, loop_state.items.len());
                match name {
                    "index" => (index + 1).into(),
                    "index0" => index.into(),
                    "revindex" => (length - index).into(),
                    "revindex0" => (length - index - 1).into(),
                    "first" => (index == 0).into(),
                    "last" => (index + 1 == length).into(),
                    "length" => length.into(),
                    "depth" => (loop_state.depth + 1).into(),
                    "depth0" => loop_state.depth.into(),
                    "previtem" => match index.checked_sub(1) {
                        Some(before) => loop_state.items[before].clone(),
                        None => PyValue::Undefined("there is no previous item".into()),
                    },
                    "nextitem" => match loop_state.items.get(index + 1) {
                        Some(next) => next.clone(),
                        None => PyValue::Undefined("there is no next item".into()),
                    },
                    "cycle" | "changed" => method(),
                    _ => no_attribute("LoopContext", name),
                }
            }
            StatefulKind::Cycler => match name {
                "current" => {
                    let (items, index) = &self.cyclers[at];
                    items[*index].clone()
                }
                "next" | "reset" => method(),
                _ => no_attribute("Cycler", name),
            },
            StatefulKind::Macro => {
                let definition = &self.macros[at].definition;
                match name {
                    "name" => PyValue::Str(definition.name.clone()),
                    "catch_kwargs" => definition.special.kwargs.into(),
                    "catch_varargs" => definition.special.varargs.into(),
                    "caller" => definition.special.caller.into(),
                    _ => no_attribute("Macro", name),
                }
            }
            StatefulKind::Joiner => no_attribute("Joiner", name),
        }
    }
}

fn no_attribute(type_name: &str, name: &str) -> PyValue {
    PyValue::Undefined(format!("'{type_name} object' has no attribute '{name}'").into())
}
