//! Evaluates expressions.

use super::{
    arguments::Arguments,
    ast::{CallArguments, Expr, ExprId},
    filters,
    interpreter::Interpreter,
    operators,
    render_error::{RenderError, Result},
    repr::py_str,
    sequence_filters::unknown_filter,
    value::{DictKey, PyValue},
};
use indexmap::IndexMap;

impl Interpreter<'_> {
    /// Evaluates an expression.
    pub(super) fn value(&mut self, at: ExprId) -> Result<PyValue> {
        self.descend(|interpreter| interpreter.value_of(&interpreter.syntax.expressions[at]))
    }

    fn value_of(&mut self, expression: &Expr) -> Result<PyValue> {
        Ok(match expression {
            Expr::Const(value) => value.clone(),
            Expr::Name(name) => self.name(name)?,
            Expr::Captured => self.captured.last().cloned().unwrap_or(PyValue::None),
            Expr::Tuple(values) => PyValue::tuple(self.values(values)?)?,
            Expr::List(values) => PyValue::list(self.values(values)?)?,
            Expr::Dict(entries) => {
                let mut dict = IndexMap::new();
                for (key, value) in entries {
                    let key = DictKey::new(self.value(*key)?)?;
                    dict.insert(key, self.value(*value)?);
                }
                PyValue::dict(dict)?
            }
            Expr::Attribute(object, name) => {
                let object = self.value(*object)?;
                self.attribute(&object, name)?
            }
            Expr::Item(object, key) => {
                let (object, key) = (self.value(*object)?, self.value(*key)?);
                self.item(&object, &key)?
            }
            Expr::Slice(object, bounds) => self.slice(*object, bounds)?,
            Expr::Call(..) => return self.call_expression(expression, None),
            Expr::Filter(value, name, arguments) => {
                let value = self.value(*value)?;
                let arguments = self.arguments(arguments)?;
                self.filter(name, &value, arguments)?
            }
            Expr::Test(value, name, arguments) => {
                let value = self.value(*value)?;
                let arguments = self.arguments(arguments)?;
                self.test(name, &value, arguments)?.into()
            }
            Expr::Not(value) => (!self.value(*value)?.is_true()).into(),
            Expr::Sign(sign, value) => operators::sign(sign, &self.value(*value)?)?,
            Expr::Binary(sign, one, two) => {
                let (one, two) = (self.value(*one)?, self.value(*two)?);
                operators::binary(sign, &one, &two, self.fuel)?
            }
            Expr::And(one, two) => {
                let one = self.value(*one)?;
                if one.is_true() { self.value(*two)? } else { one }
            }
            Expr::Or(one, two) => {
                let one = self.value(*one)?;
                if one.is_true() { one } else { self.value(*two)? }
            }
            Expr::Compare(first, others) => self.comparison(*first, others)?,
            Expr::Concat(values) => self.concatenation(values)?,
            Expr::Conditional { test, yes, no } => match (self.value(*test)?.is_true(), no) {
                (true, _) => self.value(*yes)?,
                (false, Some(no)) => self.value(*no)?,
                (false, None) => PyValue::Undefined(
                    "the inline if-expression evaluated to false and no else section was defined."
                        .into(),
                ),
            },
        })
    }

    fn values(&mut self, values: &[ExprId]) -> Result<Vec<PyValue>> {
        values.iter().map(|value| self.value(*value)).collect()
    }

    fn slice(&mut self, object: ExprId, bounds: &[Option<ExprId>; 3]) -> Result<PyValue> {
        let object = self.value(object)?;
        let mut given = [const { None }; 3];
        for (value, bound) in given.iter_mut().zip(bounds) {
            *value = bound.map(|bound| self.value(bound)).transpose()?;
        }
        operators::slice(&object, given, self.fuel)
    }

    fn comparison(&mut self, first: ExprId, others: &[(&'static str, ExprId)]) -> Result<PyValue> {
        let mut one = self.value(first)?;
        for (sign, other) in others {
            let two = self.value(*other)?;
            if !operators::compare(sign, &one, &two, self.fuel)? {
                return Ok(false.into());
            }
            one = two;
        }
        Ok(true.into())
    }

    fn concatenation(&mut self, values: &[ExprId]) -> Result<PyValue> {
        let mut out = String::new();
        for value in values {
            let value = self.value(*value)?;
            out.push_str(&py_str(&value, self.fuel)?);
            self.fuel.take_text(out.len())?;
        }
        Ok(out.into())
    }

    pub(super) fn arguments(&mut self, given: &CallArguments) -> Result<Arguments> {
        let mut all = Arguments { positional: self.values(&given.positional)?, named: Vec::new() };
        if let Some(more) = given.unpacked {
            let more = self.value(more)?.iterate()?;
            self.fuel.take(more.len())?;
            all.positional.extend(more);
        }
        for (name, value) in &given.named {
            all.named.push((name.clone(), self.value(*value)?));
        }
        if let Some(more) = given.unpacked_named {
            let PyValue::Dict(dict) = self.value(more)? else {
                return Err(RenderError::invalid("argument after ** must be a mapping"));
            };
            self.fuel.take(dict.entries.len())?;
            for (key, value) in &dict.entries {
                let PyValue::Str(name) = key.value() else {
                    return Err(RenderError::invalid("keywords must be strings"));
                };
                all.named.push((name.clone(), value.clone()));
            }
        }
        for (index, (name, _)) in all.named.iter().enumerate() {
            if all.named[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(RenderError::invalid(format!(
                    "got multiple values for keyword argument '{name}'"
                )));
            }
        }
        Ok(all)
    }

    /// Applies a filter by name. Fails if there is no such filter.
    pub(super) fn filter(
        &mut self,
        name: &str,
        value: &PyValue,
        given: Arguments,
    ) -> Result<PyValue> {
        self.fuel.take(1)?;
        if let Some(value) = self.sequence_filter(name, value, given.clone())? {
            return Ok(value);
        }
        filters::apply(name, value, given, self.fuel)?.ok_or_else(|| unknown_filter(name))
    }
}
