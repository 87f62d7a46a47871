//! Arguments of a call and how they become parameters.

use super::{
    fault::{Fault, Result},
    value::{Key, Value},
};
use indexmap::IndexMap;
use std::rc::Rc;

/// What a function is called with.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(Rc<str>, Value)>,
}

impl Arguments {
    /// The values of parameters of these names, in their order. A parameter whose name begins with `/` is only taken by
    /// its place.
    pub(super) fn take<const N: usize>(
        self,
        callee: &str,
        names: [&str; N],
    ) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            let given = self.positional.len();
            return Err(Fault::invalid(format!(
                "{callee}() takes at most {N} arguments ({given} given)"
            )));
        }
        let mut values = [const { None }; N];
        for (value, given) in values.iter_mut().zip(self.positional) {
            *value = Some(given);
        }
        for (name, given) in self.named {
            let Some(index) = names.iter().position(|known| **known == *name) else {
                return Err(Fault::invalid(format!(
                    "{callee}() got an unexpected keyword argument '{name}'"
                )));
            };
            if values[index].replace(given).is_some() {
                return Err(Fault::invalid(format!(
                    "{callee}() got multiple values for argument '{name}'"
                )));
            }
        }
        Ok(values)
    }
}

/// A parameter that has to be given.
pub(super) fn required(value: Option<Value>, callee: &str, name: &str) -> Result<Value> {
    value.ok_or_else(|| Fault::invalid(format!("{callee}() missing argument '{name}'")))
}

/// A parameter that is a text.
pub(super) fn text_of(value: &Value, callee: &str) -> Result<Rc<str>> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Markup(_) => Err(Fault::unsupported(format!("{callee}() with marked text"))),
        other => Err(Fault::invalid(format!("{callee}() wants a str, not {}", other.type_name()))),
    }
}

/// A parameter that is an integer.
pub(super) fn int_of(value: &Value, callee: &str) -> Result<i128> {
    value.as_int().ok_or_else(|| {
        value.refuse_undefined().err().unwrap_or_else(|| {
            let name = value.type_name();
            Fault::invalid(format!(
                "{callee}(): '{name}' object cannot be interpreted as an integer"
            ))
        })
    })
}

/// A parameter that is a size, bounded by what a machine can count.
pub(super) fn size_of(value: &Value, callee: &str) -> Result<usize> {
    let size = int_of(value, callee)?;
    Ok(usize::try_from(size.max(0)).unwrap_or(usize::MAX))
}

/// Named arguments as the entries of a dict.
pub(super) fn entries_of(named: Vec<(Rc<str>, Value)>) -> IndexMap<Key, Value> {
    named.into_iter().map(|(name, value)| (Key::text(&name), value)).collect()
}
