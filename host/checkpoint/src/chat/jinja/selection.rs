//! The filters `map`, `select`, `reject` and their like, and attributes by a path.

use super::{
    arguments::Arguments,
    fault::{Fault, Result},
    interpreter::Interpreter,
    sequence_filters::given_value,
    text::text,
    value::Value,
};

impl Interpreter<'_> {
    /// An item's attribute by a path as `a.0.b`, or the item.
    pub(super) fn by_attribute(
        &self,
        item: &Value,
        attribute: Option<&Value>,
        default: Option<&Value>,
    ) -> Result<Value> {
        let attribute = attribute.filter(|attribute| !matches!(attribute, Value::None));
        let Some(attribute) = attribute else { return Ok(item.clone()) };
        let parts: Vec<Value> = match attribute {
            Value::Str(path) => path
                .split('.')
                .map(|part| match part.parse::<u32>() {
                    Ok(index) if part.bytes().all(|b| b.is_ascii_digit()) => {
                        Value::Int(index.into())
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

    pub(super) fn map(&mut self, value: &Value, mut given: Arguments) -> Result<Value> {
        let mut mapped = Vec::new();
        if value.is_true() {
            let of_attribute = given.named.iter().any(|(name, _)| **name == *"attribute");
            if given.positional.is_empty() && of_attribute {
                let [attribute, default] = given.take("map", ["attribute", "default"])?;
                let default = given_value(default);
                for item in value.iterate()? {
                    self.fuel.take(1)?;
                    mapped.push(self.by_attribute(&item, attribute.as_ref(), default.as_ref())?);
                }
            } else {
                if given.positional.is_empty() {
                    return Err(Fault::invalid("map requires a filter argument"));
                }
                let name = text(&given.positional.remove(0), self.fuel)?;
                for item in value.iterate()? {
                    self.fuel.take(1)?;
                    mapped.push(self.filter(&name, &item, given.clone())?);
                }
            }
        }
        Ok(Value::iterator("generator", mapped))
    }

    pub(super) fn select(
        &mut self,
        filter: &str,
        value: &Value,
        given: Arguments,
    ) -> Result<Value> {
        let mut kept = Vec::new();
        if value.is_true() {
            let mut positional = given.positional.into_iter();
            let attribute = match filter.ends_with("attr") {
                true => Some(
                    positional
                        .next()
                        .ok_or_else(|| Fault::invalid("Missing parameter for attribute name"))?,
                ),
                false => None,
            };
            let test = positional.next().map(|name| text(&name, self.fuel)).transpose()?;
            let given = Arguments { positional: positional.collect(), named: given.named };
            for item in value.iterate()? {
                self.fuel.take(1)?;
                let sought = self.by_attribute(&item, attribute.as_ref(), None)?;
                let holds = match &test {
                    Some(test) => self.test(test, &sought, given.clone())?,
                    None => sought.is_true(),
                };
                if holds == filter.starts_with("select") {
                    kept.push(item);
                }
            }
        }
        Ok(Value::iterator("generator", kept))
    }
}
