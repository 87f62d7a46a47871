//! The arguments of a call, and how they become the values of parameters.

use super::{
    render_error::{RenderError, Result},
    value::{DictKey, PyValue},
};
use indexmap::IndexMap;
use std::rc::Rc;

/// The evaluated arguments of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<PyValue>,
    pub(super) named: Vec<(Rc<str>, PyValue)>,
}

impl Arguments {
    /// Assigns the arguments to parameters with these names, and returns the values in the order of the names. A
    /// parameter whose name begins with `/` can only be given by position. `callee` is the function's name for error
    /// messages.
    pub(super) fn take<const N: usize>(
        self,
        callee: &str,
        names: [&str; N],
    ) -> Result<[Option<PyValue>; N]> {
        if self.positional.len() > N {
            let given = self.positional.len();
            return Err(RenderError::invalid(format!(
                "{callee}() takes at most {N} arguments ({given} given)"
            )));
        }
        let mut values = [const { None }; N];
        for (value, given) in values.iter_mut().zip(self.positional) {
            *value = Some(given);
        }
        for (name, given) in self.named {
            let Some(index) = names.iter().position(|known| **known == *name) else {
                return Err(RenderError::invalid(format!(
                    "{callee}() got an unexpected keyword argument '{name}'"
                )));
            };
            if values[index].replace(given).is_some() {
                return Err(RenderError::invalid(format!(
                    "{callee}() got multiple values for argument '{name}'"
                )));
            }
        }
        Ok(values)
    }
}

/// Returns the value of a required parameter. Fails if it is not given.
pub(super) fn require(value: Option<PyValue>, callee: &str, name: &str) -> Result<PyValue> {
    value.ok_or_else(|| RenderError::invalid(format!("{callee}() missing argument '{name}'")))
}

/// Converts a parameter to a text. Fails for other types.
pub(super) fn expect_text(value: &PyValue, callee: &str) -> Result<Rc<str>> {
    match value {
        PyValue::Str(text) => Ok(text.clone()),
        PyValue::Markup(_) => Err(RenderError::unsupported(format!("{callee}() with marked text"))),
        other => {
            Err(RenderError::invalid(format!("{callee}() wants a str, not {}", other.type_name())))
        }
    }
}

/// Converts a parameter to an integer. Fails for other types.
pub(super) fn expect_int(value: &PyValue, callee: &str) -> Result<i128> {
    value.as_int().ok_or_else(|| {
        value.refuse_undefined().err().unwrap_or_else(|| {
            let name = value.type_name();
            RenderError::invalid(format!(
                "{callee}(): '{name}' object cannot be interpreted as an integer"
            ))
        })
    })
}

/// Converts a parameter to a size. A negative number becomes 0, and one that is too large becomes `usize::MAX`.
pub(super) fn expect_size(value: &PyValue, callee: &str) -> Result<usize> {
    let size = expect_int(value, callee)?;
    Ok(usize::try_from(size.max(0)).unwrap_or(usize::MAX))
}

/// Converts named arguments to the entries of a dict.
pub(super) fn named_entries(named: Vec<(Rc<str>, PyValue)>) -> IndexMap<DictKey, PyValue> {
    named.into_iter().map(|(name, value)| (DictKey::text(&name), value)).collect()
}
