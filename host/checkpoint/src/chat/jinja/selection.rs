//! The filters `map`, `select`, `reject`, `selectattr` and `rejectattr`, and the lookup of an attribute by its path.

use super::{
    arguments::Arguments,
    interpreter::Interpreter,
    render_error::{RenderError, Result},
    repr::py_str,
    sequence_filters::not_none,
    value::PyValue,
};

impl Interpreter<'_> {
    /// Returns the attribute of an item by its path, for example `a.0.b`. Without an attribute it returns the item.
    /// `default` replaces an undefined value.
    pub(super) fn item_attribute(
        &self,
        item: &PyValue,
        attribute: Option<&PyValue>,
        default: Option<&PyValue>,
    ) -> Result<PyValue> {
        let attribute = attribute.filter(|attribute| !matches!(attribute, PyValue::None));
        let Some(attribute) = attribute else { return Ok(item.clone()) };
        let parts: Vec<PyValue> = match attribute {
            PyValue::Str(path) => path
                .split('.')
                .map(|part| match part.parse::<u32>() {
                    Ok(index) if part.bytes().all(|b| b.is_ascii_digit()) => {
                        PyValue::Int(index.into())
                    }
                    _ => part.into(),
                })
                .collect(),
            other => vec![other.clone()],
        };
        let mut value = item.clone();
        for part in parts {
            value = self.item(&value, &part)?;
            if let (true, Some(default)) = (value.is_undefined(), default) {
                value = default.clone();
            }
        }
        Ok(value)
    }

    pub(super) fn map(&mut self, value: &PyValue, mut given: Arguments) -> Result<PyValue> {
        let mut mapped = Vec::new();
        if value.is_true() {
            let of_attribute = given.named.iter().any(|(name, _)| **name == *"attribute");
            if given.positional.is_empty() && of_attribute {
                let [attribute, default] = given.take("map", ["attribute", "default"])?;
                let default = not_none(default);
                for item in value.iterate()? {
                    self.fuel.take(1)?;
                    mapped.push(self.item_attribute(
                        &item,
                        attribute.as_ref(),
                        default.as_ref(),
                    )?);
                }
            } else {
                if given.positional.is_empty() {
                    return Err(RenderError::invalid("map requires a filter argument"));
                }
                let name = py_str(&given.positional.remove(0), self.fuel)?;
                for item in value.iterate()? {
                    self.fuel.take(1)?;
                    mapped.push(self.filter(&name, &item, given.clone())?);
                }
            }
        }
        Ok(PyValue::iterator("generator", mapped))
    }

    pub(super) fn select(
        &mut self,
        filter: &str,
        value: &PyValue,
        given: Arguments,
    ) -> Result<PyValue> {
        let mut kept = Vec::new();
        if value.is_true() {
            let mut positional = given.positional.into_iter();
            let attribute =
                match filter.ends_with("attr") {
                    true => Some(positional.next().ok_or_else(|| {
                        RenderError::invalid("Missing parameter for attribute name")
                    })?),
                    false => None,
                };
            let test = positional.next().map(|name| py_str(&name, self.fuel)).transpose()?;
            let given = Arguments { positional: positional.collect(), named: given.named };
            for item in value.iterate()? {
                self.fuel.take(1)?;
                let sought = self.item_attribute(&item, attribute.as_ref(), None)?;
                let holds = match &test {
                    Some(test) => self.test(test, &sought, given.clone())?,
                    None => sought.is_true(),
                };
                if holds == filter.starts_with("select") {
                    kept.push(item);
                }
            }
        }
        Ok(PyValue::iterator("generator", kept))
    }
}
